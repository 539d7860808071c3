package container

import (
	"context"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// expectFor is how long a new container's shim waits for its start.
const expectFor = 2 * time.Second

// binding is a shim that belongs to a container which has not been started
// yet. Clients may attach and wait before the start, so that they miss
// nothing; the start then uses the same shim. When they all leave before it,
// the shim ends.
type binding struct {
	client *shimapi.Client
	netns  string // path of the shim's network namespace
	ready  chan struct{}
	err    error
	users  int
}

// bindings are those of this process, by container id. A container that was
// started is not among them.
type bindings struct {
	mu sync.Mutex
	of map[string]*binding
}

// bind gives the container a shim, or finds the one it was given, by this
// process or another. release must be called; it does not end a shim that was
// started meanwhile.
func (m *Module) bind(ctx context.Context, id string) (b *binding, release func(), err error) {
	b, made := m.bound.join(id)
	if made {
		b.client, b.netns, b.err = m.bindShim(ctx, id)
		close(b.ready)
	}
	select {
	case <-b.ready:
	case <-ctx.Done():
		m.bound.leave(id, b)
		return nil, nil, ctx.Err()
	}
	if b.err != nil {
		m.bound.leave(id, b)
		return nil, nil, b.err
	}
	return b, func() { m.bound.leave(id, b) }, nil
}

// expectStart binds a shim to a container that was just created, beside the
// client's way to its attach and start. One that comes to nothing is let go
// of; no more than one is tried at a time, for many creations without a start.
func (m *Module) expectStart(id string) {
	if !m.expecting.CompareAndSwap(false, true) {
		return
	}
	m.tasks.Go(func() {
		_, release, err := m.bind(m.background, id)
		m.expecting.Store(false)
		if err != nil {
			return // the start will say why
		}
		defer release()
		select {
		case <-m.background.Done():
		case <-time.After(expectFor):
		}
	})
}

func (bs *bindings) join(id string) (b *binding, made bool) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b = bs.of[id]
	if b == nil {
		b, made = &binding{ready: make(chan struct{})}, true
		bs.of[id] = b
	}
	b.users++
	return b, made
}

func (bs *bindings) leave(id string, b *binding) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b.users--
	if b.users > 0 {
		return
	}
	if bs.of[id] == b {
		delete(bs.of, id)
	}
	if b.client != nil {
		b.client.Close()
	}
}

// started takes the binding out: from now on the shim is found by its socket.
func (bs *bindings) started(id string, b *binding) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.of[id] == b {
		delete(bs.of, id)
	}
}

// bindShim looks for a shim that another process has bound, then binds one.
// Two processes may do so at once: the loser finds the winner's.
func (m *Module) bindShim(ctx context.Context, id string) (*shimapi.Client, string, error) {
	if err := m.makeFolders(id); err != nil {
		return nil, "", err
	}
	client, netns, err := m.boundElsewhere(ctx, id)
	if err == nil || !errdefs.IsNotFound(err) {
		return client, netns, err
	}
	done := m.trace.span("start: shim")
	defer done()
	idle, err := m.pool.take()
	if err != nil {
		return nil, "", err
	}
	if netns, err = idle.NetNS(ctx); err != nil {
		idle.Release()
		return nil, "", err
	}
	client, err = idle.Bind(ctx, shimapi.Bind{ID: id, RunDir: m.paths.ContainerRun(id), StateDir: m.paths.Container(id)})
	if errdefs.IsConflict(err) {
		return m.boundElsewhere(ctx, id)
	}
	return client, netns, err
}

// boundElsewhere finds a shim that waits for its start; errdefs.ErrNotFound
// when there is none, or only one that is about to end.
func (m *Module) boundElsewhere(ctx context.Context, id string) (*shimapi.Client, string, error) {
	client, err := shimapi.Dial(ctx, m.paths.ContainerRun(id))
	if err != nil {
		return nil, "", err
	}
	state, err := client.State(ctx)
	if err != nil && errdefs.IsUnavailable(err) || err == nil && state.Status == shimapi.StatusExited {
		return nil, "", errdefs.ErrNotFound
	}
	if err != nil {
		return nil, "", err
	}
	return client, state.NetNS, nil
}
