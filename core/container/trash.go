package container

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// A container in the trash is one whose removal has been marked and not
// finished: its name, ports and volumes are free, its row, writable layer and
// log are still there, and no sweep touches them while container_trash has it.

// waits says whether a removed container goes to the trash. One that was to
// remove itself never does: its layer was not meant to last.
func (m *Module) waits(ctx context.Context, r *record, o removeOptions) (bool, error) {
	if m.settings == nil || backend.SkipsTrash(ctx) || r.HostConfig.AutoRemove || o.later {
		return false, nil
	}
	s, err := m.settings.Load()
	return !s.Off(), err
}

// setAside lets go of what others may want while the container waits. The run
// folder stays: its lock keeps a start after an undo from meeting the last
// shim, which may still be cleaning up.
func (m *Module) setAside(ctx context.Context, r *record, anonymous bool) error {
	if err := m.releaseVolumes(ctx, r, anonymous); err != nil {
		return fmt.Errorf("remove container %s: %w", r.ID, err)
	}
	if _, err := m.write(ctx, `UPDATE container_trash SET aside = 1 WHERE id = ?`, r.ID); err != nil {
		return fmt.Errorf("remove container %s: %w", r.ID, err)
	}
	return nil
}

// sweepTrash sets aside what a killed removal had only marked.
func (m *Module) sweepTrash(ctx context.Context) error {
	records, err := m.query(ctx, `WHERE id IN (SELECT id FROM container_trash WHERE aside = 0)`)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range records {
		errs = append(errs, m.setAsideLate(ctx, r))
	}
	return errors.Join(errs...)
}

func (m *Module) setAsideLate(ctx context.Context, r *record) error {
	unlock, err := m.lock(ctx, r.ID)
	if err != nil {
		return err
	}
	defer unlock()
	var anonymous bool
	err = m.db.QueryRowContext(ctx, `SELECT volumes FROM container_trash WHERE id = ? AND aside = 0`, r.ID).Scan(&anonymous)
	if errors.Is(err, sql.ErrNoRows) { // done meanwhile, or brought back
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the removed container %s: %w", r.ID, err)
	}
	return errors.Join(m.networks.Disconnect(ctx, r.ID), m.setAside(ctx, r, anonymous))
}

type waiting struct {
	item   backend.TrashItem
	status status
}

func (m *Module) waiting(ctx context.Context) (list []waiting, err error) {
	rows, err := m.db.QueryContext(ctx, `SELECT id, name, status, operation, removed_at, size FROM container_trash`)
	if err != nil {
		return nil, fmt.Errorf("list removed containers: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		w := waiting{item: backend.TrashItem{Kind: backend.TrashContainer}}
		var name string
		var removed int64
		if err := rows.Scan(&w.item.ID, &name, &w.status, &w.item.Operation, &removed, &w.item.Bytes); err != nil {
			return nil, fmt.Errorf("list removed containers: %w", err)
		}
		w.item.Names, w.item.RemovedAt = []string{name}, time.Unix(0, removed)
		list = append(list, w)
	}
	return list, rows.Err()
}

// TrashItems implements trash.Part.
func (m *Module) TrashItems(ctx context.Context) ([]backend.TrashItem, error) {
	list, err := m.waiting(ctx)
	items := make([]backend.TrashItem, len(list))
	for i, w := range list {
		items[i] = w.item
	}
	return items, err
}

// TrashWaits implements trash.Part.
func (m *Module) TrashWaits(ctx context.Context) (some bool, err error) {
	if err := m.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM container_trash)`).Scan(&some); err != nil {
		return false, fmt.Errorf("look for removed containers: %w", err)
	}
	return some, nil
}

// TrashMeasure implements trash.Part.
func (m *Module) TrashMeasure(ctx context.Context) error {
	list, err := m.waiting(ctx)
	if err != nil {
		return err
	}
	for _, w := range list {
		if w.item.Bytes >= 0 {
			continue
		}
		size, err := diskUsage(m.paths.Container(w.item.ID))
		if err != nil {
			return err
		}
		if _, err := m.db.ExecContext(ctx, `UPDATE container_trash SET size = ? WHERE id = ?`, size, w.item.ID); err != nil {
			return fmt.Errorf("note the size of the removed container %s: %w", w.item.ID, err)
		}
	}
	return nil
}

// TrashErase implements trash.Part: the removal goes on where it had stopped.
func (m *Module) TrashErase(ctx context.Context, pick func(backend.TrashItem) bool) error {
	list, err := m.waiting(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range list {
		if pick(w.item) {
			errs = append(errs, m.eraseWaiting(ctx, w.item.ID))
		}
	}
	return errors.Join(errs...)
}

func (m *Module) eraseWaiting(ctx context.Context, id string) error {
	res, err := m.db.ExecContext(ctx, `DELETE FROM container_trash WHERE id = ?`, id)
	if err != nil {
		return fmt.Errorf("erase container %s: %w", id, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err // somebody else does it
	}
	r, err := m.byID(ctx, id)
	if err != nil {
		return err
	}
	return m.finishRemoval(ctx, r)
}

// TrashRestore implements trash.Part. Containers come back stopped; one whose
// layers are gone does not.
func (m *Module) TrashRestore(ctx context.Context, pick func(backend.TrashItem) bool) (done []backend.Restored, err error) {
	list, err := m.waiting(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range list {
		if !pick(w.item) {
			continue
		}
		one, err := m.restore(ctx, w)
		if err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

func (m *Module) restore(ctx context.Context, w waiting) (one backend.Restored, err error) {
	one.Item = w.item
	lease, err := m.images.Lease(ctx) // no layer goes now
	if err != nil {
		return one, err
	}
	defer lease.Close()
	r, err := m.byID(ctx, w.item.ID)
	if err != nil {
		return one, err
	}
	for _, dir := range m.lowerDirs(r) {
		if _, err := os.Stat(dir); err != nil {
			one.Note = "the layers of its image " + r.Image + " have been freed"
			return one, nil
		}
	}
	var notes []string
	lost, err := m.lostVolumes(r)
	if err != nil {
		return one, err
	}
	name, err := m.unmark(ctx, w)
	if err != nil {
		return one, err
	}
	if name == "" {
		one.Note = "somebody else has brought it back or erased it"
		return one, nil
	}
	r.Name, one.Back = name, true
	if name != w.item.Names[0] {
		notes = append(notes, "another container has its name: it is called "+name+" now")
	}
	if len(lost) > 0 {
		notes = append(notes, "its volume "+strings.Join(lost, ", ")+" was gone: it is a new one")
	}
	if r.ExitCode == 137 {
		notes = append(notes, "it comes back stopped")
	}
	one.Note = strings.Join(notes, "; ")
	return one, m.makeVolumes(ctx, r, false)
}

// lostVolumes names the volumes that are not there any more.
func (m *Module) lostVolumes(r *record) (names []string, err error) {
	for _, p := range r.Mounts {
		if p.Type != mount.TypeVolume {
			continue
		}
		_, err := os.Stat(filepath.Join(m.paths.Volumes(), p.Name))
		if errors.Is(err, os.ErrNotExist) && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("look for volume %s: %w", p.Name, err)
		}
	}
	return names, nil
}

// unmark makes a container of the trash visible again, under its own name or
// one like it. It returns no name when the container is not in the trash.
func (m *Module) unmark(ctx context.Context, w waiting) (name string, err error) {
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("bring container %s back: %w", w.item.ID, err)
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, `DELETE FROM container_trash WHERE id = ?`, w.item.ID)
	if err != nil {
		return "", fmt.Errorf("bring container %s back: %w", w.item.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return "", err
	}
	for _, name = range []string{w.item.Names[0], w.item.Names[0] + "-undone", w.item.Names[0] + "-" + w.item.ID[:12]} {
		var taken bool
		if err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM containers WHERE name = ?)`, name).Scan(&taken); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", fmt.Errorf("bring container %s back: %w", w.item.ID, err)
		}
		if !taken {
			break
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE containers SET status = ?, name = ? WHERE id = ? AND status = 'removing'`, w.status, name, w.item.ID); err != nil {
		return "", fmt.Errorf("bring container %s back: %w", w.item.ID, err)
	}
	return name, tx.Commit()
}

// Plan says what removing the containers would do. Leaving are those that
// would go.
func (m *Module) Plan(ctx context.Context, names []string, opts backend.ContainerRemove) (plan backend.RemovalPlan, leaving map[string]bool, err error) {
	leaving = map[string]bool{}
	for _, name := range names {
		l, err := m.lookUp(ctx, name)
		if err == nil && leaving[l.ID] {
			err = noSuchContainer(name)
		}
		if err == nil && !opts.Force {
			if err = allow(verbRemove, l.record, l.now); err != nil {
				err = cannotRemove(name, err)
			}
		}
		if opts.Force && errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			plan.Errors, plan.Failed = append(plan.Errors, err.Error()), true
			continue
		}
		leaving[l.ID] = true
		plan.Lines = append(plan.Lines, name)
		size, err := m.writableSize(l.record)
		if err != nil {
			return plan, leaving, err
		}
		plan.Bytes += uint64(size)
	}
	return plan, leaving, nil
}

// PlanPrune is Plan for Prune.
func (m *Module) PlanPrune(ctx context.Context, filters filter.Args) (plan backend.RemovalPlan, leaving map[string]bool, err error) {
	if err := filters.Validate("label", "label!", "until"); err != nil {
		return plan, nil, err
	}
	until, err := filters.Until(time.Now())
	if err != nil {
		return plan, nil, err
	}
	list, err := m.prunable(ctx, filters, until)
	if err != nil {
		return plan, nil, err
	}
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.ID
	}
	return m.Plan(ctx, ids, backend.ContainerRemove{})
}
