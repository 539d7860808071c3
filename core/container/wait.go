package container

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	// removalPoll is how often a removal by another process is looked for.
	removalPoll = 250 * time.Millisecond
	// lateAnswer is how long a shim's answer may be behind the removal that followed it.
	lateAnswer = 100 * time.Millisecond
)

// Wait waits for a container's end, its next end, or its removal.
func (m *Module) Wait(ctx context.Context, name string, condition container.WaitCondition) (<-chan backend.WaitResult, error) {
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return nil, err
	}
	switch condition {
	case "", container.WaitConditionNotRunning:
		if l.state == nil && l.now != created || l.Status == created {
			return settled(l.ExitCode), nil
		}
		return m.waitEnd(ctx, l, (*shimapi.Client).Wait)
	case container.WaitConditionNextExit:
		return m.waitEnd(ctx, l, (*shimapi.Client).WaitNext)
	case container.WaitConditionRemoved:
		return m.waitRemoved(ctx, l)
	}
	return nil, invalid("invalid condition: %q", condition)
}

func settled(code int) <-chan backend.WaitResult {
	result := make(chan backend.WaitResult, 1)
	result <- backend.WaitResult{StatusCode: code}
	return result
}

type waitFunc func(*shimapi.Client, context.Context) (<-chan shimapi.WaitResult, error)

// shimWait registers with the container's shim; one that does not run gets its
// shim now, so that an end right after the start is not missed. release must be called.
func (m *Module) shimWait(ctx context.Context, l live, wait waitFunc) (ended <-chan shimapi.WaitResult, release func(), err error) {
	release = func() {}
	var client *shimapi.Client
	if l.state != nil {
		client, err = m.client(ctx, l.ID)
	} else {
		var b *binding
		if b, release, err = m.bind(ctx, l.ID); err == nil {
			client = b.client
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if ended, err = wait(client, ctx); err != nil {
		release()
		return nil, nil, err
	}
	return ended, release, nil
}

// waitEnd answers with the shim's own words; nothing is looked up afterwards.
func (m *Module) waitEnd(ctx context.Context, l live, wait waitFunc) (<-chan backend.WaitResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	ended, release, err := m.shimWait(ctx, l, wait)
	if err != nil && l.state != nil && ctx.Err() == nil {
		// The shim has ended between the look and the call: so has the container, and what it said is written down.
		defer cancel()
		result := make(chan backend.WaitResult, 1)
		result <- m.outcome(ctx, l, shimapi.WaitResult{Err: errdefs.ErrUnavailable.WithMessage(err.Error())})
		return result, nil
	}
	if err != nil {
		cancel()
		return nil, err
	}
	removed, forget := m.gone.watch(l.ID)
	result := make(chan backend.WaitResult, 1)
	go func() {
		defer cancel()
		defer release()
		defer forget()
		select {
		case end := <-ended:
			result <- m.outcome(ctx, l, end)
		case code := <-removed: // before it ever ran, or just after its end
			result <- backend.WaitResult{StatusCode: code}
		}
	}()
	return result, nil
}

// outcome is what a client hears of an end. A shim that died leaves the end to be written down by us.
func (m *Module) outcome(ctx context.Context, l live, end shimapi.WaitResult) backend.WaitResult {
	if end.Err == nil {
		return backend.WaitResult{StatusCode: end.Exit.ExitCode}
	}
	if !errdefs.IsUnavailable(end.Err) {
		return backend.WaitResult{Err: end.Err}
	}
	err := m.awaitDeath(ctx, l.ID)
	if err == nil {
		err = m.settle(ctx, l.ID)
	}
	if err != nil {
		return backend.WaitResult{Err: errors.Join(end.Err, err)}
	}
	r, err := m.byID(ctx, l.ID)
	if errdefs.IsNotFound(err) {
		return backend.WaitResult{StatusCode: exitLost}
	}
	if err != nil {
		return backend.WaitResult{Err: err}
	}
	if r.Status == running { // its policy goes on
		return backend.WaitResult{StatusCode: exitKilled}
	}
	return backend.WaitResult{StatusCode: r.ExitCode}
}

// waitRemoved waits for the end first, because its exit code is the answer,
// and settles it, which removes a container that is to remove itself.
func (m *Module) waitRemoved(ctx context.Context, l live) (<-chan backend.WaitResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	ended, release, err := m.shimWait(ctx, l, (*shimapi.Client).Wait)
	if err != nil {
		cancel()
		return nil, err
	}
	removed, forget := m.gone.watch(l.ID)
	result := make(chan backend.WaitResult, 1)
	go func() {
		defer cancel()
		defer release()
		defer forget()
		answer := backend.WaitResult{StatusCode: l.ExitCode}
		poll := time.NewTicker(removalPoll)
		defer poll.Stop()
		for {
			select {
			case end := <-ended:
				m.trace.step("wait: container ended")
				answer, ended = m.outcome(ctx, l, end), nil
				if err := m.settle(ctx, l.ID); err != nil {
					answer.Err = fmt.Errorf("remove container %s: %w", l.Name, err)
				}
				if !m.exists(ctx, l.ID) {
					result <- answer
					return
				}
			case <-poll.C:
			case code := <-removed:
				m.trace.step("wait: removed")
				result <- backend.WaitResult{StatusCode: code, Err: answer.Err}
				return
			case <-ctx.Done():
				result <- backend.WaitResult{Err: ctx.Err()}
				return
			}
			if m.exists(ctx, l.ID) {
				continue
			}
			select { // another process was faster; the shim's answer is on the way, unless it never ran
			case end := <-ended:
				answer = m.outcome(ctx, l, end)
			case <-time.After(lateAnswer):
			}
			result <- answer
			return
		}
	}()
	return result, nil
}

// exists tells whether a container is neither removed nor being removed.
func (m *Module) exists(ctx context.Context, id string) bool {
	var n int
	err := m.db.QueryRowContext(ctx, `SELECT 1 FROM containers WHERE id = ? AND status <> 'removing'`, id).Scan(&n)
	return err == nil
}

// notices tells waiters of this process about removals, with the exit code.
type notices struct {
	mu  sync.Mutex
	who map[string][]chan int
}

func newNotices() *notices { return &notices{who: map[string][]chan int{}} }

func (n *notices) watch(id string) (removed <-chan int, forget func()) {
	ch := make(chan int, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.who[id] = append(n.who[id], ch)
	return ch, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for i, c := range n.who[id] {
			if c == ch {
				n.who[id] = append(n.who[id][:i], n.who[id][i+1:]...)
				break
			}
		}
		if len(n.who[id]) == 0 {
			delete(n.who, id)
		}
	}
}

func (n *notices) removed(id string, exitCode int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ch := range n.who[id] {
		ch <- exitCode
	}
	delete(n.who, id)
}
