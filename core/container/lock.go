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
	dir := m.paths.ContainerRun(id)
	if err := os.MkdirAll(dir, 0o710); err != nil {
		return nil, fmt.Errorf("lock container %s: %w", id, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, opsLock), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock container %s: %w", id, err)
	}
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock container %s: %w", id, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

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
