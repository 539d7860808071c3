// Package history keeps the lines that were typed at the prompt: the line, the
// folder and the engine it was typed for, when, how long it took, how it ended,
// and in which session. All sessions share one SQLite database while they run.
// Lines that hold a password never reach it. The prompt walks through it,
// searches it and takes its grey suggestions from it; `history` lists, searches
// and exports it.
//
// The shell must start whatever state the database is in: a damaged one is put
// aside, a locked or unreadable one costs a warning, and lines are then
// remembered in memory.
package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Entry is one line that was typed. Times are kept in milliseconds.
type Entry struct {
	ID       int64
	Text     string // may hold newlines
	Dir      string
	Engine   string // "" for the embedded engine, else a context's name or a host
	Session  string
	Start    time.Time
	Duration time.Duration
	Status   int
	Ended    bool // Duration and Status are known
}

// Options say what a session is.
type Options struct {
	// Session names this session; "" makes a name.
	Session string
	// Engine names the engine that lines go to at the moment; nil: the embedded one.
	Engine func() string
	// Window is how many of the newest lines are held in memory, 0 for the default.
	Window int
}

// defaultWindow is enough for what a person remembers; older lines are found by Search.
const defaultWindow = 10_000

// Path is where the history lies for an environment:
// $XDG_STATE_HOME/nacre/history.db, else ~/.local/state/nacre/history.db. It is
// empty when the environment names no home.
func Path(getenv func(string) string) string {
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "nacre", "history.db")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "nacre", "history.db")
	}
	return ""
}

// Store is a history. It is safe for concurrent use.
type Store struct {
	path    string
	options Options
	db      *sql.DB // nil: in memory only

	mu         sync.Mutex
	recent     []Entry // the newest lines, oldest first
	distinct   []int   // indexes of recent whose text does not come again, newest first; nil: to be made
	seen       stamp   // of the write-ahead log when recent was read
	last       int64   // the newest ID that recent has
	generation int64   // counts deletions, by whomever
	waiting    []*pending
	loaded     chan struct{} // closed when recent has been read the first time
}

// schemaVersion is the database's user_version. A newer one is left alone.
const schemaVersion = 1

// The text index knows which rows hold which three letters, nothing else: what
// it finds is compared with the text itself.
const schema = `
CREATE TABLE line (
	id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, dir TEXT NOT NULL, engine TEXT NOT NULL,
	session TEXT NOT NULL, start INTEGER NOT NULL, duration INTEGER, status INTEGER);
CREATE INDEX line_dir ON line (dir);
CREATE INDEX line_session ON line (session);
CREATE INDEX line_engine ON line (engine) WHERE engine <> '';
CREATE INDEX line_failed ON line (id) WHERE status <> 0;
CREATE VIRTUAL TABLE letters USING fts5 (text, content='line', content_rowid='id', tokenize='trigram', detail=none, columnsize=0);
CREATE TRIGGER line_added AFTER INSERT ON line BEGIN
	INSERT INTO letters (rowid, text) VALUES (new.id, new.text); END;
CREATE TRIGGER line_gone AFTER DELETE ON line BEGIN
	INSERT INTO letters (letters, rowid, text) VALUES ('delete', old.id, old.text); END;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 0);
`

// busy is how long a line waits for another session's write. What cannot be
// written then is written with the next line.
const busy = 250 * time.Millisecond

// patience is how long a beginning and an ending session wait for another process.
const patience = 3 * time.Second

// Open opens the history at path, which need not exist; "" gives one in memory.
// The store can be used whatever happens; the error says, for one warning, why
// lines are not kept, or what was put aside.
func Open(path string, o Options) (*Store, error) {
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	if o.Session == "" {
		o.Session = strconv.FormatInt(time.Now().UnixMilli(), 36) + "-" + strconv.Itoa(os.Getpid())
	}
	s := &Store{path: path, options: o, loaded: make(chan struct{})}
	if path == "" {
		close(s.loaded)
		return s, nil
	}
	db, err := openDB(path)
	for end := time.Now().Add(patience); locked(err) && time.Now().Before(end); {
		db, err = openDB(path) // another session makes the tables
	}
	if damaged(err) {
		aside := path + ".damaged-" + strconv.FormatInt(time.Now().Unix(), 10)
		if moveErr := putAside(path, aside); moveErr != nil {
			err = errors.Join(err, moveErr)
		} else if db, err = openDB(path); err == nil {
			err = fmt.Errorf("the history was damaged and is now %s; a new one begins", aside)
		}
	}
	if s.db = db; db == nil {
		close(s.loaded)
		return s, fmt.Errorf("open the history: lines are kept in memory only: %w", err)
	}
	go s.load()
	return s, err
}

// Close writes what still waits to be written.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	<-s.loaded
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.flush()
	for end := time.Now().Add(patience); err == nil && len(s.waiting) > 0 && time.Now().Before(end); {
		err = s.flush()
	}
	if n := len(s.waiting); err == nil && n > 0 {
		err = fmt.Errorf("keep %d lines in the history: another process holds it", n)
	}
	return errors.Join(err, s.db.Close())
}

// Session is the name of this session.
func (s *Store) Session() string { return s.options.Session }

func openDB(path string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	// SQLite would make the file readable for others; its further files take this one's mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()), "journal_mode(WAL)", "synchronous(NORMAL)", "secure_delete(ON)"},
		"_txlock": {"immediate"},
	}.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	if err := migrate(db, path); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// migrate makes the tables of a new database and takes over the lines of the
// file that nacre kept before it had one.
func migrate(db *sql.DB, path string) error {
	switch v, err := version(db); {
	case err != nil:
		return err
	case v > schemaVersion:
		return fmt.Errorf("%s was written by a newer nacre", path)
	case v == schemaVersion:
		return nil
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// Another session may have been quicker.
	if v, err := version(tx); err != nil || v == schemaVersion {
		return err
	}
	if _, err := tx.Exec(schema + fmt.Sprintf("PRAGMA user_version = %d;", schemaVersion)); err != nil {
		return err
	}
	old := legacyPath(path)
	if old == path { // a database of that name: there is no older file
		return tx.Commit()
	}
	if err := takeOver(tx, old); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old history: %w", err)
	}
	return nil
}

func version(q interface {
	QueryRow(query string, args ...any) *sql.Row
}) (v int, err error) {
	return v, q.QueryRow("PRAGMA user_version").Scan(&v)
}

func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return -1
}

func damaged(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}

func locked(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}

func putAside(path, to string) error {
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+end, to+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(path, to)
}
