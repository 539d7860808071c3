package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/containerd/errdefs"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Store is one engine's opened state. The layer store is opened on first use,
// because listing and running containers do not need it and opening costs
// milliseconds per thousand images.
type Store struct {
	Paths Paths
	DB    *sql.DB

	versions map[string]int // of the modules' schemas when the database was opened
	watcher  watcher

	layersOnce sync.Once
	layers     storage.Store
	layersErr  error
}

// Open creates the roots where they are missing (mode 0710 for data, 0711 for
// exec) and opens the database. It fails with errdefs.ErrInvalidArgument where
// the kernel could not mount what lies in the data root, errdefs.ErrPermissionDenied
// without the rights to do so, errdefs.ErrDataLoss when the database is
// damaged and errdefs.ErrResourceExhausted when the disk is full; Migrate fails
// with errdefs.ErrFailedPrecondition when a newer nacre has written it.
func Open(ctx context.Context, paths Paths) (*Store, error) {
	if err := paths.check(); err != nil {
		return nil, err
	}
	if err := makeFolders(paths); err != nil {
		return nil, classify(fmt.Errorf("open the store at %s: %w", paths.Data, err))
	}
	keepReserve(paths)
	db, err := openDB(paths.StateDB())
	if err != nil {
		return nil, classify(fmt.Errorf("open the store at %s: %w", paths.Data, err))
	}
	versions, err := readVersions(ctx, db)
	if err != nil {
		db.Close()
		return nil, classify(fmt.Errorf("open the store at %s: %w", paths.Data, err))
	}
	return &Store{Paths: paths, DB: db, versions: versions}, nil
}

// makeFolders makes what is missing of the roots. What containers write lies
// below the data root, set-user-ID programs among it, which no user of the host
// is to run or even to look at: the doors are shut, also that of volumes which
// an older nacre has left open. The mode of a root that was there is the user's choice.
func makeFolders(paths Paths) error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{ // parents first, or they get the mode of what is below them
		{paths.Data, 0o710}, {paths.Containers(), 0o710}, {paths.Volumes(), 0o710}, {paths.Temp(), 0o700},
		{paths.Exec, 0o711}, {paths.ContainersRun(), 0o711},
	} {
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return err
		}
	}
	info, err := os.Stat(paths.Volumes())
	if err != nil || info.Mode().Perm()&0o007 == 0 {
		return err
	}
	return os.Chmod(paths.Volumes(), 0o710)
}

// classify gives the errors of opening a class and the user a next step.
func classify(err error) error {
	var db *sqlite.Error
	errors.As(err, &db)
	is := func(code int) bool { return db != nil && db.Code()&0xff == code }
	hinted := func(hint string, class error) error { return fmt.Errorf("%w\nhint: %s: %w", err, hint, class) }
	switch {
	case os.IsPermission(err), errors.Is(err, fs.ErrPermission), is(sqlite3.SQLITE_CANTOPEN), is(sqlite3.SQLITE_READONLY), is(sqlite3.SQLITE_PERM):
		return hinted("run nacre as root, or choose folders of your own with --data-root and --exec-root", errdefs.ErrPermissionDenied)
	case is(sqlite3.SQLITE_NOTADB), is(sqlite3.SQLITE_CORRUPT):
		return hinted("state.db is damaged; put a copy of it back, or move it away to begin anew", errdefs.ErrDataLoss)
	case errors.Is(err, unix.ENOSPC), is(sqlite3.SQLITE_FULL), db != nil && db.Code() == sqlite3.SQLITE_IOERR_SHMSIZE:
		return hinted("make room on the disk of the data root", errdefs.ErrResourceExhausted)
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
func (s *Store) Close() error { return errors.Join(s.watcher.close(), s.DB.Close()) }
