package volume

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/backend"
)

// A removal is a journal: its transaction writes where the files are to go
// (volume_trash), only then are they moved there, and only then, where nothing
// waits in the trash, erased. Whoever comes first after a crash moves what was
// not moved (settle) and erases what was not erased.

// removed is a volume that is out of the records.
type removed struct {
	name   string
	folder string // where its files are to lie
	waits  bool   // in the trash
}

// trashOn says whether removed volumes wait.
func (v *Volumes) trashOn(ctx context.Context) (bool, error) {
	if v.settings == nil || backend.SkipsTrash(ctx) {
		return false, nil
	}
	s, err := v.settings.Load()
	return !s.Off(), err
}

// remove takes a volume out of the records, into the journal.
func (v *Volumes) remove(ctx context.Context, tx *sql.Tx, r record) (removed, error) {
	gone := removed{name: r.name, folder: removedPrefix + newName()}
	waits, err := v.trashOn(ctx)
	if err != nil {
		return gone, err
	}
	gone.waits = waits
	var when int64 // 0: waits for nothing
	if waits {
		when = time.Now().UnixNano()
	}
	for _, s := range []struct {
		statement string
		args      []any
	}{
		{`INSERT INTO volume_trash (folder, name, created, labels, options, operation, removed_at)
			SELECT ?, name, created, labels, options, ?, ? FROM volumes WHERE name = ?`, []any{gone.folder, backend.Operation(ctx), when, r.name}},
		{`DELETE FROM volumes WHERE name = ?`, []any{r.name}},
	} {
		if _, err := tx.ExecContext(ctx, s.statement, s.args...); err != nil {
			return gone, fmt.Errorf("remove volume %s: %w", r.name, err)
		}
	}
	return gone, nil
}

// settle moves the files of a removed volume to where the journal wants them,
// unless that has happened. Where a volume of that name exists, it has.
func (v *Volumes) settle(ctx context.Context, tx *sql.Tx, name string) error {
	var folder string
	rows, err := tx.QueryContext(ctx, `SELECT folder FROM volume_trash WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM volumes WHERE name = ?1)`, name)
	if err != nil {
		return fmt.Errorf("read removed volumes: %w", err)
	}
	defer rows.Close()
	root, err := os.OpenRoot(v.store.Paths.Volumes())
	if err != nil {
		return fmt.Errorf("move the files of volume %s: %w", name, err)
	}
	defer root.Close()
	for rows.Next() {
		if err := rows.Scan(&folder); err != nil {
			return fmt.Errorf("read removed volumes: %w", err)
		}
		if _, err := root.Lstat(folder); err == nil {
			continue
		}
		if err := v.unmount(name); err != nil {
			return err
		}
		if err := root.Rename(name, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move the files of volume %s: %w", name, err)
		}
	}
	return rows.Err()
}

// finish ends removals whose transaction has succeeded.
func (v *Volumes) finish(ctx context.Context, gone ...removed) error {
	if len(gone) == 0 {
		return nil
	}
	err := v.transaction(ctx, func(tx *sql.Tx) error {
		var errs []error
		for _, g := range gone {
			errs = append(errs, v.settle(ctx, tx, g.name))
		}
		return errors.Join(errs...)
	})
	errs := []error{err}
	for _, g := range gone {
		if !g.waits && err == nil {
			errs = append(errs, v.erase(ctx, g.folder))
		}
		errs = append(errs, v.emit(events.ActionDestroy, g.name, nil))
	}
	return errors.Join(errs...)
}

// erase deletes the files of a removed volume, then its line in the journal.
func (v *Volumes) erase(ctx context.Context, folder string) error {
	root, err := os.OpenRoot(v.store.Paths.Volumes())
	if err != nil {
		return fmt.Errorf("erase the files of a removed volume: %w", err)
	}
	defer root.Close()
	if err := root.RemoveAll(folder); err != nil {
		return fmt.Errorf("erase the files of a removed volume: %w", err)
	}
	if _, err := v.store.DB.ExecContext(ctx, `DELETE FROM volume_trash WHERE folder = ?`, folder); err != nil {
		return fmt.Errorf("erase the record of a removed volume: %w", err)
	}
	return nil
}
