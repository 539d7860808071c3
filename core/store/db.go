package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"

	"github.com/containerd/errdefs"
)

// Module is one owner of tables. Steps are its schema's history: step i brings
// the schema from version i to i+1. A step, once released, never changes.
type Module struct {
	Name  string
	Steps []string
}

// openDB opens the database in WAL mode: any number of processes read while
// one writes, a writer waits up to ten seconds for another, and a crash leaves
// the state before or after a transaction. Transactions take the write lock
// when they begin, so that none fails half way for want of it.
func openDB(file string) (*sql.DB, error) {
	if err := private(file); err != nil {
		return nil, err
	}
	dsn := (&url.URL{Scheme: "file", Path: file, RawQuery: url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)"},
		"_txlock": {"immediate"},
	}.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(idleConnections)
	return db, nil
}

// idleConnections are kept open: opening one takes as long as many queries.
const idleConnections = 4

// readVersions reads all modules' schema versions at once, and makes their
// table in a new database.
func readVersions(ctx context.Context, db *sql.DB) (map[string]int, error) {
	versions := map[string]int{}
	rows, err := db.QueryContext(ctx, `SELECT module, version FROM schema`)
	if err != nil {
		// A new database; whatever else is wrong shows here as well.
		_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema (module TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID`)
		return versions, err
	}
	defer rows.Close()
	for rows.Next() {
		var module string
		var version int
		if err := rows.Scan(&module, &version); err != nil {
			return nil, err
		}
		versions[module] = version
	}
	return versions, rows.Err()
}

// private makes the file where it is missing, readable by its owner only: it
// holds the environment of containers. SQLite's further files take its mode.
func private(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() == 0o600 {
		return err
	}
	return f.Chmod(0o600)
}

// Migrate brings a module's tables to the newest version in one transaction.
// It fails with errdefs.ErrFailedPrecondition when the database already has a
// version that this program does not know.
func (s *Store) Migrate(ctx context.Context, m Module) error {
	if s.versions[m.Name] == len(m.Steps) {
		return nil
	}
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", m.Name, err)
	}
	defer tx.Rollback()
	from, err := s.version(ctx, tx, m)
	if err != nil {
		return err
	}
	for _, step := range m.Steps[from:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("migrate %s from version %d: %w", m.Name, from, err)
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO schema (module, version) VALUES (?, ?)
		ON CONFLICT (module) DO UPDATE SET version = excluded.version`, m.Name, len(m.Steps)); err != nil {
		return fmt.Errorf("migrate %s: %w", m.Name, err)
	}
	return tx.Commit()
}

func (s *Store) version(ctx context.Context, tx *sql.Tx, m Module) (int, error) {
	var v int
	err := tx.QueryRowContext(ctx, `SELECT version FROM schema WHERE module = ?`, m.Name).Scan(&v)
	switch {
	case err == sql.ErrNoRows:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the schema version of %s: %w", m.Name, err)
	case v > len(m.Steps):
		return 0, fmt.Errorf("the store at %s was written by a newer nacre (%s version %d, this one knows %d)\nhint: use that nacre, or choose another --data-root: %w",
			s.Paths.Data, m.Name, v, len(m.Steps), errdefs.ErrFailedPrecondition)
	}
	return v, nil
}
