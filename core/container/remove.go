package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// killPatience is how long a killed container may take to end.
const killPatience = 10 * time.Second

// Remove deletes a container: its row, its folders, its place in the network.
func (m *Module) Remove(ctx context.Context, name string, opts backend.ContainerRemove) error {
	if opts.Link {
		return m.removeLink(ctx, name)
	}
	id, err := m.resolve(ctx, name)
	if err != nil {
		return err
	}
	if err := m.removeContainer(ctx, id, opts); err != nil && !errdefs.IsNotFound(err) {
		return cannotRemove(name, err)
	} else if err != nil { // removed meanwhile
		return noSuchContainer(name)
	}
	return nil
}

func cannotRemove(name string, err error) error {
	return fmt.Errorf("cannot remove container %q: %w", name, err)
}

func (m *Module) removeContainer(ctx context.Context, id string, opts backend.ContainerRemove) error {
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	l, err := m.lookLocked(ctx, id)
	if err != nil {
		return err
	}
	if refused := allow(verbRemove, l.record, l.now); refused != nil {
		if !opts.Force {
			return refused
		}
		if err := m.killLocked(ctx, l); err != nil {
			return err
		}
		if l.record, err = m.byID(ctx, id); errdefs.IsNotFound(err) || err == nil && l.Status == removing {
			return nil // it removed itself at its end
		} else if err != nil {
			return err
		}
	}
	return m.removeLocked(ctx, l.record, removeOptions{volumes: opts.Volumes})
}

// killLocked ends a running container for its removal and writes its end down.
func (m *Module) killLocked(ctx context.Context, l live) error {
	client, err := m.client(ctx, l.ID)
	if err == nil {
		err = m.killAndWait(ctx, client, l, killPatience)
	}
	if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) && !errdefs.IsUnavailable(err) {
		return fmt.Errorf("could not kill container: %w", err)
	}
	return m.settleLocked(ctx, l.ID)
}

// killAndWait sends KILL and waits for the end. A container that ends by itself
// at this moment gives an error (of class conflict or unavailable), but not
// before its end can be seen by everybody.
func (m *Module) killAndWait(ctx context.Context, client *shimapi.Client, l live, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ended, err := client.Wait(ctx)
	if err != nil {
		return err
	}
	refused := m.signal(ctx, client, l, unix.SIGKILL, true)
	if refused != nil && !errdefs.IsUnavailable(refused) && !m.isEnding(ctx, client) {
		return refused
	}
	end := <-ended
	if errdefs.IsUnavailable(end.Err) {
		return m.awaitDeath(ctx, l.ID)
	}
	if end.Err != nil {
		return fmt.Errorf("tried to kill container, but did not receive an exit event: %w", end.Err)
	}
	if errdefs.IsConflict(refused) {
		return refused
	}
	return nil
}

// isEnding tells whether the command of a container has ended, and its shim is
// still to say so.
func (m *Module) isEnding(ctx context.Context, client *shimapi.Client) bool {
	state, err := client.State(ctx)
	return err == nil && state.Status == shimapi.StatusExited || errdefs.IsUnavailable(err)
}

type removeOptions struct {
	volumes bool // anonymous ones too
	later   bool // the caller does not wait for what the user cannot see
}

// removeLocked removes a container that does not run. The mark comes first: it
// frees the name and hides the container, and whatever happens afterwards, the
// rest is done by somebody.
func (m *Module) removeLocked(ctx context.Context, r *record, o removeOptions) error {
	return m.removeAllLocked(ctx, []*record{r}, o)[0]
}

// removeAllLocked is removeLocked for many; it gives one error or nil for each.
func (m *Module) removeAllLocked(ctx context.Context, records []*record, o removeOptions) []error {
	errs := make([]error, len(records))
	list := make([]*leaving, len(records))
	connected, err := m.networks.Connected(ctx) // no start is on its way, so this is how it stays
	if err != nil {
		return slices.Repeat([]error{err}, len(records))
	}
	for i, r := range records {
		waits, err := m.waits(ctx, r, o)
		if err != nil {
			return slices.Repeat([]error{err}, len(records)) // the settings cannot be read
		}
		list[i] = &leaving{record: r, waits: waits, volumes: o.volumes, connected: connected[r.ID], held: connected[r.ID] || hasVolumes(r)}
	}
	if err := m.markRemoving(ctx, list...); err != nil {
		return slices.Repeat([]error{err}, len(records))
	}
	m.report(m.emitDestroy(list))
	for i, l := range list {
		if l.marked {
			errs[i] = m.finish(ctx, l, o)
		}
	}
	return errs
}

// finish does what follows the mark.
func (m *Module) finish(ctx context.Context, l *leaving, o removeOptions) error {
	if l.connected {
		if err := m.networks.Disconnect(ctx, l.ID); err != nil { // ports and networks must be free when the client goes on
			return err
		}
	}
	m.gone.removed(l.ID, l.ExitCode)
	switch {
	case l.waits && !l.held:
		return nil
	case l.waits:
		return m.setAside(ctx, l.record, o.volumes)
	case o.later:
		m.later(func(ctx context.Context) error { return m.erase(ctx, l.record, o.volumes) })
		return nil
	}
	return m.erase(ctx, l.record, o.volumes)
}

func hasVolumes(r *record) bool {
	return slices.ContainsFunc(r.Mounts, func(p mountPoint) bool { return p.Type == mount.TypeVolume })
}

// erase deletes what a marked container has left, and its row last. Of its
// network nothing is left but a record, which goes when an address is wanted.
func (m *Module) erase(ctx context.Context, r *record, volumes bool) error {
	defer m.trace.span("remove: erase")()
	errs := []error{m.releaseVolumes(ctx, r, volumes)}
	errs = append(errs, removeAll(m.paths.Container(r.ID)), removeAll(m.paths.ContainerRun(r.ID)))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove container %s: %w", r.ID, err)
	}
	return m.deleteRecord(ctx, r.ID)
}

func (m *Module) releaseVolumes(ctx context.Context, r *record, anonymous bool) error {
	if !hasVolumes(r) {
		return nil
	}
	return m.volumes.Release(ctx, r.ID, anonymous)
}

// removeAll deletes a folder in which the shim may just be deleting, too.
func removeAll(dir string) error {
	var err error
	for range 20 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return err
}

// Prune removes all containers that do not run.
func (m *Module) Prune(ctx context.Context, filters filter.Args) (deleted []string, freed uint64, err error) {
	if err := filters.Validate("label", "label!", "until"); err != nil {
		return nil, 0, err
	}
	until, err := filters.Until(time.Now())
	if err != nil {
		return nil, 0, err
	}
	list, err := m.prunable(ctx, filters, until)
	if err != nil {
		return nil, 0, err
	}
	ctx = backend.WithOperation(ctx, backend.Operation(ctx)) // the same for all
	sizes := map[string]int64{}
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.ID
		sizes[r.ID], _ = m.writableSize(r)
	}
	for part := range slices.Chunk(ids, batch) {
		done := m.removeBatch(ctx, part, removeOptions{})
		for _, id := range part {
			err, together := done[id]
			if !together {
				err = m.removeContainer(ctx, id, backend.ContainerRemove{})
			}
			if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // gone, or started meanwhile
				continue
			}
			if err != nil {
				return deleted, freed, err
			}
			deleted, freed = append(deleted, id), freed+uint64(sizes[id])
		}
	}
	if len(deleted) > 0 {
		err = m.events.Append(events.Message{Type: events.ContainerEventType, Action: events.ActionPrune,
			Actor: events.Actor{Attributes: map[string]string{"reclaimed": fmt.Sprint(freed)}}})
	}
	return deleted, freed, err
}

// prunable lists what a prune takes.
func (m *Module) prunable(ctx context.Context, filters filter.Args, until time.Time) ([]*record, error) {
	records, err := m.query(ctx, `WHERE status <> 'removing' ORDER BY created`)
	if err != nil {
		return nil, err
	}
	var list []*record
	for _, r := range records {
		l, err := m.look(ctx, r)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		stopped := l.state == nil && allow(verbRemove, l.record, l.now) == nil
		if stopped && filters.Labels(r.Config.Labels) && (until.IsZero() || r.Created.Before(until)) {
			list = append(list, l.record)
		}
	}
	return list, nil
}
