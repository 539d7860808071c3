package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// Cache keeps what was read from the database until any process changes
// anything there. It is for what a shell reads again and again, as lists, and
// costs a one-shot command nothing: the first Get only reads.
type Cache[T any] struct {
	mu      sync.Mutex
	used    bool
	kept    bool
	version int64
	value   T
}

// Get returns what load has returned since the last change of the database, or
// else now. Callers share the value and must not change it.
func (c *Cache[T]) Get(ctx context.Context, s *Store, load func() (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.used {
		c.used = true
		return load()
	}
	version, err := s.dataVersion(ctx)
	if err != nil || c.kept && version == c.version {
		return c.value, err
	}
	c.kept = false
	value, err := load()
	if err == nil {
		// A change between the two questions shows the next time, because the version is the older one.
		c.kept, c.version, c.value = true, version, value
	}
	return value, err
}

// watcher is a connection that never writes: to it, every change of the
// database is somebody else's, and SQLite tells it of those.
type watcher struct {
	mu   sync.Mutex
	conn *sql.Conn
}

// dataVersion returns a number that changes with every commit of any process.
func (s *Store) dataVersion(ctx context.Context) (version int64, err error) {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	if s.watcher.conn == nil {
		if s.watcher.conn, err = s.DB.Conn(ctx); err != nil {
			return 0, fmt.Errorf("watch the store: %w", err)
		}
	}
	if err := s.watcher.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
		return 0, fmt.Errorf("watch the store: %w", err)
	}
	return version, nil
}

func (w *watcher) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	return w.conn.Close()
}
