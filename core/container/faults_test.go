package container

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Two processes race for the same name, and for the same start.
func TestRaces(t *testing.T) {
	b := newBench(t)
	modules := []*Module{b.open(), b.open(), b.open(), b.open()}
	outcomes := make(chan error, len(modules))
	for _, m := range modules {
		go func() {
			_, err := m.Create(context.Background(), "web", container.CreateRequest{Config: &container.Config{Image: "busybox", Cmd: []string{"sleep", "1000"}}}, nil)
			outcomes <- err
		}()
	}
	b.oneWins(outcomes, len(modules), errdefs.IsConflict)
	for _, m := range modules {
		go func() { outcomes <- m.Start(context.Background(), "web", "") }()
	}
	b.oneWins(outcomes, len(modules), errdefs.IsNotModified)
	for _, m := range modules {
		go func() { outcomes <- m.Remove(context.Background(), "web", backend.ContainerRemove{Force: true}) }()
	}
	b.oneWins(outcomes, len(modules), errdefs.IsNotFound)
}

func (b *bench) oneWins(outcomes <-chan error, n int, loses func(error) bool) {
	b.Helper()
	won := 0
	for range n {
		if err := <-outcomes; err == nil {
			won++
		} else if !loses(err) {
			b.Errorf("a loser says: %v", err)
		}
	}
	if won != 1 {
		b.Errorf("%d won", won)
	}
}

func TestKilledShim(t *testing.T) {
	b := newBench(t)
	m := b.open()
	id := b.run(m, "web", nil, "sleep", "1000")
	state, err := readJSON[shimapi.State](filepath.Join(m.paths.ContainerRun(id), shimapi.StateFile))
	b.must(err)
	waiting, err := m.Wait(t.Context(), "web", container.WaitConditionNotRunning)
	b.must(err)
	b.must(unix.Kill(state.ShimPid, unix.SIGKILL))
	if r := b.result(waiting); r.StatusCode != 137 || r.Err != nil {
		t.Errorf("wait: %+v", r)
	}
	if s := b.state(m, "web"); s.Status != exited || s.ExitCode != 137 {
		t.Errorf("state: %+v", s)
	}
	b.eventually("its process is left", func() bool { return ended(state.Pid) })
	b.must(m.Start(t.Context(), "web", "")) // and it can be started again
	if s := b.state(m, "web"); !s.Running {
		t.Errorf("after the start: %+v", s)
	}
}

// A shim that was killed takes its container along; whoever looks next lets the
// policy go on, but brings back nothing that a user has stopped or that has none.
func TestPolicyGoesOnWithoutItsShim(t *testing.T) {
	b := newBench(t)
	m := b.open()
	policy := func(name container.RestartPolicyMode) *container.HostConfig {
		return &container.HostConfig{RestartPolicy: container.RestartPolicy{Name: name}}
	}
	ids := map[string]string{
		"always": b.run(m, "always", policy(container.RestartPolicyAlways), "sleep", "1000"),
		"failed": b.run(m, "failed", policy(container.RestartPolicyOnFailure), "sleep", "1000"),
		"plain":  b.run(m, "plain", nil, "sleep", "1000"),
	}
	b.must(m.Close())
	m = b.open()
	kill := func(name string) {
		t.Helper()
		state, err := readJSON[shimapi.State](filepath.Join(m.paths.ContainerRun(ids[name]), shimapi.StateFile))
		b.must(err)
		b.must(unix.Kill(state.ShimPid, unix.SIGKILL))
		b.eventually("the shim of "+name+" is left", func() bool { return ended(state.ShimPid) })
	}
	for name := range ids {
		kill(name)
	}
	restarted := func(name string, count int) func() bool {
		return func() bool {
			res, err := m.Inspect(t.Context(), name, false)
			b.must(err)
			return res.State.Status == running && res.RestartCount == count && res.State.Pid != 0
		}
	}
	b.eventually("always is not restarted", restarted("always", 1))
	b.eventually("failed is not restarted", restarted("failed", 1))
	if s := b.state(m, "plain"); s.Status != exited || s.ExitCode != 137 {
		t.Errorf("without a policy: %+v", s)
	}

	// The next end counts on, and a stop in the pause is the last word.
	kill("always")
	b.eventually("always is not restarted again", restarted("always", 2))
	kill("always")
	b.must(m.Stop(t.Context(), "always", backend.ContainerStop{}))
	if s := b.state(m, "always"); s.Running {
		t.Errorf("after the stop: %+v", s)
	}
	if s := b.state(b.open(), "always"); s.Running {
		t.Errorf("after the stop, in another process: %+v", s)
	}

	// At the machine's end nothing is brought back; after it, what has failed by that stays down.
	b.run(m, "lasting", policy(container.RestartPolicyUnlessStopped), "sleep", "1000")
	if _, err := m.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := b.state(m, "failed"); s.Running {
		t.Errorf("after the machine's end: %+v", s)
	}
	report, err := m.Boot(t.Context())
	b.must(err)
	if !slices.Equal(report.Done, []string{"lasting"}) || len(report.Failed) > 0 {
		t.Errorf("boot: %+v", report)
	}
}

// What a process that was killed in the middle of something has left is
// cleaned up by the next one.
func TestSweep(t *testing.T) {
	b := newBench(t)
	m := b.open()
	half := b.create(m, "half-removed", nil, "true")
	b.must(m.Start(t.Context(), half, ""))
	b.wait(m, half, container.WaitConditionNotRunning)
	if err := m.markRemoving(t.Context(), &leaving{record: &record{ID: half}}); err != nil {
		t.Fatal(err)
	}
	stray := newID()
	b.must(m.makeFolders(stray))
	lost := b.create(m, "lost", nil, "true") // the row says running, but the machine went down
	_, err := m.db.Exec(`UPDATE containers SET status = 'running', started = 1 WHERE id = ?`, lost)
	b.must(err)
	b.must(m.Close())

	next := b.open()
	if _, err := next.find(t.Context(), "half-removed"); !errdefs.IsNotFound(err) {
		t.Errorf("the half removed one: %v", err)
	}
	if s := b.state(next, "lost"); s.Status != exited || s.ExitCode != exitLost {
		t.Errorf("the lost one: %+v", s)
	}
	b.must(next.Close())
	for _, id := range []string{half, stray} {
		for _, dir := range []string{next.paths.Container(id), next.paths.ContainerRun(id)} {
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", dir, err)
			}
		}
	}
	if _, err := next.byID(t.Context(), half); !errdefs.IsNotFound(err) {
		t.Errorf("the row is left: %v", err)
	}
}
