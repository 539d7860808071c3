package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// keepUnused is how long layers of no image are kept: an interrupted pull that
// is tried again finds what it had.
const keepUnused = time.Hour

// chunk bounds how long the collector keeps pulls and new containers waiting,
// breath is when they get their turn.
const (
	chunk  = 4
	breath = 2 * leasePoll
)

// idleCollect is how often a process that lives on looks for what others left.
const idleCollect = 30 * time.Second

// Collect frees the layers of removed images, and what crashes left behind,
// until nothing is left or the budget is used up (0: no bound). It gives way
// to pulls and to containers being created: while one is under way it frees
// nothing and returns. It returns the number of layers freed.
func (s *Service) Collect(ctx context.Context, budget time.Duration) (int, error) {
	if err := s.clearStaging(); err != nil {
		return 0, err
	}
	if idle, err := s.nothingToCollect(ctx); idle || err != nil {
		return 0, err
	}
	end := time.Now().Add(budget)
	freed := 0
	for budget == 0 || time.Now().Before(end) {
		n, err := s.collectChunk(ctx, freed > 0)
		freed += n
		if err != nil || n == 0 || ctx.Err() != nil {
			return freed, err
		}
		time.Sleep(breath)
	}
	return freed, nil
}

// CollectInBackground collects whenever this process has removed something, and
// from time to time what others could not, until ctx ends. Problems go to
// failed: nobody waits for an answer.
func (s *Service) CollectInBackground(ctx context.Context, failed func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-time.After(idleCollect):
		}
		if _, err := s.Collect(ctx, 0); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// FinishCollecting is for a process that ends: if it has removed images, their
// layers are freed as far as the budget allows. What is left is for others.
func (s *Service) FinishCollecting(ctx context.Context, budget time.Duration) error {
	if !s.removed.Load() {
		return nil
	}
	_, err := s.Collect(ctx, budget)
	return err
}

// clearStaging removes the half unpacked layers of pulls that were killed: the
// layer store does so only when it is shut down, which nobody may do for all.
func (s *Service) clearStaging() error {
	staging := filepath.Join(s.store.Paths.Layers(), "overlay", "staging")
	left, err := os.ReadDir(staging)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(left) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for half unpacked layers: %w", err)
	}
	held, err := s.locks.exclusive()
	if held == nil || err != nil {
		return err // a pull is under way, they may be its
	}
	defer held.release()
	for _, entry := range left {
		if err := os.RemoveAll(filepath.Join(staging, entry.Name())); err != nil {
			return fmt.Errorf("remove a half unpacked layer: %w", err)
		}
	}
	return nil
}

// nothingToCollect spares most processes the opening of the layer store.
func (s *Service) nothingToCollect(ctx context.Context) (bool, error) {
	var some bool
	err := s.store.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM images WHERE removed_at <= ?)
		OR EXISTS (SELECT 1 FROM layers l WHERE made_at < ? AND NOT EXISTS (SELECT 1 FROM image_layers i WHERE i.chain = l.chain))`,
		s.trashLimit(), time.Now().Add(-keepUnused).UnixNano()).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("look for garbage: %w", err)
	}
	return !some, nil
}

// trashLimit is the time before which removed images cannot be brought back.
func (s *Service) trashLimit() int64 { return time.Now().Add(-s.opts.KeepTrash).UnixNano() }

// collectChunk frees a few layers with everybody else kept out. The layer store
// is opened only if there is something to free; once it is open, it is also
// searched for layers that nobody knows.
func (s *Service) collectChunk(ctx context.Context, open bool) (int, error) {
	held, err := s.locks.exclusive()
	if held == nil || err != nil {
		return 0, err
	}
	defer held.release()
	if err := s.emptyTrash(ctx); err != nil {
		return 0, err
	}
	doomed, err := s.doomedLayers(ctx)
	if err != nil || len(doomed) == 0 && !open {
		return 0, err
	}
	layers, err := s.store.Layers()
	if err != nil {
		return 0, err
	}
	if len(doomed) == 0 {
		return s.freeStrays(ctx, layers)
	}
	for i, chain := range doomed {
		if err := s.freeLayer(ctx, layers, chain); err != nil {
			return i, err
		}
	}
	return len(doomed), nil
}

// emptyTrash forgets the removed images that no container was made from.
func (s *Service) emptyTrash(ctx context.Context) error {
	var ids []digest.Digest
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var id digest.Digest
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM images WHERE removed_at <= ?`, s.trashLimit())
	if err != nil {
		return err
	}
	var free []digest.Digest
	for _, id := range ids {
		users, err := s.users(ctx, id)
		if err != nil {
			return err
		}
		if len(users) == 0 {
			free = append(free, id)
		}
	}
	if len(free) == 0 {
		return nil
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, id := range free {
			// Not the hour of grace: these are no leftovers of an interrupted pull.
			err := exec(ctx, tx, `UPDATE layers SET made_at = 0 WHERE chain IN (SELECT chain FROM image_layers WHERE image = ?)`, id.String())
			if err != nil {
				return err
			}
			if err := exec(ctx, tx, `DELETE FROM images WHERE id = ? AND removed_at IS NOT NULL`, id.String()); err != nil {
				return err
			}
		}
		return nil
	})
}

// doomedLayers finds layers that belong to no image and have no layer above them.
func (s *Service) doomedLayers(ctx context.Context) ([]digest.Digest, error) {
	var out []digest.Digest
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var chain digest.Digest
		err := rows.Scan(&chain)
		out = append(out, chain)
		return err
	}, `SELECT chain FROM layers l WHERE made_at < ?
		AND NOT EXISTS (SELECT 1 FROM image_layers i WHERE i.chain = l.chain)
		AND NOT EXISTS (SELECT 1 FROM layers above WHERE above.parent = l.chain) LIMIT ?`,
		time.Now().Add(-keepUnused).UnixNano(), chunk)
	return out, err
}

// freeLayer forgets a layer, then deletes its files: after a crash in between
// the store has a layer that the index does not know, never the reverse.
func (s *Service) freeLayer(ctx context.Context, layers storage.Store, chain digest.Digest) error {
	err := s.change(ctx, func(tx *sql.Tx) error {
		l, err := layerOf(ctx, tx, chain)
		if err != nil {
			return fmt.Errorf("free layer %s: %w", shortID(chain), err)
		}
		if err := exec(ctx, tx, `DELETE FROM layers WHERE chain = ?`, chain.String()); err != nil {
			return err
		}
		return exec(ctx, tx, `DELETE FROM blobs WHERE diff_id = ? AND NOT EXISTS (SELECT 1 FROM layers WHERE diff_id = ?)`, l.DiffID.String(), l.DiffID.String())
	})
	if err != nil {
		return err
	}
	if err := layers.DeleteLayer(chain.Encoded()); err != nil && !errors.Is(err, storage.ErrLayerUnknown) {
		return fmt.Errorf("free layer %s: %w", shortID(chain), err)
	}
	return nil
}

// freeStrays deletes layers that the store has and the index does not know.
// Nobody is making layers now, so they are what a crash left.
func (s *Service) freeStrays(ctx context.Context, layers storage.Store) (int, error) {
	known := map[string]bool{}
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var chain digest.Digest
		err := rows.Scan(&chain)
		known[encoded(chain)] = true
		return err
	}, `SELECT chain FROM layers`)
	if err != nil {
		return 0, err
	}
	all, err := layers.Layers()
	if err != nil {
		return 0, fmt.Errorf("list the layers: %w", err)
	}
	parents := map[string]bool{}
	for _, l := range all {
		parents[l.Parent] = true
	}
	freed := 0
	for _, l := range all {
		if known[l.ID] || parents[l.ID] {
			continue // a stray below another stray goes the next time
		}
		if err := layers.DeleteLayer(l.ID); err != nil {
			return freed, fmt.Errorf("free layer %s: %w", short(l.ID), err)
		}
		freed++
	}
	return freed, nil
}
