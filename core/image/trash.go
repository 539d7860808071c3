package image

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// trashSchema tells which command removed what, and what is left to free. A module of its own: it came
// after the index.
var trashSchema = store.Module{Name: "image trash", Steps: []string{`
ALTER TABLE images ADD COLUMN removed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE trash_names ADD COLUMN operation TEXT NOT NULL DEFAULT '';
CREATE TABLE stale_layers (chain TEXT PRIMARY KEY) WITHOUT ROWID; -- freed, but still on record in the layer store
`}}

// doomed is the removed_at of images that wait for nothing but the collector.
const doomed = 1

func (s *Service) trashOn(ctx context.Context) (bool, error) {
	if s.opts.Settings == nil || backend.SkipsTrash(ctx) {
		return false, nil
	}
	settings, err := s.opts.Settings.Load()
	return !settings.Off(), err
}

// Kick lets the collector look for work.
func (s *Service) Kick() {
	select {
	case s.kick <- struct{}{}:
	default: // it knows already
	}
}

// keepName remembers a name that is taken away.
func (w *removal) keepName(ctx context.Context, tx *store.Tx, n ref, id digest.Digest) error {
	if !w.waits {
		return nil
	}
	return exec(ctx, tx, `INSERT INTO trash_names (name, image, removed_at, operation) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET operation = excluded.operation`, n.full, id.String(), w.now.UnixNano(), w.operation)
}

// keepImage takes an image out of sight.
func (w *removal) keepImage(ctx context.Context, tx *store.Tx, id digest.Digest) error {
	when := int64(doomed)
	if w.waits {
		when = w.now.UnixNano()
	}
	return exec(ctx, tx, `UPDATE images SET removed_at = ?, removed_by = ? WHERE id = ?`, when, w.operation, id.String())
}

// TrashItems implements trash.Part: images, and names of images that are still there.
func (s *Service) TrashItems(ctx context.Context) ([]backend.TrashItem, error) {
	var items []backend.TrashItem
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var removed int64
		item := backend.TrashItem{Kind: backend.TrashImage}
		err := rows.Scan(&item.ID, &item.Operation, &removed, &item.Bytes)
		item.RemovedAt = time.Unix(0, removed)
		items = append(items, item)
		return err
	}, `SELECT id, removed_by, removed_at, (SELECT COALESCE(SUM(l.size), 0) FROM image_layers i JOIN layers l ON l.chain = i.chain
			WHERE i.image = images.id AND NOT EXISTS (SELECT 1 FROM image_layers o JOIN images m ON m.id = o.image
				WHERE o.chain = i.chain AND m.removed_at IS NULL))
		FROM images WHERE removed_at > ?`, doomed)
	if err != nil {
		return nil, err
	}
	return s.trashNames(ctx, items)
}

// trashNames gives the items their names, and the names without a removed
// image items of their own.
func (s *Service) trashNames(ctx context.Context, items []backend.TrashItem) ([]backend.TrashItem, error) {
	at := map[string]int{}
	for i, item := range items {
		at[item.ID+" "+item.Operation] = i
	}
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var name, image, operation string
		var removed int64
		if err := rows.Scan(&name, &image, &operation, &removed); err != nil {
			return err
		}
		key := image + " " + operation
		i, known := at[key]
		if !known {
			i, at[key] = len(items), len(items)
			items = append(items, backend.TrashItem{Kind: backend.TrashName, ID: image, Operation: operation, RemovedAt: time.Unix(0, removed)})
		}
		items[i].Names = append(items[i].Names, ref{full: name, canonical: strings.Contains(name, "@")}.familiar())
		return nil
	}, `SELECT t.name, t.image, t.operation, t.removed_at FROM trash_names t JOIN images m ON m.id = t.image
		WHERE m.removed_at IS NULL OR m.removed_at > ? ORDER BY t.name`, doomed)
	return items, err
}

// TrashBytes is what all waiting images take, shared layers once.
func (s *Service) TrashBytes(ctx context.Context) (size int64, err error) {
	err = s.store.DB.QueryRowContext(ctx, `SELECT COALESCE(SUM(size), 0) FROM layers
		WHERE chain IN (SELECT i.chain FROM image_layers i JOIN images m ON m.id = i.image WHERE m.removed_at > ?)
		AND chain NOT IN (SELECT i.chain FROM image_layers i JOIN images m ON m.id = i.image WHERE m.removed_at IS NULL)`, doomed).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("add up the removed layers: %w", err)
	}
	return size, nil
}

// TrashWaits implements trash.Part.
func (s *Service) TrashWaits(ctx context.Context) (some bool, err error) {
	err = s.store.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM images WHERE removed_at > ?1)
		OR EXISTS (SELECT 1 FROM trash_names t JOIN images m ON m.id = t.image WHERE m.removed_at IS NULL OR m.removed_at > ?1)`, doomed).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("look for removed images: %w", err)
	}
	return some, nil
}

// TrashMeasure implements trash.Part; the index knows all sizes.
func (s *Service) TrashMeasure(context.Context) error { return nil }

// TrashErase implements trash.Part. The collector frees the layers later.
func (s *Service) TrashErase(ctx context.Context, pick func(backend.TrashItem) bool) error {
	items, err := s.TrashItems(ctx)
	if err != nil || !slices.ContainsFunc(items, pick) {
		return err
	}
	return s.change(ctx, func(tx *store.Tx) error {
		for _, item := range items {
			if !pick(item) {
				continue
			}
			if err := exec(ctx, tx, `DELETE FROM trash_names WHERE image = ? AND operation = ?`, item.ID, item.Operation); err != nil {
				return err
			}
			err := exec(ctx, tx, `UPDATE images SET removed_at = ? WHERE id = ? AND removed_at > 0 AND removed_by = ?`, doomed, item.ID, item.Operation)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// TrashRestore implements trash.Part. A name that another image has taken
// meanwhile stays with that.
func (s *Service) TrashRestore(ctx context.Context, pick func(backend.TrashItem) bool) (done []backend.Restored, err error) {
	items, err := s.TrashItems(ctx)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if !pick(item) {
			continue
		}
		var one backend.Restored
		var names []string
		err := s.change(ctx, func(tx *store.Tx) (err error) {
			one, names, err = restore(ctx, tx, item)
			return err
		})
		if err != nil {
			return done, err
		}
		for _, name := range names {
			if err := s.emit(events.ActionTag, item.ID, name, nil); err != nil {
				return done, err
			}
		}
		done = append(done, one)
	}
	return done, nil
}

func restore(ctx context.Context, tx *store.Tx, item backend.TrashItem) (one backend.Restored, names []string, err error) {
	one = backend.Restored{Item: item, Back: true}
	var lost bool
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*) = 0 FROM images WHERE id = ? AND (removed_at IS NULL OR removed_at > ?)`, item.ID, doomed).Scan(&lost)
	if err != nil {
		return one, nil, fmt.Errorf("read the image index: %w", err)
	}
	if lost {
		one.Back, one.Note = false, "its layers have been freed meanwhile"
		return one, nil, nil
	}
	if err := exec(ctx, tx, `UPDATE images SET removed_at = NULL, removed_by = '' WHERE id = ?`, item.ID); err != nil {
		return one, nil, err
	}
	var kept []string
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		kept = append(kept, name)
		return err
	}, `SELECT name FROM trash_names WHERE image = ? AND operation = ?`, item.ID, item.Operation)
	if err != nil {
		return one, nil, err
	}
	var taken []string
	for _, name := range kept {
		free, err := restoreName(ctx, tx, name, digest.Digest(item.ID))
		if err != nil {
			return one, nil, err
		}
		shown := ref{full: name, canonical: strings.Contains(name, "@")}.familiar()
		if free {
			names = append(names, shown)
		} else {
			taken = append(taken, shown)
		}
	}
	if len(taken) > 0 {
		one.Note = "another image has the name " + strings.Join(taken, ", ") + " now"
		one.Back = item.Kind != backend.TrashName || len(names) > 0
	}
	return one, names, exec(ctx, tx, `DELETE FROM trash_names WHERE image = ? AND operation = ?`, item.ID, item.Operation)
}

// restoreName gives an image its name back unless another one has it.
func restoreName(ctx context.Context, tx *store.Tx, name string, id digest.Digest) (free bool, err error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return false, fmt.Errorf("read the removed name %s: %w", name, err)
	}
	has, err := lookup(ctx, tx, named)
	switch {
	case err == nil:
		return has == id, nil
	case err != sql.ErrNoRows:
		return false, fmt.Errorf("read the image index: %w", err)
	}
	if c, ok := named.(reference.Canonical); ok {
		return true, setRepoDigest(ctx, tx, c.Name(), c.Digest(), id)
	}
	return true, setName(ctx, tx, named, id)
}
