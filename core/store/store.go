package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/errdefs"
	"go.podman.io/storage"

	_ "modernc.org/sqlite" // the database driver, pure Go
)

// Store is one engine's opened state. The layer store is opened on first use,
// because listing and running containers do not need it and opening costs
// milliseconds per thousand images.
type Store struct {
	Paths Paths
	DB    *sql.DB

	layersOnce sync.Once
	layers     storage.Store
	layersErr  error
}

// Open creates the roots where they are missing (mode 0711 for data, 0700 for
// exec) and opens the database. It fails with errdefs.ErrPermissionDenied
// without the rights to do so, and with errdefs.ErrFailedPrecondition when a
// newer nacre has written the database.
func Open(ctx context.Context, paths Paths) (*Store, error) {
	for dir, mode := range map[string]os.FileMode{
		paths.Data: 0o711, paths.Containers(): 0o710, paths.Volumes(): 0o711, paths.Temp(): 0o700,
		paths.Exec: 0o711, paths.ContainersRun(): 0o711,
	} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return nil, classify(fmt.Errorf("open the store at %s: %w", paths.Data, err))
		}
	}
	db, err := openDB(ctx, paths.StateDB())
	if err != nil {
		return nil, classify(fmt.Errorf("open the store at %s: %w", paths.Data, err))
	}
	return &Store{Paths: paths, DB: db}, nil
}

func classify(err error) error {
	if os.IsPermission(err) {
		return fmt.Errorf("%w\nhint: run nacre as root, or choose folders of your own with --data-root and --exec-root: %w",
			err, errdefs.ErrPermissionDenied)
	}
	return err
}

// Layers opens containers/storage on first use (overlay driver).
func (s *Store) Layers() (storage.Store, error) {
	s.layersOnce.Do(func() {
		s.layers, s.layersErr = storage.GetStore(storage.StoreOptions{
			GraphRoot:       s.Paths.Layers(),
			RunRoot:         s.Paths.LayersRun(),
			GraphDriverName: "overlay",
			GraphDriverOptions: []string{
				"overlay.skip_mount_home=true",
			},
		})
		if s.layersErr != nil {
			s.layersErr = fmt.Errorf("open the layer store at %s: %w", s.Paths.Layers(), s.layersErr)
		}
	})
	return s.layers, s.layersErr
}

// Close releases the database; the layer store has nothing to close.
func (s *Store) Close() error { return s.DB.Close() }
