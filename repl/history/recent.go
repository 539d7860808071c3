package history

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stamp tells two states of a file from each other.
type stamp struct {
	size  int64
	mtime unix.Timespec
	inode uint64
}

func stampOf(path string) stamp {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return stamp{}
	}
	return stamp{st.Size, st.Mtim, st.Ino}
}

const columns = `id, text, dir, engine, session, start, duration, status`

// load reads the newest lines.
func (s *Store) load() {
	defer close(s.loaded)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reload()
}

func (s *Store) reload() {
	s.seen = stampOf(s.path + "-wal")
	_ = s.db.QueryRow(`SELECT value FROM meta WHERE name = 'generation'`).Scan(&s.generation)
	list, err := s.query(context.Background(), `SELECT `+columns+` FROM line ORDER BY id DESC LIMIT ?`, s.options.Window)
	if err != nil {
		return // what is in memory stays
	}
	slices.Reverse(list)
	s.recent, s.distinct, s.last = list, nil, 0
	if n := len(list); n > 0 {
		s.last = list[n-1].ID
	}
}

// refresh takes in what other sessions have written. It is called at every key:
// that nothing has changed costs one system call.
func (s *Store) refresh() {
	now := stampOf(s.path + "-wal")
	if now == s.seen {
		return
	}
	var generation int64
	if s.db.QueryRow(`SELECT value FROM meta WHERE name = 'generation'`).Scan(&generation) == nil && generation != s.generation {
		s.reload()
		return
	}
	list, err := s.query(context.Background(), `SELECT `+columns+` FROM line WHERE id > ? ORDER BY id LIMIT ?`, s.last, s.options.Window)
	if err != nil {
		return
	}
	s.seen = now
	for _, e := range list {
		s.remember(e)
		s.last = e.ID
	}
}

func (s *Store) remember(e Entry) {
	if n := len(s.recent); e.ID != 0 && n > 0 {
		// The line could not be written at once, and was already remembered.
		for i := n - 1; i >= max(0, n-len(s.waiting)-8); i-- {
			if r := s.recent[i]; r.ID == 0 && r.Text == e.Text && r.Session == e.Session && r.Start.UnixMilli() == e.Start.UnixMilli() {
				s.recent[i].ID = e.ID
				return
			}
		}
	}
	s.recent = append(s.recent, e)
	if len(s.recent) > 2*s.options.Window {
		s.recent = slices.Clone(s.recent[len(s.recent)-s.options.Window:])
	}
	s.distinct = nil
}

// Entries lists the lines in memory, oldest first; the caller must not change them.
func (s *Store) Entries() []Entry {
	<-s.loaded
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		s.refresh()
	}
	return slices.Clone(s.recent)
}

// Lines lists the texts of the lines in memory, oldest first.
func (s *Store) Lines() []string {
	entries := s.Entries()
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Text
	}
	return list
}

// newest lists distinct lines, newest first.
func (s *Store) newest() []Entry {
	<-s.loaded
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		s.refresh()
	}
	if s.distinct == nil {
		known := make(map[string]bool, len(s.recent))
		s.distinct = make([]int, 0, len(s.recent))
		for i := len(s.recent) - 1; i >= 0; i-- {
			if text := s.recent[i].Text; !known[text] {
				known[text] = true
				s.distinct = append(s.distinct, i)
			}
		}
	}
	list := make([]Entry, len(s.distinct))
	for i, at := range s.distinct {
		list[i] = s.recent[at]
	}
	return list
}

// Recent walks over the distinct lines in memory, newest first, those of other
// sessions included.
func (s *Store) Recent() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, e := range s.newest() {
			if !yield(e.Text) {
				return
			}
		}
	}
}

// notFound is the exit status of a word that is no command: such lines are
// typing errors, and not worth suggesting.
const notFound = 127

// Suggest gives the rest of the line that is likely to be meant by text: the
// newest one typed in this folder for this engine, else in this folder, else
// for this engine, else anywhere; "" if none begins with text.
func (s *Store) Suggest(text, dir string) string {
	if text == "" {
		return ""
	}
	engine := ""
	if s.options.Engine != nil {
		engine = s.options.Engine()
	}
	<-s.loaded
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		s.refresh()
	}
	best, found := 0, ""
	for i := len(s.recent) - 1; i >= 0; i-- {
		e := &s.recent[i]
		if len(e.Text) <= len(text) || !strings.HasPrefix(e.Text, text) || e.Ended && e.Status == notFound {
			continue
		}
		rank := 1
		if e.Dir == dir && dir != "" {
			rank += 2
		}
		if e.Engine == engine {
			rank++
		}
		if rank > best {
			best, found = rank, e.Text[len(text):]
		}
		if best == 4 {
			break
		}
	}
	return found
}

func (s *Store) query(ctx context.Context, query string, args ...any) ([]Entry, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Entry
	for rows.Next() {
		var e Entry
		var start int64
		var duration, status *int64
		if err := rows.Scan(&e.ID, &e.Text, &e.Dir, &e.Engine, &e.Session, &start, &duration, &status); err != nil {
			return nil, err
		}
		e.Start = time.UnixMilli(start)
		if status != nil {
			e.Status, e.Ended = int(*status), true
		}
		if duration != nil {
			e.Duration = time.Duration(*duration) * time.Millisecond
		}
		list = append(list, e)
	}
	return list, rows.Err()
}
