package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/apparmor"
	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/files"
	"github.com/nacre-sh/nacre/core/container/spec"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// keepExec is how long an exec that was prepared or has ended is remembered.
const keepExec = 10 * time.Minute

// prepared is a further process that was asked for. Between its creation and
// its start it waits in a file for whoever starts it (waitingexec.go);
// afterwards the shim knows how it fares.
type prepared struct {
	id        string
	container string
	req       container.ExecCreateRequest
	keys      []byte
	made      time.Time
	unwritten bool // it waits in this process alone: the disk is full

	mu      sync.Mutex
	started bool
	last    shimapi.ExecState // as it was last seen
}

type execs struct {
	mu sync.Mutex
	of map[string]*prepared
}

func newExecs() *execs { return &execs{of: map[string]*prepared{}} }

// add remembers an exec and forgets old ones.
func (e *execs) add(p *prepared) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, old := range e.of {
		if time.Since(old.made) > keepExec && !old.running() {
			delete(e.of, id)
		}
	}
	e.of[p.id] = p
}

func (e *execs) get(id string) (*prepared, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.of[id]; p != nil {
		return p, nil
	}
	return nil, noSuchExec(id)
}

func noSuchExec(id string) error {
	return errdefs.ErrNotFound.WithMessage("No such exec instance: " + id)
}

func (p *prepared) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started && p.last.ExitCode == nil
}

// ExecCreate prepares a further process in a running container.
func (m *Module) ExecCreate(ctx context.Context, name string, req container.ExecCreateRequest) (string, error) {
	if len(req.Cmd) == 0 {
		return "", invalid("No exec command specified")
	}
	shimapi.ExpectProcess(shimapi.Soon)
	l, err := m.lookUpStarted(ctx, name)
	if err != nil {
		return "", err
	}
	if err := allow(verbExec, l.record, l.now); err != nil {
		return "", err
	}
	keys, err := detachKeys(req.DetachKeys)
	if err != nil {
		return "", err
	}
	p := &prepared{id: newID(), container: l.ID, req: req, keys: keys, made: time.Now()}
	if err := m.keepWaiting(p); err != nil {
		return "", err
	}
	m.execs.add(p)
	return p.id, m.emitExec(l.record, events.ActionExecCreate, p)
}

func (m *Module) emitExec(r *record, action events.Action, p *prepared) error {
	action = events.Action(string(action) + ": " + p.req.Cmd[0] + " " + strings.Join(p.req.Cmd[1:], " "))
	return m.emit(r, action, map[string]string{"execID": p.id})
}

// ExecStart runs a prepared process and, unless it is detached, carries its streams.
func (m *Module) ExecStart(ctx context.Context, id string, opts backend.ExecStart, hijack backend.Hijack) error {
	p, err := m.findExec(ctx, id)
	if err != nil {
		return err
	}
	l, err := m.lookUpStarted(ctx, p.container)
	if err != nil {
		return err
	}
	if err := allow(verbExec, l.record, l.now); err != nil {
		return err
	}
	if _, err := m.execState(ctx, p); err != nil { // it may have ended, or another process may have started it
		return err
	}
	if err := p.begin(); err != nil {
		return err
	}
	// Before it runs, as docker does: its end is told by the shim.
	if err := m.emitExec(l.record, events.ActionExecStart, p); err != nil {
		return m.execFailed(p, err)
	}
	stream, err := m.runExec(ctx, l, p, opts)
	if err != nil {
		return m.execFailed(p, err)
	}
	if stream == nil {
		return nil
	}
	defer stream.Close()
	conn, err := hijack(p.req.Tty)
	if err != nil {
		return err
	}
	defer conn.Close()
	splice(ctx, conn, stream)
	return nil
}

func (p *prepared) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.last.ExitCode != nil:
		return errdefs.ErrConflict.WithMessage("exec command " + p.id + " has already run")
	case p.started:
		return errdefs.ErrConflict.WithMessage("exec command " + p.id + " is already running")
	}
	p.started = true
	return nil
}

// execFailed remembers that an exec could not be started, and that it is not
// to be tried again. One that another process has started fares on.
func (m *Module) execFailed(p *prepared, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.isWaiting(p) {
		m.dropWaiting(p)
	} else if errdefs.IsConflict(err) {
		return err
	}
	code := 126 // docker's for one that did not get as far as the runtime
	if _, tried := errors.AsType[*shimapi.Error](err); tried {
		code = exitCodeOf(err)
	}
	p.last.ExitCode = &code
	return err
}

func (m *Module) runExec(ctx context.Context, l live, p *prepared, opts backend.ExecStart) (*net.UnixConn, error) {
	client, err := m.client(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	process, err := m.execProcess(ctx, l, p.req)
	if err != nil {
		return nil, err
	}
	size := p.req.ConsoleSize
	if opts.ConsoleSize != nil {
		size = opts.ConsoleSize
	}
	if p.req.Tty && size != nil {
		process.ConsoleSize = &specs.Box{Height: size[0], Width: size[1]}
	}
	stream, pid, err := client.Exec(ctx, shimapi.Exec{
		ID: p.id, Process: process, User: p.req.User, Privileged: p.req.Privileged, Detach: opts.Detach, Prepared: !p.unwritten,
		Streams: shimapi.Attach{Stdin: p.req.AttachStdin, Stdout: p.req.AttachStdout, Stderr: p.req.AttachStderr, DetachKeys: p.keys},
	})
	if err != nil {
		return nil, tooLate(l.ID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = shimapi.ExecState{ID: p.id, Pid: pid, Running: true}
	return stream, nil
}

// execProcess is the container's own process with what the request changes.
func (m *Module) execProcess(ctx context.Context, l live, req container.ExecCreateRequest) (*specs.Process, error) {
	host, err := m.host()
	if err != nil {
		return nil, err
	}
	hc := l.HostConfig
	if req.Privileged && !hc.Privileged {
		all := *hc
		all.Privileged = true
		hc = &all
	}
	config := *l.Config
	config.User = orElse(req.User, config.User)
	if config.WorkingDir = orElse(req.WorkingDir, config.WorkingDir); config.WorkingDir != "" && !path.IsAbs(config.WorkingDir) {
		return nil, invalid("OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown") // runc's words
	}
	links, err := m.linkEnv(ctx, l.record)
	if err != nil {
		return nil, err
	}
	config.Env = spec.MergeEnv(slices.Concat(links, config.Env), req.Env)
	config.Tty = req.Tty
	config.Entrypoint, config.Cmd = nil, req.Cmd
	s, err := spec.Build(spec.Input{
		ID: l.ID, Config: &config, HostConfig: hc, Host: host, Open: inRunning(l.state.Pid),
	})
	if err != nil {
		return nil, err
	}
	s.Process.ConsoleSize = nil
	s.Process.SelinuxLabel = l.inForce().ProcessLabel
	s.Process.ApparmorProfile = spec.AppArmorProfile(l.HostConfig, host) // the container's, also for a privileged one, as docker's
	return s.Process, apparmor.Ensure(s.Process.ApparmorProfile)
}

// inRunning opens files of a running container's root.
func inRunning(pid int) spec.Opener {
	return func(name string) (io.ReadCloser, error) {
		root, err := files.Live(pid)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return root.Open(name)
	}
}

// ExecInspect tells how a further process fares.
func (m *Module) ExecInspect(ctx context.Context, id string) (container.ExecInspectResponse, error) {
	p, err := m.findExec(ctx, id)
	if err != nil {
		return container.ExecInspectResponse{}, err
	}
	state, err := m.execState(ctx, p)
	if err != nil {
		return container.ExecInspectResponse{}, err
	}
	privileged := p.req.Privileged
	return container.ExecInspectResponse{
		ID: p.id, Running: state.Running, ExitCode: state.ExitCode, Pid: state.Pid, ContainerID: p.container,
		OpenStdin: p.req.AttachStdin, OpenStdout: p.req.AttachStdout, OpenStderr: p.req.AttachStderr,
		CanRemove: state.ExitCode != nil, DetachKeys: p.keys,
		ProcessConfig: &container.ExecProcessConfig{
			Tty: p.req.Tty, Entrypoint: p.req.Cmd[0], Arguments: slices.Clone(p.req.Cmd[1:]), User: p.req.User, Privileged: &privileged,
		},
	}, nil
}

// execState asks the shim; one that is gone has left the last states in its last words.
func (m *Module) execState(ctx context.Context, p *prepared) (shimapi.ExecState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.ExitCode != nil || m.isWaiting(p) {
		return p.last, nil
	}
	states, over, err := m.execStates(ctx, p.container)
	if err != nil {
		return p.last, err
	}
	for _, s := range states {
		if s.ID == p.id {
			p.started, p.last = true, s // perhaps by another process
		}
	}
	switch {
	case !p.started: // it was never run, and its container has ended
		return p.last, noSuchExec(p.id)
	case over && p.last.ExitCode == nil: // it ended with the container
		code := 128 + 9
		p.last.Running, p.last.ExitCode = false, &code
	}
	return p.last, nil
}

func (m *Module) execStates(ctx context.Context, id string) (states []shimapi.ExecState, over bool, err error) {
	client, err := shimapi.Dial(ctx, m.paths.ContainerRun(id))
	if err == nil {
		state, err := client.State(ctx)
		if err == nil {
			return state.Execs, state.Status == shimapi.StatusExited, nil
		}
		if !errdefs.IsUnavailable(err) {
			return nil, false, err
		}
	} else if !errdefs.IsNotFound(err) {
		return nil, false, err
	}
	exit, err := readJSON[shimapi.Exit](m.paths.Container(id) + "/" + shimapi.ExitFile)
	if err != nil {
		return nil, true, nil
	}
	return exit.Execs, true, nil
}

// ExecResize sets the size of a further process's terminal.
func (m *Module) ExecResize(ctx context.Context, id string, rows, columns uint) error {
	p, err := m.findExec(ctx, id)
	if err != nil {
		return err
	}
	client, err := m.client(ctx, p.container)
	if err != nil {
		return err
	}
	if err := tooLate(p.container, client.ExecResize(ctx, p.id, rows, columns)); err != nil {
		return fmt.Errorf("resize the terminal of exec %s: %w", id, err)
	}
	return nil
}
