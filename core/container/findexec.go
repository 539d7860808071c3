package container

import (
	"context"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// findExec finds a further process by its id. One that another process of
// nacre's has created waits in its file; one that another has started is looked
// for where it runs: the shims know what was asked of them, and keep it in
// their last words.
func (m *Module) findExec(ctx context.Context, id string) (*prepared, error) {
	p, unknown := m.execs.get(id)
	if unknown == nil {
		return p, nil
	}
	if p, err := m.findWaiting(id); err != nil || p != nil {
		return p, err
	}
	records, err := m.query(ctx, `WHERE status IN ('running', 'exited') ORDER BY created DESC`)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Status == exited && time.Since(r.FinishedAt) > keepExec {
			continue
		}
		states, err := m.knownExecs(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, s := range states {
			if s.ID == id {
				return m.execs.adopt(r.ID, s), nil
			}
		}
	}
	return nil, unknown
}

func (m *Module) knownExecs(ctx context.Context, r *record) ([]shimapi.ExecState, error) {
	if r.Status == running {
		states, _, err := m.execStates(ctx, r.ID)
		return states, err
	}
	exit, err := readJSON[shimapi.Exit](filepath.Join(m.paths.Container(r.ID), shimapi.ExitFile))
	if err != nil { // it ended without a word
		return nil, nil
	}
	return exit.Execs, nil
}

// adopt remembers an exec that another process has started.
func (e *execs) adopt(containerID string, s shimapi.ExecState) *prepared {
	p := &prepared{
		id: s.ID, container: containerID, keys: s.Streams.DetachKeys, made: time.Now(), started: true, last: s,
		req: container.ExecCreateRequest{
			Cmd: s.Args, User: s.User, Tty: s.Terminal, Privileged: s.Privileged,
			AttachStdin: s.Streams.Stdin, AttachStdout: s.Streams.Stdout, AttachStderr: s.Streams.Stderr,
		},
	}
	e.add(p)
	return p
}

// killExec sends a signal to a further process that is named by its id, which
// docker can only inspect. It gives notFound where there is none.
func (m *Module) killExec(ctx context.Context, id string, sig syscall.Signal, notFound error) error {
	p, err := m.findExec(ctx, id)
	if errdefs.IsNotFound(err) {
		return notFound
	}
	if err != nil {
		return err
	}
	client, err := m.client(ctx, p.container)
	if err != nil {
		return err
	}
	return tooLate(p.container, client.ExecKill(ctx, p.id, int(sig)))
}
