//go:build cgo

package shim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/event"
	"github.com/nacre-sh/nacre/core/runtime"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	// drainPatience is how long nothing may come of a container's output after
	// the end of its init, where others may hold the streams open.
	drainPatience = 2 * time.Second
	// ownPatience is the same where all that had the streams have ended with the
	// init: their end comes for certain, however slow the machine is.
	ownPatience = time.Minute
	// warmLimit is how long a bound shim stays prepared for a start that does not come.
	warmLimit = 250 * time.Millisecond
	// settledAfter is when a container that still runs is one that runs for long.
	settledAfter = time.Second
	runtimeDir   = "runtime" // libcontainer's own state, in the run folder
)

// container is the life of one container: bound, running (or paused),
// restarting, exited. Its state changes under mu; what takes long happens
// outside of it.
type container struct {
	bind  shimapi.Bind
	netns string
	io    *streams

	oomScore  int // what this process had before it was protected
	mu        sync.Mutex
	state     shimapi.State
	start     *shimapi.Start // nil until a start is asked for
	hold      *hold
	released  bool          // a held start goes on once
	launching chan struct{} // closed by the end of a launch; nil: there is none
	worker    *worker
	mounted   <-chan error // of the root, until the first launch has waited for it
	unmounted bool
	rc        *runtime.Container
	init      *runtime.Process
	policy    restartPolicy
	execs     execs
	joined    []*os.File // namespaces of other containers, held for restarts
	health    health
	name      atomic.Pointer[string] // in events; set before the first
	events    *event.Log
	held      *holder       // who paused it for a while; nil: nobody, or a user did for good
	told      bool          // the end that is the last was told of before the pause in which it became that
	stop      chan struct{} // closed by the first Kill that means the end
	size      shimapi.Resize
	waiters   waiters
	last      *shimapi.Exit      // of the run that ended last
	ended     chan struct{}      // closed when everything is cleaned up
	placed    context.CancelFunc // ends warmUp: the first init has its cgroup
}

func newContainer(b shimapi.Bind, netns string) *container {
	warm, placed := context.WithTimeout(context.Background(), warmLimit)
	go shimapi.WarmCgroups(warm) // for a start that comes soon
	return &container{
		placed:   placed,
		oomScore: protectFromOOM(),
		bind:     b,
		netns:    netns,
		io:       newStreams(),
		hold:     newHold(),
		worker:   newWorker(),
		state: shimapi.State{
			Version: shimapi.Version, ID: b.ID, Status: shimapi.StatusBound, ShimPid: os.Getpid(), NetNS: netns, StateDir: b.StateDir,
		},
		stop:  make(chan struct{}),
		ended: make(chan struct{}),
	}
}

// saveState writes state.json; the caller holds mu or is alone.
func (c *container) saveState() error {
	c.state.Execs = c.execs.states()
	if err := writeJSON(filepath.Join(c.bind.RunDir, shimapi.StateFile), c.state); err != nil {
		return fmt.Errorf("save the container's state: %w", err)
	}
	return nil
}

// run is the answer to Start: it returns when the init runs. After an error
// the container has ended.
func (c *container) run(start *shimapi.Start) (pid int, err error) {
	c.mu.Lock()
	if c.start != nil {
		c.mu.Unlock()
		return 0, conflict("container " + c.bind.ID + " is already started")
	}
	c.start = start
	c.mu.Unlock()
	if err = c.prepare(start); err == nil {
		if start.Again != nil {
			go c.goOn(start.Again)
			return 0, nil
		}
		err = c.launch()
	}
	if err != nil {
		c.startFailed(err)
		return 0, err
	}
	go c.supervise()
	time.AfterFunc(settledAfter, debug.FreeOSMemory) // a start takes memory that running does not
	return c.init.Pid, nil
}

// prepare does what is done once, before the first of perhaps many launches.
func (c *container) prepare(start *shimapi.Start) error {
	if start.Spec == nil || start.Spec.Linux == nil || start.Spec.Process == nil || len(start.Spec.Process.Args) == 0 {
		return &shimapi.Error{Message: "start: the specification is not complete", Class: shimapi.ClassInvalid}
	}
	if err := os.Remove(filepath.Join(c.bind.StateDir, shimapi.ExitFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start: remove the last exit: %w", err)
	}
	if err := c.writeFiles(start.Files); err != nil {
		return err
	}
	c.policy.Restart = start.Restart
	if again := start.Again; again != nil {
		c.policy.resume(again.RestartCount)
		c.state.Status, c.state.RestartCount = shimapi.StatusRestarting, again.RestartCount
		c.state.ExitCode, c.state.StartedAt, c.state.FinishedAt = again.ExitCode, again.StartedAt, again.FinishedAt
	}
	c.health.plan = planHealth(start.Health)
	c.name.Store(&start.Name)
	if start.EventLog != "" {
		c.events = event.New(start.EventLog)
	}
	log, err := openLog(start.Log)
	if err != nil {
		return err
	}
	c.io.configure(start.Terminal, start.StdinOnce, log, func() { c.emit(events.ActionDetach, nil) })
	if err := prepareRoot(&start.Rootfs, c.bind.RunDir); err != nil {
		return err
	}
	if start.FreshMounts {
		c.worker.close()
		c.worker = newWorker()
	}
	trees, err := copyShared(start.Sources)
	if err != nil {
		return err
	}
	c.mounted = c.worker.begin(func() error {
		defer trees.close()
		if err := mountRoot(start.Rootfs); err != nil {
			return err
		}
		return mountSources(start.Sources, trees)
	})
	if err := c.joinOthers(start.Spec); err != nil {
		return err
	}
	c.completeSpec(start)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.saveState() // with the cgroup that a sweep would have to empty
}

// completeSpec fills in what only the shim knows.
func (c *container) completeSpec(start *shimapi.Start) {
	spec := start.Spec
	readonly := start.Rootfs.ReadOnly || spec.Root != nil && spec.Root.Readonly
	spec.Root = &specs.Root{Path: start.Rootfs.Target, Readonly: readonly}
	spec.Process.Terminal = start.Terminal
	if size := start.ConsoleSize; c.size == (shimapi.Resize{}) {
		c.size = shimapi.Resize{Rows: size[0], Columns: size[1]}
	}
	if c.size.Rows > 0 && c.size.Columns > 0 {
		spec.Process.ConsoleSize = &specs.Box{Height: c.size.Rows, Width: c.size.Columns}
	}
	if spec.Process.OOMScoreAdj == nil {
		spec.Process.OOMScoreAdj = &c.oomScore
	}
	for i := range spec.Linux.Namespaces {
		if ns := &spec.Linux.Namespaces[i]; ns.Type == specs.NetworkNamespace && ns.Path == "" {
			ns.Path = c.netns
		}
	}
	if spec.Linux.CgroupsPath == "" {
		parent := start.CgroupParent
		if parent == "" {
			parent = shimapi.DefaultCgroupParent
		}
		spec.Linux.CgroupsPath = filepath.Join("/", parent, c.bind.ID)
	}
	c.state.CgroupPath = filepath.Join("/", spec.Linux.CgroupsPath)
	c.state.AutoRemove = start.AutoRemove
}

func (c *container) writeFiles(files []shimapi.File) error {
	for _, f := range files {
		rel, err := filepath.Rel(c.bind.StateDir, f.Path)
		if err != nil || !filepath.IsLocal(rel) {
			return &shimapi.Error{Message: fmt.Sprintf("start: file %q is not in the container's folder", f.Path), Class: shimapi.ClassInvalid}
		}
		if err := os.WriteFile(f.Path, f.Content, os.FileMode(f.Mode).Perm()); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		if err := os.Chmod(f.Path, os.FileMode(f.Mode).Perm()); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		if err := setLabel(f.Path, f.Label); err != nil {
			return fmt.Errorf("start: label %s: %w", f.Path, err)
		}
	}
	return nil
}

// launch starts the init, for the first time or again.
func (c *container) launch() error {
	launching := make(chan struct{})
	c.mu.Lock()
	c.launching = launching
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.launching = nil
		c.mu.Unlock()
		close(launching)
	}()
	if c.start.Held && !c.released && c.hold.cancelled() {
		return c.awaitRelease() // which says why
	}
	return c.launchInit()
}

func (c *container) launchInit() error {
	spec := c.start.Spec
	stdio, ours := runtime.Stdio{Terminal: true}, [2]*os.File{}
	if !c.start.Terminal {
		var err error
		if stdio, ours, err = c.io.pipes(c.start.OpenStdin, c.pipeOwner(spec.Process.User)); err != nil {
			return err
		}
	}
	rc, proc, err := c.runInit(stdio)
	if err != nil {
		c.io.abandon(ours)
		return startError(err, spec.Process.Args[0])
	}
	c.placed()
	c.mu.Lock()
	c.rc, c.init = rc, proc
	c.state.Status, c.state.Pid, c.state.StartedAt = shimapi.StatusRunning, proc.Pid, time.Now().UTC()
	c.state.ExitCode, c.state.FinishedAt = 0, time.Time{}
	c.beginHealth(true)
	err = c.saveState()
	c.mu.Unlock()
	if proc.Console != nil {
		ours[0] = proc.Console
	}
	c.emit(events.ActionStart, nil)
	c.io.begin(ours[0], ours[1])
	if err != nil {
		warnf("%v", err)
	}
	return nil
}

// runInit creates the container, while the worker may still be mounting its
// root, and runs its init.
func (c *container) runInit(stdio runtime.Stdio) (*runtime.Container, *runtime.Process, error) {
	rc, err := c.create(filepath.Join(c.bind.RunDir, runtimeDir))
	if c.mounted != nil { // the first launch
		err = errors.Join(<-c.mounted, err)
		c.mounted = nil
	}
	var proc *runtime.Process
	if err == nil {
		err = c.worker.do(func() (err error) {
			proc, err = rc.Run(stdio, c.awaitRelease)
			return err
		})
	}
	if err != nil && rc != nil {
		if derr := c.worker.do(rc.Destroy); derr != nil {
			warnf("clean up a failed start: %v", derr)
		}
	}
	return rc, proc, err
}

func (c *container) create(dir string) (*runtime.Container, error) {
	if r := c.start.Runtime; r != nil {
		return runtime.CreateExternal(r.Path, r.Args, c.bind.ID, dir, c.start.Spec, warnf)
	}
	return runtime.Create(c.bind.ID, dir, c.start.Spec, warnf)
}

// supervise waits for the end of the init, and starts it again as long as the
// restart policy says so.
func (c *container) supervise() {
	for {
		exit := c.awaitInit()
		pause, again := c.decideRestart(exit)
		if !again || !c.restartAfter(pause, exit) {
			c.finish(exit)
			return
		}
	}
}

// awaitInit waits for one end of the init and tells those who wait for just that.
func (c *container) awaitInit() *shimapi.Exit {
	code, err := c.init.Wait()
	finished := time.Now().UTC()
	kills, oomErr := c.rc.OOMKills()
	c.io.drain(c.patience())
	c.io.release()
	exit := &shimapi.Exit{
		Version: shimapi.Version, ID: c.bind.ID, ExitCode: code, StartedAt: c.state.StartedAt, FinishedAt: finished,
		OOMKilled: kills > 0, RestartCount: c.state.RestartCount,
	}
	for _, err := range []error{err, oomErr} {
		if err != nil {
			warnf("%v", err)
		}
	}
	if exit.OOMKilled {
		c.emit(events.ActionOOM, nil)
	}
	return exit
}

// patience is how long to wait for output that may still come.
func (c *container) patience() time.Duration {
	own := func(ns specs.LinuxNamespace) bool { return ns.Type == specs.PIDNamespace && ns.Path == "" }
	if slices.ContainsFunc(c.start.Spec.Linux.Namespaces, own) {
		return ownPatience
	}
	return drainPatience
}

func (c *container) decideRestart(exit *shimapi.Exit) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.state.Pid = exit, 0
	c.endHealth()
	if c.state.Stopped {
		return 0, false
	}
	pause, again := c.policy.next(exit.ExitCode, c.state.RestartCount, exit.FinishedAt.Sub(exit.StartedAt))
	if again {
		c.state.Status = shimapi.StatusRestarting
		c.state.ExitCode, c.state.FinishedAt = exit.ExitCode, exit.FinishedAt
		if err := c.saveState(); err != nil {
			warnf("%v", err)
		}
	}
	return pause, again
}

// restartAfter starts the container again unless somebody stops it during the
// pause. It returns false when it is not to run any more.
func (c *container) restartAfter(pause time.Duration, exit *shimapi.Exit) bool {
	c.emitDie(exit)
	c.waiters.answerNext(exit)
	if err := c.worker.do(c.rc.Destroy); err != nil {
		warnf("%v", err)
	}
	return c.launchAfter(pause, exit)
}

// goOn takes over from a shim that was killed: the container is in the pause
// before its next restart.
func (c *container) goOn(again *shimapi.Again) {
	exit := &shimapi.Exit{
		Version: shimapi.Version, ID: c.bind.ID, ExitCode: again.ExitCode, StartedAt: again.StartedAt, FinishedAt: again.FinishedAt,
		RestartCount: again.RestartCount,
	}
	pause, wanted := c.decideRestart(exit)
	if !wanted || !c.launchAfter(pause, exit) {
		c.finish(exit)
		return
	}
	c.supervise()
}

// launchAfter waits for the end of a pause and starts the container.
func (c *container) launchAfter(pause time.Duration, exit *shimapi.Exit) bool {
	select {
	case <-c.stop:
		c.told = true
		return false
	case <-time.After(pause):
	}
	c.mu.Lock()
	c.state.RestartCount++
	c.mu.Unlock()
	if err := c.launch(); err != nil {
		exit.RestartCount, exit.Error, exit.ExitCode = c.state.RestartCount, err.Error(), codeFailed
		var e *shimapi.Error
		if errors.As(err, &e) && e.Code != 0 {
			exit.ExitCode = e.Code
		}
		return false
	}
	return true
}

// startFailed ends a container whose init never ran.
func (c *container) startFailed(err error) {
	c.hold.end(shimapi.Release{Cancel: err.Error()}) // nobody is to believe that it goes on
	exit := &shimapi.Exit{Version: shimapi.Version, ID: c.bind.ID, ExitCode: codeFailed, FinishedAt: time.Now().UTC(), Error: err.Error()}
	var e *shimapi.Error
	if errors.As(err, &e) && e.Code != 0 {
		exit.ExitCode = e.Code
	}
	c.io.release()
	c.finish(exit)
}

// finish records the end, tells everybody, and only then cleans up, which
// nobody needs to wait for.
func (c *container) finish(exit *shimapi.Exit) {
	c.execs.settle()
	dropPrepared(c.bind.RunDir)
	c.mu.Lock()
	exit.Stopped, exit.AutoRemoved = c.state.Stopped, c.start.AutoRemove
	exit.Execs = c.execs.states()
	c.state.Status, c.state.Pid, c.last = shimapi.StatusExited, 0, exit
	c.mu.Unlock()
	if c.start.AutoRemove { // the engine deletes it at once; deleting what is mounted, both would spin in the kernel
		c.unmount()
	}
	if err := writeJSON(filepath.Join(c.bind.StateDir, shimapi.ExitFile), exit); err != nil {
		warnf("save the container's exit: %v", err)
	}
	if err := os.Remove(filepath.Join(c.bind.RunDir, shimapi.StateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		warnf("%v", err)
	}
	if !exit.StartedAt.IsZero() && !c.told {
		c.emitDie(exit)
	}
	c.waiters.answerNext(exit)
	c.waiters.answerLast(exit)
	c.cleanUp()
	close(c.ended)
}

func (c *container) cleanUp() {
	if c.rc != nil {
		if err := c.worker.do(c.rc.Destroy); err != nil {
			warnf("%v", err)
		}
	}
	c.unmount()
	c.worker.close()
	if c.start.AutoRemove {
		for _, dir := range []string{c.start.Rootfs.Upper, c.start.Rootfs.Work} {
			if err := os.RemoveAll(dir); err != nil {
				warnf("remove the writable layer: %v", err)
			}
		}
	}
	if c.io.log != nil {
		c.io.log.close()
	}
}

// unmount lets go of the root, once.
func (c *container) unmount() {
	if c.unmounted {
		return
	}
	c.unmounted = true
	if err := c.worker.do(func() error { return unmountRoot(c.start.Rootfs.Target) }); err != nil && c.init != nil {
		warnf("%v", err)
	}
}

// shortName is the name without docker's leading slash.
func shortName(name string) string { return strings.TrimPrefix(name, "/") }
