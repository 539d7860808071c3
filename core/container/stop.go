package container

import (
	"context"
	"crypto/sha256"
	"fmt"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/sys/signal"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	defaultStopSignal  = syscall.SIGTERM
	defaultStopTimeout = 10 // seconds
)

// Stop asks a container to end and, when it does not in time, makes it.
func (m *Module) Stop(ctx context.Context, name string, opts backend.ContainerStop) error {
	l, err := m.lookUpStarted(ctx, name)
	if err != nil {
		return err
	}
	if err := allow(verbStop, l.record, l.now); err != nil {
		return err
	}
	if err := m.stop(ctx, l, opts); err != nil {
		return fmt.Errorf("cannot stop container: %s: %w", name, err)
	}
	return m.emit(l.record, events.ActionStop, nil)
}

// stop ends a container. Where its shim is killed before it hears of the wish,
// the container has ended, but its policy does not know better: somebody may
// have let it go on, so that it is stopped once more, or the wish is written down.
func (m *Module) stop(ctx context.Context, l live, opts backend.ContainerStop) error {
	ctx = keepDown(ctx)
	for {
		heard, err := m.stopOnce(ctx, l, opts)
		if heard || err != nil {
			return err
		}
		r, err := m.byID(ctx, l.ID)
		if err == nil {
			l, err = m.look(ctx, r)
		}
		switch {
		case errdefs.IsNotFound(err): // it removed itself
			return nil
		case err != nil:
			return err
		case l.state == nil && l.now != created:
			_, err := m.write(ctx, `UPDATE containers SET stopped = 1 WHERE id = ?`, l.ID)
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(betweenPause):
		}
	}
}

// stopOnce tells whether the shim has heard of the wish.
func (m *Module) stopOnce(ctx context.Context, l live, opts backend.ContainerStop) (heard bool, err error) {
	sig, timeout, err := stopPlan(l.record, opts)
	if err != nil {
		return false, err
	}
	lost := func() (bool, error) { return false, m.settle(ctx, l.ID) }
	client, err := m.client(ctx, l.ID)
	if errdefs.IsConflict(err) || errdefs.IsUnavailable(err) { // it has just ended
		return lost()
	}
	if err != nil {
		return false, err
	}
	waitCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended, err := client.Wait(waitCtx)
	if errdefs.IsUnavailable(err) {
		return lost()
	}
	if err != nil {
		return false, err
	}
	if err := m.signal(ctx, client, l, sig, true); err != nil && !errdefs.IsConflict(err) && !errdefs.IsUnavailable(err) {
		return false, err
	}
	var patience <-chan time.Time
	if timeout >= 0 {
		patience = time.After(time.Duration(timeout) * time.Second)
	}
	select {
	case end := <-ended:
		if errdefs.IsUnavailable(end.Err) {
			return lost()
		}
	case <-ctx.Done():
		return false, ctx.Err()
	case <-patience:
		if err := m.killAndWait(ctx, client, l, killPatience); err != nil && !errdefs.IsConflict(err) && !errdefs.IsUnavailable(err) {
			return false, err
		}
	}
	return true, m.settle(ctx, l.ID)
}

// stopPlan: the request's word, then the container's, then docker's defaults.
func stopPlan(r *record, opts backend.ContainerStop) (sig syscall.Signal, timeout int, err error) {
	sig, timeout = defaultStopSignal, defaultStopTimeout
	if name := orElse(opts.Signal, r.Config.StopSignal); name != "" {
		if sig, err = parseSignal(name); err != nil {
			return 0, 0, err
		}
	}
	switch {
	case opts.Timeout != nil:
		timeout = *opts.Timeout
	case r.Config.StopTimeout != nil:
		timeout = *r.Config.StopTimeout
	}
	return sig, timeout, nil
}

func parseSignal(name string) (syscall.Signal, error) {
	sig, err := signal.ParseSignal(name)
	if err != nil {
		return 0, invalid("invalid signal: %s", name)
	}
	return sig, nil
}

// signal sends one; the shim says so in the events. A paused container gets it
// when it goes on, so one that means the end lets it go on.
func (m *Module) signal(ctx context.Context, client *shimapi.Client, l live, sig syscall.Signal, ends bool) error {
	if err := client.Kill(ctx, shimapi.Kill{Signal: int(sig), Stop: ends}); err != nil {
		return err
	}
	if l.now == paused && ends {
		if err := client.Pause(ctx, false); err != nil && !errdefs.IsConflict(err) {
			return err
		}
	}
	return nil
}

// Kill sends a signal, KILL without a name. KILL waits for the end.
func (m *Module) Kill(ctx context.Context, name, signalName string) error {
	if err := m.kill(ctx, name, signalName); err != nil {
		return fmt.Errorf("cannot kill container: %s: %w", name, err)
	}
	return nil
}

func (m *Module) kill(ctx context.Context, name, signalName string) error {
	sig, err := parseSignal(orElse(signalName, "KILL"))
	if err != nil {
		return err
	}
	if !signal.ValidSignalForPlatform(sig) {
		return invalid("the linux daemon does not support signal %d", sig)
	}
	l, err := m.lookUpStarted(ctx, name)
	if errdefs.IsNotFound(err) && len(name) == 2*sha256.Size { // a whole id: perhaps an exec's
		return m.killExec(ctx, name, sig, err)
	}
	if err != nil {
		return err
	}
	if err := allow(verbKill, l.record, l.now); err != nil {
		return err
	}
	client, err := m.client(ctx, l.ID)
	if errdefs.IsConflict(err) {
		return notRunning(l.record)
	}
	if err != nil {
		return err
	}
	if sig == syscall.SIGKILL {
		if err := tooLate(l.ID, m.killAndWait(ctx, client, l, killPatience)); err != nil {
			return err
		}
		return m.settle(ctx, l.ID)
	}
	return tooLate(l.ID, m.signal(ctx, client, l, sig, meansEnd(l.record, sig)))
}

// meansEnd: docker takes the container's own stop signal as the user's wish to
// end it, and any signal where it has none.
func meansEnd(r *record, sig syscall.Signal) bool {
	if r.Config.StopSignal == "" {
		return true
	}
	own, err := signal.ParseSignal(r.Config.StopSignal)
	return err == nil && own == sig
}

// cannotRestart is docker's word.
const cannotRestart = "Cannot restart container"

// Restart stops a running container and starts it.
func (m *Module) Restart(ctx context.Context, name string, opts backend.ContainerStop) error {
	l, err := m.lookUpStarted(ctx, name)
	if err != nil {
		return err
	}
	if err := allow(verbRestart, l.record, l.now); err != nil {
		return err
	}
	if allow(verbStop, l.record, l.now) == nil {
		if err := m.stop(ctx, l, opts); err != nil {
			return fmt.Errorf("%s %s: %w", cannotRestart, name, err)
		}
		if err := m.emit(l.record, events.ActionStop, nil); err != nil {
			return err
		}
	}
	if err := m.startContainer(ctx, l.ID); err != nil {
		return fmt.Errorf("%s %s: %w", cannotRestart, name, err)
	}
	return m.emit(l.record, events.ActionRestart, nil)
}
