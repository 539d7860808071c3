// Package history keeps the lines that were typed at the prompt in one file
// which all sessions share: each line is appended when it is typed, and every
// session sees what the others wrote. Lines that hold a password never reach
// the file. The prompt walks through it, searches it, and takes its grey
// suggestions from it.
package history

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultMax is how many entries a file keeps.
const DefaultMax = 10_000

// maxEntry bounds one entry; a larger one (a pasted file) is not worth keeping.
const maxEntry = 64 << 10

// Path is where the history lies for an environment:
// $XDG_STATE_HOME/nacre/history, else ~/.local/state/nacre/history. It is
// empty when the environment names no home.
func Path(getenv func(string) string) string {
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "nacre", "history")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "nacre", "history")
	}
	return ""
}

// File is a history file. It is safe for concurrent use.
type File struct {
	path string
	max  int

	mu      sync.Mutex
	entries []Entry // oldest first
	offset  int64   // how much of the file entries holds
	inode   uint64
	mtime   unix.Timespec
	head    string // the file's first bytes: inode numbers are used again, a shortened file begins differently
}

const headSize = 64

// Open reads the history at path, which need not exist, and shortens it when
// it holds more than twice max entries. A path of "" gives a history that
// lives in memory only.
func Open(path string, max int) (*File, error) {
	if max <= 0 {
		max = DefaultMax
	}
	f := &File{path: path, max: max}
	if path == "" {
		return f, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if err := f.refresh(); err != nil {
		return nil, err
	}
	if len(f.entries) > 2*max {
		if err := f.compact(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Append stores a line unless it is empty, the same as the last one, or a
// secret.
func (f *File) Append(line string) error {
	line = strings.TrimRight(line, "\n\t ")
	if line == "" || len(line) > maxEntry || Secret(line) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := Entry{Time: time.Now(), Text: line}
	if f.path == "" {
		f.add(e)
		return nil
	}
	if err := f.refresh(); err != nil {
		return err
	}
	if n := len(f.entries); n > 0 && f.entries[n-1].Text == line {
		return nil
	}
	file, err := f.lock()
	if err != nil {
		return err
	}
	defer file.Close()
	// One write in append mode: lines of several sessions never mix.
	if _, err := file.WriteString(encode(e)); err != nil {
		return fmt.Errorf("append to history %s: %w", f.path, err)
	}
	return f.refresh()
}

// Recent walks over the distinct lines, newest first, those of other sessions
// included. A history that cannot be read any more yields what is in memory.
func (f *File) Recent() iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		entries := f.Entries()
		for i := len(entries) - 1; i >= 0; i-- {
			text := entries[i].Text
			if seen[text] {
				continue
			}
			seen[text] = true
			if !yield(text) {
				return
			}
		}
	}
}

// Entries lists everything, oldest first.
func (f *File) Entries() []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path != "" {
		// The entries in memory stay usable when the file has become unreadable.
		_ = f.refresh()
	}
	return f.entries[:len(f.entries):len(f.entries)]
}

// Suggest gives the rest of the newest line that begins with text, "" if none.
func (f *File) Suggest(text string) string {
	if text == "" {
		return ""
	}
	entries := f.Entries()
	for i := len(entries) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(entries[i].Text, text); ok && rest != "" {
			return rest
		}
	}
	return ""
}

// lock opens the file for appending and holds its lock. The file may be
// replaced by a shorter one between opening and locking; then the new one
// counts.
func (f *File) lock() (*os.File, error) {
	for {
		file, err := os.OpenFile(f.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
		if err := flock(file); err != nil {
			file.Close()
			return nil, fmt.Errorf("lock history %s: %w", f.path, err)
		}
		held, err1 := file.Stat()
		named, err2 := os.Stat(f.path)
		if err1 == nil && err2 == nil && os.SameFile(held, named) {
			return file, nil
		}
		file.Close()
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open history: %w", err)
		}
	}
}

func flock(file *os.File) error {
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			return err
		}
	}
}

// refresh takes in what was appended since the last look, by whomever.
func (f *File) refresh() error {
	var st unix.Stat_t
	if unix.Stat(f.path, &st) == nil && st.Ino == f.inode && st.Size == f.offset && st.Mtim == f.mtime {
		return nil // the usual case, asked at every key
	}
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.entries, f.offset, f.inode, f.head = nil, 0, 0, ""
		return nil
	}
	if err != nil {
		return fmt.Errorf("open history: %w", err)
	}
	defer file.Close()
	head := make([]byte, headSize)
	n, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read history %s: %w", f.path, err)
	}
	head = head[:n]
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return fmt.Errorf("read history %s: %w", f.path, err)
	}
	if st.Ino != f.inode || st.Size < f.offset || !strings.HasPrefix(string(head), f.head) {
		f.entries, f.offset, f.inode = nil, 0, st.Ino
	}
	f.head, f.mtime = string(head), st.Mtim
	if st.Size == f.offset {
		return nil
	}
	data, err := io.ReadAll(io.NewSectionReader(file, f.offset, st.Size-f.offset))
	if err != nil {
		return fmt.Errorf("read history %s: %w", f.path, err)
	}
	whole := strings.LastIndexByte(string(data), '\n') + 1
	f.offset += int64(whole)
	for line := range strings.Lines(string(data[:whole])) {
		if e, ok := decode(strings.TrimSuffix(line, "\n")); ok {
			f.entries = append(f.entries, e)
		}
	}
	return nil
}

func (f *File) add(e Entry) {
	if n := len(f.entries); n > 0 && f.entries[n-1].Text == e.Text {
		return
	}
	f.entries = append(f.entries, e)
	if len(f.entries) > 2*f.max {
		f.entries = append([]Entry(nil), f.entries[len(f.entries)-f.max:]...)
	}
}

// compact replaces the file by one with the newest max entries. It holds the
// lock of the old file, so that no append falls between reading and renaming.
func (f *File) compact() error {
	file, err := f.lock()
	if err != nil {
		return err
	}
	defer file.Close()
	if err := f.refresh(); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(f.path), ".history-*") // mode 0600
	if err != nil {
		return fmt.Errorf("shorten history: %w", err)
	}
	defer os.Remove(temp.Name())
	var b strings.Builder
	for _, e := range f.entries[max(0, len(f.entries)-f.max):] {
		b.WriteString(encode(e))
	}
	_, err = temp.WriteString(b.String())
	if err := errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("shorten history: %w", err)
	}
	if err := os.Rename(temp.Name(), f.path); err != nil {
		return fmt.Errorf("shorten history: %w", err)
	}
	return f.refresh()
}
