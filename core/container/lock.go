package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// opsLock is the file in a container's run folder that whoever changes the
// container holds: its start, the recording of its end, its removal. It is
// never held while waiting for the container itself.
const opsLock = "ops.lock"

// lock admits one change of a container at a time, among goroutines and
// among processes. A crash lets go of it.
func (m *Module) lock(ctx context.Context, id string) (unlock func(), err error) {
	return m.lockWhile(ctx, id, func() (bool, bool, error) { return true, true, nil })
}

// lockWhile is lock as long as it is needed, and returns no way to unlock when
// it is not. makes says whether the lock's folder may be made where it is missing.
func (m *Module) lockWhile(ctx context.Context, id string, needed func() (ok, makes bool, err error)) (unlock func(), err error) {
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		ok, makes, err := needed()
		if err != nil || !ok {
			return nil, err
		}
		unlock, err := m.tryLockIn(id, makes)
		if !makes && errors.Is(err, os.ErrNotExist) {
			continue // it was there a moment ago
		}
		if err != nil || unlock != nil {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// tryLock is lock for whoever does not wait: without an error and without a
// way to unlock, somebody else has it.
func (m *Module) tryLock(id string) (unlock func(), err error) { return m.tryLockIn(id, true) }

func (m *Module) tryLockIn(id string, makes bool) (unlock func(), err error) {
	f, err := m.openLock(id, makes)
	if err != nil {
		return nil, fmt.Errorf("lock container %s: %w", id, err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock container %s: %w", id, err)
	}
}

// openLock opens the lock's file, which is mostly there.
func (m *Module) openLock(id string, makes bool) (*os.File, error) {
	dir := m.paths.ContainerRun(id)
	open := func() (*os.File, error) {
		return os.OpenFile(filepath.Join(dir, opsLock), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	}
	for tries := 0; ; tries++ {
		f, err := open()
		if !makes || !errors.Is(err, os.ErrNotExist) || tries == lockTries {
			return f, err
		}
		// A removal may take the folder away again before the file is there.
		if err := os.MkdirAll(dir, 0o710); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
}

// lockTries is how often a removal may come between.
const lockTries = 100

// shimAlive tells whether a shim holds the container. Asking takes the lock
// for a moment, shared; a shim that binds just then tries again.
func (m *Module) shimAlive(id string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(m.paths.ContainerRun(id), shimapi.LockFile), os.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the shim of container %s: %w", id, err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the shim of container %s: %w", id, err)
	}
	return false, nil
}

// deathPatience is how long a shim whose connections broke may still hold its lock.
const deathPatience = 15 * time.Second

// awaitDeath waits until a shim that was killed, and whoever sweeps up behind
// it, has let go of the lock: the kernel closes its connections first.
func (m *Module) awaitDeath(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, deathPatience)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if alive, err := m.shimAlive(id); err != nil || !alive {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the shim of container %s: %w", id, ctx.Err())
		case <-time.After(pause):
		}
	}
}
