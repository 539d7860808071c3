// Package sweep cleans up behind shims that were killed: a container without
// its shim has nobody to read its output and to record its end, so it is ended
// too. The lock in the run folder tells whether the shim lives; the cgroup
// tells what is left of the container. It knows no libcontainer, only files:
// nacre itself runs it.
package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// killedCode is the exit code of what SIGKILL ended.
const killedCode = 128 + int(unix.SIGKILL)

// All sweeps every run folder in the given one (store.Paths.ContainersRun) and
// returns the ids of the containers that it ended. One that cannot be swept
// does not keep it from the others.
func All(ctx context.Context, runDirs string) (ended []string, err error) {
	entries, err := os.ReadDir(runDirs)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	var failed []error
	for _, entry := range entries {
		swept, err := Container(ctx, filepath.Join(runDirs, entry.Name()))
		if err != nil {
			failed = append(failed, err)
		}
		if swept {
			ended = append(ended, entry.Name())
		}
	}
	return ended, errors.Join(failed...)
}

// Container sweeps one run folder. It returns false where there is nothing to
// do: the shim lives, or has ended in good order. The folder itself stays.
func Container(ctx context.Context, runDir string) (swept bool, err error) {
	lock, err := tryLock(runDir)
	if lock == nil || err != nil {
		return false, err
	}
	defer lock.Close()
	state, err := readState(runDir)
	if state == nil || err != nil {
		return false, err
	}
	if state.Status != shimapi.StatusBound || state.CgroupPath != "" { // or in the middle of its start
		if err := endContainer(ctx, state); err != nil {
			return false, fmt.Errorf("sweep container %s: %w", state.ID, err)
		}
		swept = true
	}
	for _, name := range []string{"runtime", "empty", shimapi.SocketFile, shimapi.StateFile} {
		if err := os.RemoveAll(filepath.Join(runDir, name)); err != nil {
			return swept, fmt.Errorf("sweep: %w", err)
		}
	}
	return swept, nil
}

// tryLock returns nil where there never was a shim, or one lives.
func tryLock(runDir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(runDir, shimapi.LockFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("sweep: lock %s: %w", runDir, err)
	}
	return f, nil
}

func readState(runDir string) (*shimapi.State, error) {
	data, err := os.ReadFile(filepath.Join(runDir, shimapi.StateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	var state shimapi.State
	if err := json.Unmarshal(data, &state); err != nil {
		return guessState(runDir), nil
	}
	return &state, nil
}

// guessState stands in for a file that a crash of the machine has torn: the
// folder's name and the usual cgroup are enough to end what is left.
func guessState(runDir string) *shimapi.State {
	id := filepath.Base(runDir)
	return &shimapi.State{ID: id, Status: shimapi.StatusRunning, CgroupPath: "/" + shimapi.DefaultCgroupParent + "/" + id}
}

func endContainer(ctx context.Context, state *shimapi.State) error {
	if err := endCgroup(ctx, state.CgroupPath, state.ID); err != nil {
		return err
	}
	if state.StateDir == "" {
		return nil // torn: how it ended is not known
	}
	path := filepath.Join(state.StateDir, shimapi.ExitFile)
	if _, err := os.Stat(path); err == nil {
		return nil // the shim died after its work: a start removes the file first
	}
	exit := shimapi.Exit{
		Version: shimapi.Version, ID: state.ID, ExitCode: killedCode,
		StartedAt: state.StartedAt, FinishedAt: time.Now().UTC(), RestartCount: state.RestartCount,
		Stopped: state.Stopped, AutoRemoved: state.AutoRemove,
		Error: "the container's shim was killed", ShimKilled: true,
	}
	data, err := json.Marshal(exit)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil // the container's record is gone, nobody asks
		}
		return err
	}
	return os.Rename(path+".new", path)
}
