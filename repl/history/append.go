package history

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxLine bounds one line in bytes; a larger one (a pasted file) is not worth keeping.
const maxLine = 64 << 10

// pending is a line whose last word is not written yet.
type pending struct {
	entry Entry // ID is 0 until the line is in the database
	dirty bool  // the database does not know how it ended
}

// Began stores a line that is about to run in a folder and returns what to call
// when it has ended with its exit status. Empty lines and secrets are not
// stored. An error means that the line is kept in memory only.
func (s *Store) Began(line, dir string) (ended func(status int) error, _ error) {
	line = strings.TrimRight(line, "\n\t ")
	if line == "" || len(line) > maxLine || Secret(line) {
		return func(int) error { return nil }, nil
	}
	e := Entry{Text: strings.ReplaceAll(line, "\x00", ""), Dir: dir, Session: s.options.Session, Start: time.Now()}
	if s.options.Engine != nil {
		e.Engine = s.options.Engine()
	}
	<-s.loaded
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &pending{entry: e}
	if s.db == nil {
		s.remember(e)
		return func(status int) error { return s.ended(p, status) }, nil
	}
	s.waiting = append(s.waiting, p)
	err := s.flush()
	if p.entry.ID == 0 { // not in the database: at least this session knows it
		s.remember(p.entry)
	}
	return func(status int) error { return s.ended(p, status) }, err
}

func (s *Store) ended(p *pending, status int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &p.entry
	e.Duration, e.Status, e.Ended = time.Since(e.Start), status, true
	for i := len(s.recent) - 1; i >= 0; i-- {
		if r := &s.recent[i]; r.Session == e.Session && r.Start.UnixMilli() == e.Start.UnixMilli() && r.Text == e.Text {
			r.Duration, r.Status, r.Ended = e.Duration, e.Status, true
			break
		}
	}
	if s.db == nil {
		return nil
	}
	if p.dirty = true; e.ID != 0 {
		s.waiting = append(s.waiting, p)
	}
	return s.flush()
}

// flush writes what waits, in one transaction. A lock that another process
// holds is waited for a moment only; the lines stay for the next time.
func (s *Store) flush() error {
	if len(s.waiting) == 0 {
		return nil
	}
	ids, err := s.write()
	if locked(err) {
		return nil
	}
	if err != nil {
		s.waiting = nil // it would fail for every line to come
		return fmt.Errorf("keep the line in the history: %w", err)
	}
	for i, p := range s.waiting {
		if p.entry.ID != 0 {
			continue
		}
		p.entry.ID = ids[i]
	}
	s.waiting = nil
	s.refresh()
	return nil
}

func (s *Store) write() (ids []int64, err error) {
	tx, err := s.db.Begin()
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	for _, p := range s.waiting {
		e := p.entry
		if e.ID == 0 {
			r, err := tx.Exec(`INSERT INTO line (text, dir, engine, session, start) VALUES (?, ?, ?, ?, ?)`,
				e.Text, e.Dir, e.Engine, e.Session, e.Start.UnixMilli())
			if err != nil {
				return nil, err
			}
			if e.ID, err = r.LastInsertId(); err != nil {
				return nil, err
			}
		}
		if p.dirty {
			if _, err := tx.Exec(`UPDATE line SET duration = ?, status = ? WHERE id = ?`, e.Duration.Milliseconds(), e.Status, e.ID); err != nil {
				return nil, err
			}
		}
		ids = append(ids, e.ID)
	}
	return ids, tx.Commit()
}

// Delete takes lines out of the history, and returns how many there were.
func (s *Store) Delete(ids ...int64) (n int64, err error) {
	if s.db == nil {
		return 0, errors.New("delete from the history: it is in memory only")
	}
	<-s.loaded
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.db.Begin()
	if err != nil {
		return 0, fmt.Errorf("delete from the history: %w", err)
	}
	defer tx.Rollback()
	for _, id := range ids {
		r, err := tx.Exec(`DELETE FROM line WHERE id = ?`, id)
		if err != nil {
			return 0, fmt.Errorf("delete from the history: %w", err)
		}
		gone, err := r.RowsAffected()
		if err != nil {
			return 0, fmt.Errorf("delete from the history: %w", err)
		}
		n += gone
	}
	if _, err := tx.Exec(`UPDATE meta SET value = value + 1 WHERE name = 'generation'`); err != nil {
		return 0, fmt.Errorf("delete from the history: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("delete from the history: %w", err)
	}
	// What was deleted must not lie on in the log or in free pages.
	_, err = s.db.Exec(`INSERT INTO letters (letters) VALUES ('optimize'); PRAGMA wal_checkpoint(TRUNCATE);`)
	s.refresh()
	if err != nil && !locked(err) {
		return n, fmt.Errorf("delete from the history: %w", err)
	}
	return n, nil
}
