package volume

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/backend"
)

// waiting is a volume in the trash.
type waiting struct {
	record
	folder, operation string
	removedAt         time.Time // zero: it is to be erased
	size              int64
}

func (w waiting) item() backend.TrashItem {
	return backend.TrashItem{Kind: backend.TrashVolume, ID: w.name, Names: []string{w.name}, Operation: w.operation, RemovedAt: w.removedAt, Bytes: w.size}
}

func waitingVolumes(ctx context.Context, q querier, where string, args ...any) ([]waiting, error) {
	rows, err := q.QueryContext(ctx, `SELECT folder, name, created, labels, options, operation, removed_at, size FROM volume_trash `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read removed volumes: %w", err)
	}
	defer rows.Close()
	var all []waiting
	for rows.Next() {
		var w waiting
		var created, removedAt int64
		var labels, options []byte
		if err := rows.Scan(&w.folder, &w.name, &created, &labels, &options, &w.operation, &removedAt, &w.size); err != nil {
			return nil, fmt.Errorf("read removed volumes: %w", err)
		}
		if err := w.unmarshal(labels, options); err != nil {
			return nil, fmt.Errorf("read the removed volume %s: %w", w.name, err)
		}
		w.created = time.Unix(0, created)
		if removedAt != 0 {
			w.removedAt = time.Unix(0, removedAt)
		}
		all = append(all, w)
	}
	return all, rows.Err()
}

// TrashItems implements trash.Part.
func (v *Volumes) TrashItems(ctx context.Context) ([]backend.TrashItem, error) {
	all, err := waitingVolumes(ctx, v.store.DB, `WHERE removed_at > 0`)
	items := make([]backend.TrashItem, len(all))
	for i, w := range all {
		items[i] = w.item()
	}
	return items, err
}

// TrashWaits implements trash.Part.
func (v *Volumes) TrashWaits(ctx context.Context) (some bool, err error) {
	if err := v.store.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM volume_trash WHERE removed_at > 0)`).Scan(&some); err != nil {
		return false, fmt.Errorf("look for removed volumes: %w", err)
	}
	return some, nil
}

// TrashMeasure implements trash.Part.
func (v *Volumes) TrashMeasure(ctx context.Context) error {
	all, err := waitingVolumes(ctx, v.store.DB, `WHERE removed_at > 0 AND size < 0`)
	if err != nil {
		return err
	}
	for _, w := range all {
		size, err := treeSize(ctx, filepath.Join(v.store.Paths.Volumes(), w.folder))
		if err != nil {
			return fmt.Errorf("size of the removed volume %s: %w", w.name, err)
		}
		if _, err := v.store.DB.ExecContext(ctx, `UPDATE volume_trash SET size = ? WHERE folder = ?`, size, w.folder); err != nil {
			return fmt.Errorf("size of the removed volume %s: %w", w.name, err)
		}
	}
	return nil
}

// TrashRestore implements trash.Part. A volume whose name was taken meanwhile
// goes on waiting.
func (v *Volumes) TrashRestore(ctx context.Context, pick func(backend.TrashItem) bool) (done []backend.Restored, err error) {
	all, err := waitingVolumes(ctx, v.store.DB, `WHERE removed_at > 0 ORDER BY removed_at DESC`)
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		if !pick(w.item()) {
			continue
		}
		one := backend.Restored{Item: w.item()}
		err := v.transaction(ctx, func(tx *sql.Tx) (err error) {
			one.Back, one.Note, err = v.restore(ctx, tx, w)
			return err
		})
		if err == nil && one.Back {
			err = v.emit(events.ActionCreate, w.name, nil)
		}
		if err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

func (v *Volumes) restore(ctx context.Context, tx *sql.Tx, w waiting) (back bool, note string, err error) {
	if still, err := waitingVolumes(ctx, tx, `WHERE folder = ? AND removed_at > 0`, w.folder); err != nil || len(still) == 0 {
		return false, "somebody else has brought it back or erased it", err
	}
	if same, err := query(ctx, tx, `WHERE name = ?`, w.name); err != nil || len(same) > 0 {
		return false, "a new volume has its name; rename is not possible: remove that one first", err
	}
	if err := v.settle(ctx, tx, w.name); err != nil {
		return false, "", err
	}
	for _, statement := range []string{
		`INSERT INTO volumes (name, created, labels, options) SELECT name, created, labels, options FROM volume_trash WHERE folder = ?`,
		`DELETE FROM volume_trash WHERE folder = ?`,
	} {
		if _, err := tx.ExecContext(ctx, statement, w.folder); err != nil {
			return false, "", fmt.Errorf("bring volume %s back: %w", w.name, err)
		}
	}
	root, err := os.OpenRoot(v.store.Paths.Volumes())
	if err != nil {
		return false, "", fmt.Errorf("bring volume %s back: %w", w.name, err)
	}
	defer root.Close()
	if err := root.Rename(w.folder, w.name); err != nil {
		return false, "", fmt.Errorf("bring the files of volume %s back: %w", w.name, err)
	}
	if w.options["type"] == "tmpfs" {
		note = "what was in its tmpfs is lost"
	}
	return true, note, nil
}

// TrashErase implements trash.Part. It also erases what crashes have left.
func (v *Volumes) TrashErase(ctx context.Context, pick func(backend.TrashItem) bool) error {
	all, err := waitingVolumes(ctx, v.store.DB, "")
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range all {
		if w.removedAt.IsZero() || pick(w.item()) {
			errs = append(errs, v.eraseWaiting(ctx, w))
		}
	}
	return errors.Join(errs...)
}

func (v *Volumes) eraseWaiting(ctx context.Context, w waiting) error {
	claimed := false
	err := v.transaction(ctx, func(tx *sql.Tx) error {
		if err := v.settle(ctx, tx, w.name); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `UPDATE volume_trash SET removed_at = 0 WHERE folder = ?`, w.folder)
		if err != nil {
			return fmt.Errorf("erase volume %s: %w", w.name, err)
		}
		n, err := res.RowsAffected()
		claimed = n == 1
		return err
	})
	if err != nil || !claimed {
		return err
	}
	return v.erase(ctx, w.folder)
}
