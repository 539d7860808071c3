package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
	"github.com/nacre-sh/nacre/core/shim/sweep"
)

// exitLost is the exit code of a container that ended with the machine; docker's.
const exitLost = 255

// exitKilled is the exit code of what ended with its shim.
const exitKilled = 128 + 9

// networkFile keeps what the network module gave to a running container.
const networkFile = "network.json"

// live is what a container does now: its row, and what its shim tells.
type live struct {
	*record
	now   status
	state *shimapi.State // nil unless running, paused or restarting
}

// look finds out what a container does now. A row that says running is only a
// claim: where no shim stands behind it any more, its end is written down. An
// automatically removed container gives errdefs.ErrNotFound.
func (m *Module) look(ctx context.Context, r *record) (live, error) {
	if r.Status != running {
		return live{record: r, now: r.Status}, nil
	}
	l, ended, err := m.claim(r)
	if err != nil || !ended {
		return l, err
	}
	if err := m.settle(ctx, r.ID); err != nil {
		return live{}, err
	}
	r, err = m.byID(ctx, r.ID)
	if err != nil {
		return live{}, err
	}
	return m.afterwards(r)
}

// afterwards is what a container does once its end was settled: its policy may
// have started it again.
func (m *Module) afterwards(r *record) (live, error) {
	switch r.Status {
	case removing: // nobody can name it any more
		return live{}, noSuchContainer(r.ID)
	case running:
		l, ended, err := m.claim(r)
		if err != nil || !ended {
			return l, err
		}
		return live{record: r, now: exited}, nil // and has ended again
	}
	return live{record: r, now: r.Status}, nil
}

// claim checks a row that says running against the shim.
func (m *Module) claim(r *record) (l live, ended bool, err error) {
	alive, err := m.shimAlive(r.ID)
	if err != nil || !alive {
		return live{}, true, err
	}
	state, err := m.shimState(r.ID)
	if errors.Is(err, os.ErrNotExist) {
		// Either its start is on the way, or the shim has told its end and cleans up.
		_, err := os.Stat(filepath.Join(m.paths.Container(r.ID), shimapi.ExitFile))
		return live{record: r, now: created}, err == nil, nil
	}
	if err != nil {
		return live{}, false, err
	}
	l = live{record: r, state: state, now: status(state.Status)}
	switch state.Status {
	case shimapi.StatusBound: // its start is on the way
		l.now, l.state = created, nil
	case shimapi.StatusExited:
		return live{}, true, nil
	}
	l.record.StartedAt, l.record.RestartCount = state.StartedAt, state.RestartCount
	return l, false, nil
}

// shimState reads what a living shim has written down, and asks it where the
// file was torn by a crash of the machine.
func (m *Module) shimState(id string) (*shimapi.State, error) {
	state, err := readJSON[shimapi.State](filepath.Join(m.paths.ContainerRun(id), shimapi.StateFile))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return state, err
	}
	client, dialErr := shimapi.Dial(m.background, m.paths.ContainerRun(id))
	if dialErr != nil {
		return nil, errors.Join(err, dialErr)
	}
	return client.State(m.background)
}

func readJSON[T any](file string) (*T, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return &v, nil
}

// lookUp is find and look.
func (m *Module) lookUp(ctx context.Context, name string) (live, error) {
	r, err := m.find(ctx, name)
	if err != nil {
		return live{}, err
	}
	return m.look(ctx, r)
}

// lookUpStarted is lookUp after a start that is on its way, as docker's: what is
// asked during a start means the container that it makes.
func (m *Module) lookUpStarted(ctx context.Context, name string) (live, error) {
	l, err := m.lookUp(ctx, name)
	if err != nil || l.state != nil {
		return l, err
	}
	unlock, err := m.lockWhile(ctx, l.ID, func() (ok, makes bool, err error) {
		_, err = os.Stat(m.paths.ContainerRun(l.ID)) // without it nobody can be starting it
		if errors.Is(err, os.ErrNotExist) {
			return false, false, nil
		}
		return true, false, err
	})
	if err != nil || unlock == nil {
		return l, err
	}
	defer unlock()
	return m.lookLocked(ctx, l.ID)
}

// settle writes down the end of a container that has ended, whoever noticed
// it, and removes it where its end is to be its removal. It may be called by
// many at once and for a container that was settled already.
func (m *Module) settle(ctx context.Context, id string) error {
	unlock, err := m.lockWhile(ctx, id, func() (ok, makes bool, err error) { return m.mayHaveEnded(ctx, id) })
	if err != nil || unlock == nil {
		return err
	}
	defer unlock()
	return m.settleLocked(ctx, id)
}

// mayHaveEnded looks at the row where the run folder is missing: after a boot
// there is an end to be written down, after a removal (which may have had the
// lock until now) there is not, and the lock must not make the folder again.
func (m *Module) mayHaveEnded(ctx context.Context, id string) (may, missing bool, err error) {
	if _, err := os.Stat(m.paths.ContainerRun(id)); !errors.Is(err, os.ErrNotExist) {
		return true, false, nil
	}
	r, err := m.byID(ctx, id)
	if errdefs.IsNotFound(err) {
		return false, true, nil
	}
	return err == nil && r.Status == running, true, err
}

func (m *Module) settleLocked(ctx context.Context, id string) error {
	r, err := m.byID(ctx, id)
	if errdefs.IsNotFound(err) {
		return os.RemoveAll(m.paths.ContainerRun(id)) // which the lock has made
	}
	if err != nil || r.Status != running {
		return err
	}
	// Between the look and the lock another may have started it again.
	if _, ended, err := m.claim(r); err != nil || !ended {
		return err
	}
	if err := m.recordEnd(ctx, r); err != nil {
		return err
	}
	m.report(errors.Join(m.detachVolumes(ctx, r), m.emitMounts(r, events.ActionUnmount))) // the next sweep tries the first again
	if r.HostConfig.AutoRemove {
		return m.removeLocked(ctx, r, removeOptions{volumes: true, later: true})
	}
	if r.shimKilled && shouldRun(r) && !stayDown(ctx) {
		if err := m.networks.Disconnect(ctx, r.ID); err != nil {
			return err
		}
		return m.startAgain(context.WithoutCancel(ctx), r)
	}
	if err := m.saveState(ctx, r); err != nil {
		return err
	}
	// Now, not in the background: there it might come after the next start's
	// Connect, and take that one's ports.
	return m.networks.Disconnect(ctx, r.ID)
}

// recordEnd fills the row from the shim's last words, or, where it had no time
// for them, from what is known.
func (m *Module) recordEnd(ctx context.Context, r *record) error {
	swept, err := m.sweepShim(ctx, r.ID)
	if err != nil {
		return err
	}
	exit, err := readJSON[shimapi.Exit](filepath.Join(m.paths.Container(r.ID), shimapi.ExitFile))
	switch {
	case err == nil:
		r.Status, r.ExitCode, r.Error, r.OOMKilled = exited, exit.ExitCode, exit.Error, exit.OOMKilled
		r.FinishedAt, r.RestartCount, r.Stopped = exit.FinishedAt, exit.RestartCount, exit.Stopped
		if !exit.StartedAt.IsZero() {
			r.StartedAt = exit.StartedAt
		}
		r.shimKilled = exit.ShimKilled
		if swept { // the shim had no time to tell
			return m.emitDie(r)
		}
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	r.Status, r.ExitCode, r.FinishedAt = exited, exitLost, time.Now().UTC()
	r.Error = "the container ended with the machine"
	return m.emitDie(r)
}

// sweepShim cleans up behind a shim that was killed. Another process that just
// asks whether the shim lives may hold the lock for that moment, so what was
// not swept and has not told its end is tried again.
func (m *Module) sweepShim(ctx context.Context, id string) (swept bool, err error) {
	for range 200 {
		swept, err = sweep.Container(ctx, m.paths.ContainerRun(id))
		if swept || err != nil {
			return swept, err
		}
		_, told := os.Stat(filepath.Join(m.paths.Container(id), shimapi.ExitFile))
		_, state := os.Stat(filepath.Join(m.paths.ContainerRun(id), shimapi.StateFile))
		if told == nil || state != nil {
			return false, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false, fmt.Errorf("clean up behind the shim of container %s: its lock is held: %w", id, errdefs.ErrUnavailable)
}

func (m *Module) emitDie(r *record) error {
	return m.emit(r, events.ActionDie, map[string]string{"exitCode": strconv.Itoa(r.ExitCode)})
}

// later runs work that no one waits for; Close does. What fails there is
// done again by the next sweep.
func (m *Module) later(work func(context.Context) error) {
	m.tasks.Go(func() {
		if err := work(context.WithoutCancel(m.background)); err != nil {
			m.trace.step("left to the next sweep: " + err.Error())
		}
	})
}

// client gives the shim of a running container.
func (m *Module) client(ctx context.Context, id string) (*shimapi.Client, error) {
	client, err := shimapi.Dial(ctx, m.paths.ContainerRun(id))
	if errdefs.IsNotFound(err) {
		return nil, hasEnded(id)
	}
	return client, err
}

// tooLate words what a shim did not answer to because it, and with it the
// container, has ended after it was found.
func tooLate(id string, err error) error {
	if errdefs.IsUnavailable(err) {
		return hasEnded(id)
	}
	return err
}

func hasEnded(id string) error {
	return errdefs.ErrConflict.WithMessage("container " + id + " is not running")
}

// network reads what the network module gave to a running container.
func (m *Module) network(l live) *container.NetworkSettings {
	if l.state == nil {
		return idleNetwork(l.record)
	}
	settings, err := readJSON[container.NetworkSettings](filepath.Join(m.paths.ContainerRun(l.ID), networkFile))
	if err != nil {
		return idleNetwork(l.record)
	}
	return settings
}
