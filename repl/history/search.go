package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Query says which lines are looked for; the zero value means all of them.
type Query struct {
	Words    []string // all of them occur, case does not count; each may hold blanks
	Dir      *string  // typed in exactly this folder
	Engine   *string
	Session  string
	Failed   bool // ended with another status than 0
	Since    time.Time
	Limit    int  // at most so many, the newest; 0: no bound
	Distinct bool // of lines that are the same the newest only
}

// Search lists the lines that match, newest first. It looks at everything that
// was ever kept, not only at what is in memory.
func (s *Store) Search(ctx context.Context, q Query) ([]Entry, error) {
	if s.db == nil {
		return s.searchMemory(q), nil
	}
	limit := q.Limit
	if limit <= 0 {
		limit = -1
	}
	asked := limit
	if q.Distinct && limit > 0 {
		asked = 4 * limit // lines repeat; another round looks further where that was too few
	}
	for {
		text, args := q.sql()
		list, err := s.query(ctx, text+" LIMIT ?", append(args, asked)...)
		if err != nil {
			return nil, fmt.Errorf("search the history: %w", err)
		}
		more := len(list) == asked
		if q.Distinct {
			list = distinct(list)
		}
		if limit < 0 || len(list) >= limit || !more {
			if limit > 0 && len(list) > limit {
				list = list[:limit]
			}
			return list, nil
		}
		asked *= 8
	}
}

func distinct(list []Entry) []Entry {
	known := map[string]bool{}
	return slices.DeleteFunc(list, func(e Entry) bool {
		again := known[e.Text]
		known[e.Text] = true
		return again
	})
}

// sql is the statement without its bound. The index of letters gives the rows
// that can match, newest first; the text itself decides.
func (q Query) sql() (string, []any) {
	var where []string
	var args []any
	add := func(condition string, arg any) {
		where, args = append(where, condition), append(args, arg)
	}
	from, id := "line AS l", "l.id"
	if letters := trigrams(q.Words); letters != "" {
		from, id = "letters JOIN line AS l ON l.id = letters.rowid", "letters.rowid"
		add("letters MATCH ?", letters)
	}
	for _, w := range q.Words {
		add(`l.text LIKE ? ESCAPE '\'`, "%"+likeEscaper.Replace(w)+"%")
	}
	if q.Dir != nil {
		add("l.dir = ?", *q.Dir)
	}
	if q.Engine != nil {
		add("l.engine = ?", *q.Engine)
	}
	if q.Session != "" {
		add("l.session = ?", q.Session)
	}
	if q.Failed {
		where = append(where, "l.status <> 0")
	}
	if !q.Since.IsZero() {
		add("l.start >= ?", q.Since.UnixMilli())
	}
	text := "SELECT l.id, l.text, l.dir, l.engine, l.session, l.start, l.duration, l.status FROM " + from
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	return text + " ORDER BY " + id + " DESC", args
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// trigrams is a query of the letters index: every three letters of the words.
// It is "" where no word is long enough.
func trigrams(words []string) string {
	var list []string
	for _, w := range words {
		runes := []rune(w)
		for i := 0; i+3 <= len(runes); i++ {
			list = append(list, `"`+strings.ReplaceAll(string(runes[i:i+3]), `"`, `""`)+`"`)
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " AND ")
}

func (s *Store) searchMemory(q Query) []Entry {
	var list []Entry
	entries := s.Entries()
	for i := len(entries) - 1; i >= 0; i-- {
		if q.matches(entries[i]) {
			list = append(list, entries[i])
		}
	}
	if q.Distinct {
		list = distinct(list)
	}
	if q.Limit > 0 && len(list) > q.Limit {
		list = list[:q.Limit]
	}
	return list
}

func (q Query) matches(e Entry) bool {
	lower := strings.ToLower(e.Text)
	for _, w := range q.Words {
		if !strings.Contains(lower, strings.ToLower(w)) {
			return false
		}
	}
	return (q.Dir == nil || *q.Dir == e.Dir) && (q.Engine == nil || *q.Engine == e.Engine) &&
		(q.Session == "" || q.Session == e.Session) && (!q.Failed || e.Ended && e.Status != 0) && !e.Start.Before(q.Since)
}

// Session is what one session has typed.
type Session struct {
	Name        string
	Begin, Last time.Time
	Lines       int
}

// Sessions lists the sessions, newest first.
func (s *Store) Sessions(ctx context.Context, limit int) ([]Session, error) {
	if s.db == nil {
		e := s.Entries()
		if len(e) == 0 {
			return nil, nil
		}
		return []Session{{s.Session(), e[0].Start, e[len(e)-1].Start, len(e)}}, nil
	}
	rows, err := s.db.QueryContext(ctx, `SELECT session, min(start), max(start), count(*) FROM line GROUP BY session ORDER BY max(id) DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("list the sessions: %w", err)
	}
	defer rows.Close()
	var list []Session
	for rows.Next() {
		var one Session
		var begin, last int64
		if err := rows.Scan(&one.Name, &begin, &last, &one.Lines); err != nil {
			return nil, fmt.Errorf("list the sessions: %w", err)
		}
		one.Begin, one.Last = time.UnixMilli(begin), time.UnixMilli(last)
		list = append(list, one)
	}
	return list, rows.Err()
}
