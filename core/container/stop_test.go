package container

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

// A stop without patience, a kill and a forced removal meet containers that end
// at that very moment; whoever looks afterwards sees no container that runs.
func TestStopMeetsTheEnd(t *testing.T) {
	b := newBench(t)
	first, second := b.open(), b.open()
	now := 0
	ends := []struct {
		name string
		end  func(m *Module, id string) error
	}{
		{"stop", func(m *Module, id string) error { return m.Stop(t.Context(), id, backend.ContainerStop{Timeout: &now}) }},
		{"kill", func(m *Module, id string) error { return m.Kill(t.Context(), id, "KILL") }},
		{"restart", func(m *Module, id string) error {
			return errors.Join(m.Restart(t.Context(), id, backend.ContainerStop{Timeout: &now}), m.Stop(t.Context(), id, backend.ContainerStop{Timeout: &now}))
		}},
	}
	for range 4 {
		for _, e := range ends {
			res, err := first.Create(t.Context(), "", container.CreateRequest{
				Config: &container.Config{Image: "busybox", Cmd: []string{"sleep", "1000"}, StopSignal: "SIGKILL"}}, nil)
			b.must(err)
			b.must(first.Start(t.Context(), res.ID, ""))
			var both sync.WaitGroup
			for _, m := range []*Module{first, second} {
				both.Go(func() {
					if err := e.end(m, res.ID); err != nil && (e.name != "kill" || !errdefs.IsConflict(err)) && !errdefs.IsNotModified(err) {
						t.Errorf("%s: %v", e.name, err)
					}
					if e.name == "restart" { // the other's may come later
						return
					}
					if list, err := m.List(t.Context(), backend.ContainerList{}); err != nil || len(list) != 0 {
						t.Errorf("after %s run %v, %v", e.name, list, err)
					}
				})
			}
			both.Wait()
			if list, err := second.List(t.Context(), backend.ContainerList{}); err != nil || len(list) != 0 {
				t.Errorf("after %s run %v, %v", e.name, list, err)
			}
			b.must(second.Remove(t.Context(), res.ID, backend.ContainerRemove{}))
		}
	}
}

// slowNetworks hold every start until they are told otherwise.
type slowNetworks struct {
	noNetworks
	connecting chan struct{}
	goOn       chan struct{}
}

func (s slowNetworks) Connect(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error) {
	s.connecting <- struct{}{}
	<-s.goOn
	return s.noNetworks.Connect(ctx, req)
}

// openSlow opens an engine with networks that hold every start.
func (b *bench) openSlow() (*Module, slowNetworks) {
	m := b.open()
	slow := slowNetworks{connecting: make(chan struct{}), goOn: make(chan struct{})}
	m.tasks.Wait() // the sweep looks at the networks, too
	m.networks = slow
	return m, slow
}

// A stop during a start means the container that the start makes: docker
// compose stops at one container's end what it is just starting.
func TestStopDuringStart(t *testing.T) {
	b := newBench(t)
	other := b.open()
	m, slow := b.openSlow()
	id := b.create(m, "web", nil, "sleep", "1000")
	started, stopped := make(chan error, 1), make(chan error, 1)
	go func() { started <- m.Start(t.Context(), id, "") }()
	<-slow.connecting
	now := 0
	go func() { stopped <- other.Stop(t.Context(), id, backend.ContainerStop{Timeout: &now}) }()
	select {
	case err := <-stopped:
		t.Error("the stop did not wait for the start:", err)
		stopped <- err
	case <-time.After(300 * time.Millisecond): // it cannot be seen to wait; the longer this is, the surer it is that it does
	}
	close(slow.goOn)
	b.must(<-started)
	b.must(<-stopped)
	if s := b.state(other, id); s.Status != exited || s.ExitCode != 137 {
		t.Errorf("after the stop: %+v", s)
	}
}

// So does a process that is asked for during a start, and a look at the processes.
func TestExecDuringStart(t *testing.T) {
	b := newBench(t)
	other := b.open()
	m, slow := b.openSlow()
	id := b.create(m, "web", nil, "sleep", "1000")
	started, asked := make(chan error, 1), make(chan error, 2)
	go func() { started <- m.Start(t.Context(), id, "") }()
	<-slow.connecting
	go func() {
		_, err := other.ExecCreate(t.Context(), id, container.ExecCreateRequest{Cmd: []string{"true"}})
		asked <- err
	}()
	go func() {
		_, err := other.Top(t.Context(), id, nil)
		asked <- err
	}()
	select {
	case err := <-asked:
		t.Error("the exec or top did not wait for the start:", err)
		asked <- err
	case <-time.After(300 * time.Millisecond): // see TestStopDuringStart
	}
	close(slow.goOn)
	b.must(<-started)
	b.must(<-asked)
	b.must(<-asked)
	now := 0
	b.must(m.Stop(t.Context(), id, backend.ContainerStop{Timeout: &now}))
}
