//go:build cgo

package shim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/runtime"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	// keptExecs is how many finished execs can still be inspected; a health
	// check makes one every few seconds.
	keptExecs = 32
	// execDrain is how long an exec's output may take after its end. A child
	// that it left in the background may hold the streams open for ever.
	execDrain      = 2 * time.Second
	settlePatience = time.Second
)

// execs are the further processes of a container, by age.
type execs struct {
	mu   sync.Mutex
	list []*execution
	busy sync.WaitGroup
}

type execution struct {
	state shimapi.ExecState
	io    *streams
	proc  *runtime.Process // nil until it runs
}

// add reserves an exec's id and forgets the oldest finished ones.
func (e *execs) add(req *shimapi.Exec) (*execution, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.find(req.ID); x != nil {
		if x.state.Running {
			return nil, conflict("exec command " + req.ID + " is already running")
		}
		return nil, conflict("exec command " + req.ID + " has already run")
	}
	for i := 0; len(e.list) >= keptExecs && i < len(e.list); {
		if e.list[i].state.Running {
			i++
			continue
		}
		e.list = slices.Delete(e.list, i, i+1)
	}
	x := &execution{io: newStreams(), state: shimapi.ExecState{
		ID: req.ID, Running: true,
		Args: req.Process.Args, User: req.User, Terminal: req.Process.Terminal, Privileged: req.Privileged, Streams: req.Streams,
	}}
	x.io.terminal = req.Process.Terminal
	x.io.stdinOne = true
	e.list = append(e.list, x)
	return x, nil
}

// forget takes one back that is not to run.
func (e *execs) forget(x *execution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = slices.DeleteFunc(e.list, func(other *execution) bool { return other == x })
}

// find wants mu.
func (e *execs) find(id string) *execution {
	for _, x := range e.list {
		if x.state.ID == id {
			return x
		}
	}
	return nil
}

func (e *execs) lookup(id string) (*execution, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.find(id); x != nil {
		return x, nil
	}
	return nil, &shimapi.Error{Message: "No such exec instance: " + id, Class: shimapi.ClassNotFound}
}

func (e *execs) started(x *execution, proc *runtime.Process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x.state.Pid, x.proc = proc.Pid, proc
}

func (e *execs) ended(x *execution, code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x.state.Running, x.state.ExitCode = false, &code
}

func (e *execs) states() []shimapi.ExecState {
	e.mu.Lock()
	defer e.mu.Unlock()
	states := make([]shimapi.ExecState, len(e.list))
	for i, x := range e.list {
		states[i] = x.state
	}
	return states
}

// settle waits, not long, until the execs that died with the container are recorded.
func (e *execs) settle() {
	done := make(chan struct{})
	go func() { e.busy.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(settlePatience):
	}
}

// exec runs a further process. The connection carries its streams afterwards,
// unless it runs detached; the answer is sent on it in either case.
func (c *container) exec(conn *net.UnixConn, req *shimapi.Exec) error {
	if req.Process == nil || len(req.Process.Args) == 0 {
		return &shimapi.Error{Message: "exec: no command specified", Class: shimapi.ClassInvalid}
	}
	rc, err := c.mustRun("exec")
	if err != nil {
		return err
	}
	x, err := c.execs.add(req)
	if err != nil {
		return err
	}
	if req.Prepared {
		if err := c.takePrepared(req.ID); err != nil {
			c.execs.forget(x)
			return err
		}
	}
	c.execs.busy.Add(1)
	proc, ours, err := c.startExec(rc, x, req)
	if err != nil {
		c.execs.ended(x, errorCode(err))
		c.execs.busy.Done()
		return err
	}
	c.execs.started(x, proc)
	go c.awaitExec(x, proc)
	reply := shimapi.Reply{Pid: proc.Pid}
	if req.Detach {
		x.io.begin(ours[0], ours[1])
		return shimapi.WriteLine(conn, reply)
	}
	go func() {
		x.io.attachFirst(conn, req.Streams, reply, ours)
	}()
	return nil
}

// takePrepared makes sure that an exec runs once: it may have been started by
// another process so long ago that it is not in the list any more.
func (c *container) takePrepared(id string) error {
	if !filepath.IsLocal(id) || filepath.Base(id) != id {
		return &shimapi.Error{Message: "No such exec instance: " + id, Class: shimapi.ClassNotFound}
	}
	err := os.Remove(filepath.Join(c.bind.RunDir, shimapi.ExecsDir, id))
	if errors.Is(err, os.ErrNotExist) {
		return conflict("exec command " + id + " has already run")
	}
	if err != nil {
		return fmt.Errorf("take exec %s: %w", id, err)
	}
	return nil
}

// dropPrepared removes what waits for a container that does not run.
func dropPrepared(runDir string) {
	if err := os.RemoveAll(filepath.Join(runDir, shimapi.ExecsDir)); err != nil {
		warnf("remove the execs that were not started: %v", err)
	}
}

func (c *container) startExec(rc *runtime.Container, x *execution, req *shimapi.Exec) (*runtime.Process, [2]*os.File, error) {
	stdio, ours := runtime.Stdio{Terminal: true}, [2]*os.File{}
	var err error
	if !req.Process.Terminal {
		if stdio, ours, err = x.io.pipes(req.Streams.Stdin && !req.Detach, c.pipeOwner(req.Process.User)); err != nil {
			return nil, ours, err
		}
	}
	var proc *runtime.Process
	warm, placed := context.WithTimeout(context.Background(), warmLimit)
	defer placed()
	go shimapi.WarmCgroups(warm)
	err = c.worker.do(func() (err error) {
		proc, err = rc.Exec(req.Process, stdio)
		return err
	})
	if err != nil {
		x.io.abandon(ours)
		return nil, ours, execError(err, req.Process.Args[0])
	}
	if proc.Console != nil {
		ours[0] = proc.Console
	}
	return proc, ours, nil
}

// awaitExec records the exit code before the client sees the end of the stream.
func (c *container) awaitExec(x *execution, proc *runtime.Process) {
	code, err := proc.Wait()
	if err != nil {
		warnf("%v", err)
	}
	<-x.io.hasBegun()
	x.io.drain(execDrain)
	c.execs.ended(x, code)
	c.emit(events.ActionExecDie, map[string]string{"execID": x.state.ID, "exitCode": strconv.Itoa(code)})
	c.execs.busy.Done()
	x.io.release()
}

// mustRun refuses what only a running container can do.
func (c *container) mustRun(what string) (*runtime.Container, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state.Status {
	case shimapi.StatusRunning:
		return c.rc, nil
	case shimapi.StatusPaused:
		return nil, conflict("container " + c.bind.ID + " is paused, unpause the container before " + what)
	case shimapi.StatusRestarting:
		return nil, conflict("container " + c.bind.ID + " is restarting, wait until the container is running")
	}
	return nil, notRunning(c.bind.ID)
}

func errorCode(err error) int {
	var e *shimapi.Error
	if errors.As(err, &e) && e.Code != 0 {
		return e.Code
	}
	return codeFailed
}
