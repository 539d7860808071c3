package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/store"
)

// keepUnused is how long layers of no image, and parts of layers, are kept: an
// interrupted pull that is tried again finds what it had.
const keepUnused = time.Hour

// chunk bounds how long the collector keeps pulls and new containers waiting:
// so many layers it moves out of the way at a time. breath is when they get
// their turn.
const (
	chunk  = 32
	breath = 2 * leasePoll
)

// Collect frees the layers of removed images, and what crashes left behind,
// until nothing is left or the budget is used up (0: no bound). It gives way
// to pulls and to containers being created: while one is under way it frees
// nothing and returns. It returns the number of layers freed.
func (s *Service) Collect(ctx context.Context, budget time.Duration) (int, error) {
	if err := s.clearStaging(); err != nil {
		return 0, err
	}
	if err := s.clearDownloads(time.Now().Add(-keepUnused)); err != nil {
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

// Kicked receives when this process has removed something.
func (s *Service) Kicked() <-chan struct{} { return s.kick }

// Pending says whether there are layers to free, for whoever asks often.
func (s *Service) Pending(ctx context.Context) (bool, error) {
	idle, err := s.nothingToCollect(ctx)
	return !idle || s.oldDownloads(time.Now().Add(-keepUnused)), err
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
	err := s.store.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM images WHERE removed_at <= ?) OR EXISTS (SELECT 1 FROM stale_layers)
		OR EXISTS (SELECT 1 FROM layers l WHERE made_at < ? AND NOT EXISTS (SELECT 1 FROM image_layers i WHERE i.chain = l.chain))`,
		doomed, time.Now().Add(-keepUnused).UnixNano()).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("look for garbage: %w", err)
	}
	return !some, nil
}

// collectChunk frees a few layers with everybody else kept out; their files are
// deleted when the others have their turn again. The layer store is opened only
// if there is something to free; once it is open, it is also rid of the records
// of freed layers and searched for layers that nobody knows.
func (s *Service) collectChunk(ctx context.Context, open bool) (int, error) {
	held, err := s.locks.exclusive()
	if held == nil || err != nil {
		return 0, err
	}
	defer held.release()
	if err := s.emptyTrash(ctx); err != nil {
		return 0, err
	}
	free, err := s.doomedLayers(ctx)
	if err != nil {
		return 0, err
	}
	if len(free) == 0 {
		held.release()
		return s.freeRecords(ctx, open)
	}
	layers, err := s.store.Layers()
	if err != nil {
		return 0, err
	}
	erase, err := s.freeLayers(ctx, layers, free)
	held.release()
	if erased := erase(); err == nil {
		err = erased
	}
	if err != nil {
		return 0, fmt.Errorf("free layers: %w", err)
	}
	return len(free), nil
}

// emptyTrash forgets the removed images that no container was made from.
func (s *Service) emptyTrash(ctx context.Context) error {
	var ids []digest.Digest
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var id digest.Digest
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM images WHERE removed_at <= ?`, doomed)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return nil
	}
	users, err := s.allUsers(ctx, nil)
	if err != nil {
		return err
	}
	free := slices.DeleteFunc(ids, func(id digest.Digest) bool { return len(users[id]) > 0 })
	if len(free) == 0 {
		return nil
	}
	return s.change(ctx, func(tx *store.Tx) error {
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

// doomedLayers finds some layers that belong to no image, those above others first.
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
