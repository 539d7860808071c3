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

	"github.com/nacre-sh/nacre/core/store"
)

// The layer store rewrites the list of all its layers for each one that it
// deletes: a thousand take half a minute of waiting for the disk. So a layer's
// files go first, through the store's driver, which moves them out of the way
// at once; its record in the store is stale from then on (stale_layers) and
// deleted when there is time. Whoever makes the layer anew before that finds a
// record without files, and deletes it (adopt).

// freeLayers forgets layers and moves their files out of the way; erase, which
// must be called, deletes these. After a crash in between the store has layers
// that the index does not know, never the reverse.
func (s *Service) freeLayers(ctx context.Context, layers storage.Store, chains []digest.Digest) (erase func() error, err error) {
	var cleanups []func() error
	erase = func() error {
		var errs []error
		for _, clean := range cleanups {
			errs = append(errs, clean())
		}
		return errors.Join(errs...)
	}
	driver, err := layers.GraphDriver()
	if err != nil {
		return erase, err
	}
	err = s.change(ctx, func(tx *store.Tx) error {
		for _, chain := range chains {
			if err := forgetLayer(ctx, tx, chain); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return erase, err
	}
	for _, chain := range chains {
		clean, err := driver.DeferredRemove(chain.Encoded())
		if clean != nil {
			cleanups = append(cleanups, clean)
		}
		if err != nil {
			return erase, fmt.Errorf("layer %s: %w", shortID(chain), err)
		}
	}
	return erase, nil
}

func forgetLayer(ctx context.Context, tx *store.Tx, chain digest.Digest) error {
	l, err := layerOf(ctx, tx, chain)
	if err != nil {
		return fmt.Errorf("free layer %s: %w", shortID(chain), err)
	}
	if err := exec(ctx, tx, `INSERT OR IGNORE INTO stale_layers (chain) VALUES (?)`, chain.String()); err != nil {
		return err
	}
	if err := exec(ctx, tx, `DELETE FROM layers WHERE chain = ?`, chain.String()); err != nil {
		return err
	}
	return exec(ctx, tx, `DELETE FROM blobs WHERE diff_id = ?1 AND NOT EXISTS (SELECT 1 FROM layers WHERE diff_id = ?1)`, l.DiffID.String())
}

// freeRecords deletes the stale records of the layer store, and layers that it
// has and nobody knows. It returns the number of the latter.
func (s *Service) freeRecords(ctx context.Context, open bool) (int, error) {
	var stale []digest.Digest
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var chain digest.Digest
		err := rows.Scan(&chain)
		stale = append(stale, chain)
		return err
	}, `SELECT chain FROM stale_layers`)
	if err != nil || len(stale) == 0 && !open {
		return 0, err
	}
	layers, err := s.store.Layers()
	if err != nil {
		return 0, err
	}
	for _, chain := range stale {
		done, err := s.alone(func() error { return s.freeRecord(ctx, layers, chain) })
		if !done || err != nil || ctx.Err() != nil {
			return 0, err
		}
		time.Sleep(breath)
	}
	freed := 0
	_, err = s.alone(func() (err error) {
		freed, err = s.freeStrays(ctx, layers)
		return err
	})
	return freed, err
}

// alone does a short work while nobody makes layers, or says that somebody does.
func (s *Service) alone(work func() error) (bool, error) {
	held, err := s.locks.exclusive()
	if held == nil || err != nil {
		return false, err
	}
	defer held.release()
	return true, work()
}

// freeRecord deletes the record of a layer unless it has been made anew.
func (s *Service) freeRecord(ctx context.Context, layers storage.Store, chain digest.Digest) error {
	_, err := layerOf(ctx, s.store.DB, chain)
	if errors.Is(err, sql.ErrNoRows) {
		err = deleteLayer(layers, chain.Encoded())
	}
	if err != nil {
		return fmt.Errorf("free the record of layer %s: %w", shortID(chain), err)
	}
	return exec(ctx, s.store.DB, `DELETE FROM stale_layers WHERE chain = ?`, chain.String())
}

// deleteLayer deletes a layer from the store whoever lies above it: that the
// index knows. The store's DeleteLayer would copy all its records to find out.
func deleteLayer(layers storage.Store, id string) error {
	err := layers.Delete(id)
	if errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrNotALayer) {
		return nil
	}
	return err
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
	freed := 0
	for _, l := range all {
		if known[l.ID] {
			continue
		}
		if err := deleteLayer(layers, l.ID); err != nil {
			return freed, fmt.Errorf("free layer %s: %w", short(l.ID), err)
		}
		freed++
	}
	return freed, nil
}

// hasFiles says whether a layer that the store has on record has its files.
func (s *Service) hasFiles(layers storage.Store, id string) (bool, error) {
	driver, err := layers.GraphDriver()
	if err != nil {
		return false, err
	}
	where, err := driver.Metadata(id)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find layer %s: %w", short(id), err)
	}
	_, err = os.Stat(filepath.Clean(where["UpperDir"]))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
