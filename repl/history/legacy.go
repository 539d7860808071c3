package history

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Before the database there was a file "history" beside it: a line each, the
// seconds since 1970, a tab, the text with backslash, newline and carriage
// return escaped.

func legacyPath(path string) string { return filepath.Join(filepath.Dir(path), "history") }

// takeOver stores the lines of the old file, if there is one.
func takeOver(tx *sql.Tx, old string) error {
	data, err := os.ReadFile(old)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take over the old history: %w", err)
	}
	insert, err := tx.Prepare(`INSERT INTO line (text, dir, engine, session, start) VALUES (?, '', '', 'before', ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for line := range strings.Lines(string(data)) {
		at, text, ok := legacyLine(strings.TrimSuffix(line, "\n"))
		if !ok || Secret(text) {
			continue
		}
		if _, err := insert.Exec(text, at.UnixMilli()); err != nil {
			return fmt.Errorf("take over the old history: %w", err)
		}
	}
	return nil
}

// legacyLine reads one line; those that nobody of ours wrote are not ok.
func legacyLine(line string) (at time.Time, text string, ok bool) {
	stamp, text, ok := strings.Cut(line, "\t")
	if !ok || text == "" {
		return at, "", false
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return at, "", false
	}
	return time.Unix(seconds, 0), unescape(text), true
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
