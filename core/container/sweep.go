package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/thread"
)

// sweep mends what others left: it finishes removals that were marked, writes
// down ends that nobody saw, and deletes folders without a row. It runs beside
// the first commands of every process and must be cheap when there is nothing
// to do.
func (m *Module) sweep() {
	defer m.trace.span("sweep")()
	thread.GrowStack()
	ctx := context.WithoutCancel(m.background)
	m.report(errors.Join(m.sweepRecords(ctx), m.sweepTrash(ctx), m.sweepFolders(ctx), m.sweepVolumes(ctx), m.networks.Mend(ctx)))
}

func (m *Module) sweepRecords(ctx context.Context) error {
	// What waits in the trash is sorted out within the index of states: there may be thousands, and reading their rows
	// would be most of what a short command does.
	records, err := m.query(ctx, `WHERE id IN (SELECT id FROM containers
		WHERE status IN ('removing', 'running') AND id NOT IN (SELECT id FROM container_trash))`)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range records {
		if r.Status == removing {
			errs = append(errs, m.finishRemoval(ctx, r))
			continue
		}
		if _, ended, err := m.claim(r); err != nil || ended {
			errs = append(errs, err, m.settle(ctx, r.ID))
		}
	}
	return errors.Join(errs...)
}

// finishRemoval does what a process that died had marked; one that lives has the lock.
func (m *Module) finishRemoval(ctx context.Context, r *record) error {
	unlock, err := m.lock(ctx, r.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := m.byID(ctx, r.ID); errdefs.IsNotFound(err) || err == nil && now.Status != removing {
		return os.RemoveAll(m.paths.ContainerRun(r.ID)) // the lock has made it again
	}
	if err := m.networks.Disconnect(ctx, r.ID); err != nil {
		return err
	}
	return m.erase(ctx, r, r.HostConfig.AutoRemove)
}

// sweepFolders deletes folders whose row is gone. The folders are listed
// before the rows: a row comes before its folder, so that what is listed and
// has none was removed.
func (m *Module) sweepFolders(ctx context.Context) error {
	folders := map[string][]string{}
	for _, parent := range []string{m.paths.Containers(), m.paths.ContainersRun()} {
		entries, err := os.ReadDir(parent)
		if err != nil {
			return fmt.Errorf("look for folders of removed containers: %w", err)
		}
		for _, e := range entries {
			folders[e.Name()] = append(folders[e.Name()], filepath.Join(parent, e.Name()))
		}
	}
	if len(folders) == 0 {
		return nil
	}
	rows, err := m.db.QueryContext(ctx, `SELECT id FROM containers`)
	if err != nil {
		return fmt.Errorf("look for folders of removed containers: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		delete(folders, id)
	}
	errs := []error{rows.Err()}
	for id, paths := range folders {
		if alive, err := m.shimAlive(id); err != nil || alive { // it still cleans up
			continue
		}
		for _, p := range paths {
			errs = append(errs, os.RemoveAll(p))
		}
	}
	return errors.Join(errs...)
}

// sweepVolumes ends the mounts of containers that do not run: of a start that
// was killed before anything ran, or of one that is gone.
func (m *Module) sweepVolumes(ctx context.Context) error {
	ids, err := m.volumes.Attached(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, m.detachIfIdle(ctx, id))
	}
	return errors.Join(errs...)
}

func (m *Module) detachIfIdle(ctx context.Context, id string) error {
	unlock, err := m.lock(ctx, id) // no start is on its way
	if err != nil {
		return err
	}
	defer unlock()
	r, err := m.byID(ctx, id)
	if errdefs.IsNotFound(err) {
		return errors.Join(m.volumes.Detach(ctx, id), os.RemoveAll(m.paths.ContainerRun(id)))
	}
	if err != nil || r.Status == running {
		return err
	}
	return m.volumes.Detach(ctx, id)
}
