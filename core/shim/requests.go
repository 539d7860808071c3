//go:build cgo

package shim

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/runtime"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

func (c *container) currentState() shimapi.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state
	state.Execs = c.execs.states()
	return state
}

func (c *container) isStarted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start != nil
}

// abandon gives the container up if it was not started and the condition
// holds; a start that comes later is refused.
func (c *container) abandon(nobody func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start != nil || !nobody() {
		return false
	}
	c.start = &shimapi.Start{}
	return true
}

// kill sends a signal and says so in the events. A paused container whose end is meant is let go on, or
// it would get the signal only when somebody resumes it.
func (c *container) kill(k shimapi.Kill) error {
	sig, err := signal(k.Signal)
	if err != nil {
		return err
	}
	c.mu.Lock()
	status, rc := c.state.Status, c.rc
	if k.Stop && !c.state.Stopped && status != shimapi.StatusBound {
		c.state.Stopped = true
		close(c.stop)
	}
	c.mu.Unlock()
	switch status {
	case shimapi.StatusRestarting: // the end of the pause, and of the container
		if k.Stop && sig == unix.SIGKILL {
			c.breakLaunch()
		}
		return nil
	case shimapi.StatusRunning, shimapi.StatusPaused:
	default:
		return notRunning(c.bind.ID)
	}
	// Before the signal, or the end that it brings might be told of first.
	c.emit(events.ActionKill, map[string]string{"signal": strconv.Itoa(k.Signal)})
	if k.All {
		err = signalAll(rc, sig)
	} else {
		err = rc.Signal(sig)
	}
	if gone(err) {
		err = nil // its end is on the way to those who wait
	}
	if err != nil {
		return fmt.Errorf("send signal %d to container %s: %w", k.Signal, c.bind.ID, err)
	}
	if status == shimapi.StatusPaused && k.Stop {
		return c.pause(false)
	}
	return nil
}

func signalAll(rc *runtime.Container, sig unix.Signal) error {
	pids, err := rc.Processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

func (c *container) pause(pause bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pauseLocked(pause)
}

// holdFor pauses for one client, and letGo ends that, unless somebody else has
// already let the container go on.
func (c *container) holdFor() (*holder, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.pauseLocked(true); err != nil {
		return nil, err
	}
	c.held = &holder{}
	return c.held, nil
}

func (c *container) letGo(held *holder) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != held || c.state.Status != shimapi.StatusPaused {
		return nil
	}
	return c.pauseLocked(false)
}

// holder tells one hold from another.
type holder struct{ _ byte }

func (c *container) pauseLocked(pause bool) error {
	switch {
	case c.state.Status == shimapi.StatusPaused && pause:
		return conflict("Container " + c.bind.ID + " is already paused")
	case c.state.Status == shimapi.StatusRunning && !pause:
		return conflict("Container " + c.bind.ID + " is not paused")
	case c.state.Status == shimapi.StatusRestarting:
		return conflict("Container " + c.bind.ID + " is restarting, wait until the container is running")
	case c.state.Status != shimapi.StatusRunning && c.state.Status != shimapi.StatusPaused:
		return notRunning(c.bind.ID)
	}
	change, status := c.rc.Pause, shimapi.StatusPaused
	if !pause {
		change, status = c.rc.Resume, shimapi.StatusRunning
	}
	if err := change(); err != nil {
		return fmt.Errorf("%s container %s: %w", map[bool]string{true: "pause", false: "unpause"}[pause], c.bind.ID, err)
	}
	c.state.Status, c.held = status, nil
	if pause {
		c.endHealth()
	} else {
		c.beginHealth(false)
	}
	return c.saveState()
}

func (c *container) resize(size shimapi.Resize) error {
	c.mu.Lock()
	c.size = size
	running := c.init != nil
	c.mu.Unlock()
	if !running {
		return nil // the start uses it
	}
	return c.io.resize(size.Rows, size.Columns)
}

func (c *container) execResize(size shimapi.ExecResize) error {
	x, err := c.execs.lookup(size.ID)
	if err != nil {
		return err
	}
	return x.io.resize(size.Rows, size.Columns)
}

// execKill sends a signal to an exec's process. Its number is nobody else's as
// long as nobody has waited for it, which Process knows.
func (c *container) execKill(k shimapi.ExecKill) error {
	sig, err := signal(k.Signal)
	if err != nil {
		return err
	}
	x, err := c.execs.lookup(k.ID)
	if err != nil {
		return err
	}
	c.execs.mu.Lock()
	proc := x.proc
	c.execs.mu.Unlock()
	if proc == nil {
		return conflict("exec " + k.ID + " is not running")
	}
	if err = proc.Signal(sig); gone(err) {
		return conflict("exec " + k.ID + " is not running")
	}
	if err != nil {
		return fmt.Errorf("send signal %d to exec %s: %w", k.Signal, k.ID, err)
	}
	return nil
}

// update merges new limits over the old ones and applies them; the next
// restart by policy has them, too.
func (c *container) update(u shimapi.Update) error {
	if u.Restart != nil {
		c.mu.Lock()
		c.policy.Restart = *u.Restart
		c.mu.Unlock()
	}
	if u.Resources == nil {
		return nil
	}
	c.mu.Lock()
	status, rc := c.state.Status, c.rc
	c.mu.Unlock()
	switch status {
	case shimapi.StatusRunning, shimapi.StatusPaused, shimapi.StatusRestarting:
	default:
		return notRunning(c.bind.ID)
	}
	merged, err := mergeResources(c.start.Spec.Linux.Resources, u.Resources)
	if err != nil {
		return fmt.Errorf("update container %s: %w", c.bind.ID, err)
	}
	err = c.worker.do(func() error { // which starts the container, too
		if status == shimapi.StatusRestarting {
			c.start.Spec.Linux.Resources = merged
			return nil
		}
		return rc.Update(merged)
	})
	if err != nil {
		return fmt.Errorf("update container %s: %w", c.bind.ID, err)
	}
	return nil
}

// mergeResources lays the fields that are set over a copy of the old ones:
// JSON leaves out what is not.
func mergeResources(old, set *specs.LinuxResources) (*specs.LinuxResources, error) {
	merged := &specs.LinuxResources{}
	for _, layer := range []*specs.LinuxResources{old, set} {
		if layer == nil {
			continue
		}
		data, err := json.Marshal(layer)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, merged); err != nil {
			return nil, err
		}
	}
	return merged, nil
}
