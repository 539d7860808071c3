package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"golang.org/x/sync/errgroup"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Start runs a container. detachKeys are the attached client's affair.
func (m *Module) Start(ctx context.Context, name, detachKeys string) error {
	done := m.trace.span("start")
	defer done()
	m.unstarted.Store(0)
	id, err := m.resolve(ctx, name)
	if err != nil {
		return err
	}
	return m.startContainer(ctx, id)
}

func (m *Module) startContainer(ctx context.Context, id string) error {
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	l, err := m.lookLocked(ctx, id)
	if err != nil {
		return err
	}
	if err := allow(verbStart, l.record, l.now); err != nil {
		return err
	}
	b, release, err := m.bind(ctx, id)
	if err != nil {
		return m.startFailed(ctx, l.record, err)
	}
	defer release()
	before := *l.record
	if err := m.run(ctx, l.record, b, nil); err != nil {
		l.record.Status, l.record.StartedAt = before.Status, before.StartedAt
		return m.startFailed(ctx, l.record, err)
	}
	m.bound.started(id, b)
	m.report(m.emitMounts(l.record, events.ActionMount))
	return nil
}

// startAgain lets a container's policy go on whose shim was killed: a new one
// takes over, and makes the policy's pause. The container's lock is held.
func (m *Module) startAgain(ctx context.Context, r *record) error {
	again := &shimapi.Again{RestartCount: r.RestartCount, ExitCode: r.ExitCode, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt}
	b, release, err := m.bind(ctx, r.ID)
	if err != nil {
		return m.startFailed(ctx, r, err)
	}
	defer release()
	if err := m.run(ctx, r, b, again); err != nil {
		r.Status, r.StartedAt, r.FinishedAt = exited, again.StartedAt, again.FinishedAt
		return m.startFailed(ctx, r, err)
	}
	m.bound.started(r.ID, b)
	m.report(m.emitMounts(r, events.ActionMount))
	return nil
}

type stayDownKey struct{}

// keepDown lets no policy bring back what is found to have ended: at the
// machine's end, and where the caller starts it itself.
func keepDown(ctx context.Context) context.Context {
	return context.WithValue(ctx, stayDownKey{}, true)
}

func stayDown(ctx context.Context) bool { return ctx.Value(stayDownKey{}) != nil }

// lookLocked is look for whoever holds the lock.
func (m *Module) lookLocked(ctx context.Context, id string) (live, error) {
	r, err := m.byID(ctx, id)
	if errdefs.IsNotFound(err) {
		return live{}, errors.Join(err, os.RemoveAll(m.paths.ContainerRun(id))) // which the lock has made
	}
	if err != nil {
		return live{}, err
	}
	if r.Status == running {
		l, ended, err := m.claim(r)
		if err != nil || !ended {
			return l, err
		}
		if err := m.settleLocked(ctx, id); err != nil {
			return live{}, err
		}
		if r, err = m.byID(ctx, id); err != nil {
			return live{}, err
		}
	}
	return m.afterwards(r)
}

// run starts the container: the row says running before the command runs, so
// that no end goes unseen.
func (m *Module) run(ctx context.Context, r *record, b *binding, again *shimapi.Again) error {
	if err := os.Remove(filepath.Join(m.paths.Container(r.ID), shimapi.ExitFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the last end of container %s: %w", r.ID, err)
	}
	var endpoints backend.Endpoints
	before, bctx := errgroup.WithContext(ctx)
	before.Go(func() error {
		defer m.trace.span("start: record")()
		r.Status, r.StartedAt, r.Error, r.ExitCode, r.Stopped, r.OOMKilled = running, time.Now().UTC(), "", 0, false, false
		return m.saveState(bctx, r)
	})
	before.Go(func() (err error) {
		defer m.trace.span("start: network")()
		endpoints, err = m.connect(bctx, r, b)
		return err
	})
	watched := m.watch(r.ID, b)
	done := m.trace.span("start: specification")
	start, err := m.startRequest(ctx, r, b)
	done()
	switch {
	case err != nil:
		_ = before.Wait() // what it has done is undone by who hears of the error
	case again == nil && canBeHeld(r):
		err = m.runHeld(ctx, r, b, start, func() (backend.Endpoints, error) { return endpoints, before.Wait() })
	default:
		if err = before.Wait(); err == nil {
			addFiles(start, m.smallFiles(r, endpoints))
			start.Again = again
			err = m.askShim(ctx, b, start)
		}
	}
	watched <- err == nil
	return err
}

func (m *Module) askShim(ctx context.Context, b *binding, start *shimapi.Start) error {
	defer m.trace.span("start: shim runs it")()
	_, err := b.client.Start(ctx, start)
	return err
}

// canBeHeld tells whether the container can be made while its network is still
// being joined. What a namespace of its own gets there is known before: hosts
// and resolv.conf exist, whatever they will say. Settings of interfaces (and the defaults that
// these begin with) are made by the init, and need the interfaces.
func canBeHeld(r *record) bool {
	mode := r.HostConfig.NetworkMode
	for name := range r.HostConfig.Sysctls {
		if strings.HasPrefix(name, "net.") {
			return false
		}
	}
	return !mode.IsHost() && !mode.IsContainer()
}

// runHeld lets the shim make the container beside the rest, and holds its
// command until that is done too. When it fails, nothing has run.
func (m *Module) runHeld(ctx context.Context, r *record, b *binding, start *shimapi.Start, rest func() (backend.Endpoints, error)) error {
	addFiles(start, m.smallFiles(r, backend.Endpoints{Hosts: []byte{}, ResolvConf: []byte{}}))
	start.Held = true
	ended := make(chan error, 1)
	go func() {
		endpoints, err := rest()
		release := shimapi.Release{}
		if err != nil {
			release.Cancel = err.Error()
		} else {
			release.Files = m.smallFiles(r, endpoints)
		}
		_ = b.client.Release(ctx, release) // the start fails, or has failed, where this does
		ended <- err
	}()
	err := m.askShim(ctx, b, start)
	if cause := <-ended; cause != nil {
		return cause
	}
	return err
}

// watch waits beside the start for the container's end, so that a nacre that
// lives on writes it down at once. Nothing is lost without it. The channel is
// told whether the start succeeded: a failed one says so itself.
func (m *Module) watch(id string, b *binding) chan<- bool {
	started := make(chan bool, 1)
	ctx, cancel := context.WithCancel(m.background)
	result, err := b.client.Wait(ctx)
	if err != nil {
		cancel()
		return started
	}
	m.tasks.Go(func() {
		defer cancel()
		res := <-result
		if !<-started || res.Err != nil && !errdefs.IsUnavailable(res.Err) {
			return
		}
		if res.Err != nil && m.awaitDeath(ctx, id) != nil {
			return
		}
		m.report(m.settle(context.WithoutCancel(ctx), id))
	})
	return started
}

// report notes an error of work that nobody waits for; the next look does the work again.
func (m *Module) report(err error) {
	if err != nil {
		m.trace.step("left to the next look: " + err.Error())
	}
}

// startFailed writes down why a container did not start: it stays created, or
// has exited as before, with another exit code. One that removes itself goes.
func (m *Module) startFailed(ctx context.Context, r *record, cause error) error {
	if errdefs.IsNotModified(cause) {
		return cause
	}
	ctx = context.WithoutCancel(ctx)
	r.ExitCode, r.Error = exitCodeOf(cause), cause.Error()
	if r.Status == exited {
		r.FinishedAt = time.Now().UTC()
	}
	errs := []error{cause, m.networks.Disconnect(ctx, r.ID), m.detachVolumes(ctx, r)}
	if r.HostConfig.AutoRemove {
		errs = append(errs, m.removeLocked(ctx, r, removeOptions{volumes: true, later: true}))
	} else {
		errs = append(errs, m.saveState(ctx, r))
	}
	if err := errors.Join(errs[1:]...); err != nil {
		m.report(err)
	}
	return cause
}

// exitCodeOf is docker's: 126 and 127 for a command that could not be run, 128 for the rest.
func exitCodeOf(err error) int {
	if e, ok := errors.AsType[*shimapi.Error](err); ok && e.Code != 0 {
		return e.Code
	}
	return 128
}

// connect joins the container's networks and keeps what it was given.
func (m *Module) connect(ctx context.Context, r *record, b *binding) (backend.Endpoints, error) {
	req := endpointRequest(r, b.netns, keeperOf(b.netns))
	if err := m.findLinks(ctx, r, &req, true); err != nil {
		return backend.Endpoints{}, err
	}
	endpoints, err := m.networks.Connect(ctx, req)
	if err != nil {
		return endpoints, err
	}
	return endpoints, m.keepNetwork(r.ID, endpoints.Settings)
}

func (m *Module) keepNetwork(id string, settings *container.NetworkSettings) error {
	if settings == nil {
		settings = &container.NetworkSettings{}
	}
	content, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("keep the network settings of container %s: %w", id, err)
	}
	if err := os.WriteFile(filepath.Join(m.paths.ContainerRun(id), networkFile), content, 0o600); err != nil {
		return fmt.Errorf("keep the network settings of container %s: %w", id, err)
	}
	return nil
}

// pidPath names a namespace of another container's init.
func (m *Module) pidPath(ctx context.Context, id, namespace string) (string, error) {
	l, err := m.lookUp(ctx, id)
	if err != nil {
		return "", err
	}
	if l.state == nil || l.state.Pid == 0 {
		return "", errdefs.ErrConflict.WithMessage(cannotJoin(namespace, l))
	}
	return "/proc/" + strconv.Itoa(l.state.Pid) + "/ns/" + namespace, nil
}

// cannotJoin says that another container does not run, in docker's words.
func cannotJoin(namespace string, other live) string {
	if namespace == "net" {
		return fmt.Sprintf("cannot join network namespace of a non running container: container %s is %s", other.Name, other.now)
	}
	return fmt.Sprintf("failed to join %s namespace: container %s is not running", strings.ToUpper(namespace), other.ID)
}

// ipcPath is pidPath for the IPC namespace, which its owner must have opened to others.
func (m *Module) ipcPath(ctx context.Context, id string) (string, error) {
	donor, err := m.find(ctx, id)
	if err != nil {
		return "", err
	}
	path, err := m.pidPath(ctx, id, "ipc")
	if err == nil && !donor.HostConfig.IpcMode.IsShareable() {
		return "", invalid("failed to join IPC namespace: container %s: non-shareable IPC (hint: use IpcMode:shareable for the donor container)", donor.ID)
	}
	return path, err
}
