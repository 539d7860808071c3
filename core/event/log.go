// Package event is the log of what happened to containers, images, networks
// and volumes. There is no daemon to keep it in memory, so it is a file:
// JSON lines that every nacre process and every shim appends to, and that
// `docker events` replays and follows.
//
// The file stays below a bound: an appender that finds it too long renames it
// to <file>.1 (dropping the previous one) and a new file begins. Appenders hold
// a shared lock while they write and the one that renames holds it alone, so no
// line lands in a file that has been put aside already. A line that a crash
// tore does not spoil the next one, and readers skip it.
//
// nacre-shim imports this package: it must stay small.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/moby/api/types/events"
	"golang.org/x/sys/unix"
)

// maxSize is the length at which a log file is put aside: some 3000 events.
const maxSize = 1 << 20

// Log is the event log of one engine. It holds no descriptor and may be used
// from many goroutines.
type Log struct {
	path    string
	maxSize int64
}

// New names the log at path; the file is made by the first Append.
func New(path string) *Log { return &Log{path: path, maxSize: maxSize} }

// Append writes events in one write, so that many cost little more than one. It
// fills in the time and docker's local scope where the caller left them empty.
func (l *Log) Append(list ...events.Message) error {
	var lines []byte
	for _, m := range list {
		stamp(&m, time.Now())
		line, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("append to the event log: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) == 0 {
		return nil
	}
	f, err := l.openShared()
	if err != nil {
		return fmt.Errorf("append to the event log: %w", err)
	}
	defer f.Close()
	size, err := writeLines(f, lines)
	if err != nil {
		return fmt.Errorf("append to the event log: %w", err)
	}
	switch {
	case size > 2*l.maxSize: // others write without a pause: wait for one
		return l.rotate(f, unix.LOCK_EX)
	case size > l.maxSize:
		return l.rotate(f, unix.LOCK_EX|unix.LOCK_NB)
	}
	return nil
}

func stamp(m *events.Message, now time.Time) {
	if m.TimeNano == 0 {
		m.TimeNano = now.UnixNano()
	}
	if m.Time == 0 {
		m.Time = m.TimeNano / int64(time.Second)
	}
	if m.Scope == "" {
		m.Scope = "local"
	}
}

// openShared opens the current file and takes the shared lock. A file that was
// put aside between the two steps is let go of and the new one opened.
func (l *Log) openShared() (*os.File, error) {
	for {
		f, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600) // os adds O_CLOEXEC
		if err != nil {
			return nil, err
		}
		if err := flock(f, unix.LOCK_SH); err != nil {
			f.Close()
			return nil, err
		}
		if l.isCurrent(f) {
			return f, nil
		}
		f.Close()
	}
}

func (l *Log) isCurrent(f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(l.path)
	return err == nil && os.SameFile(opened, named)
}

// writeLines appends lines and returns the file's length. Where the last
// writer died in the middle of its line, the new ones begin on a line of their own.
func writeLines(f *os.File, lines []byte) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if size := info.Size(); size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err == nil && last[0] != '\n' {
			lines = append([]byte{'\n'}, lines...)
		}
	}
	_, err = f.Write(lines)
	return info.Size() + int64(len(lines)), err
}

// rotate puts the file aside unless somebody else does or did. Where the lock
// is not to be had without waiting, one of the next appenders will do it.
func (l *Log) rotate(f *os.File, how int) error {
	if err := flock(f, unix.LOCK_UN); err != nil {
		return err
	}
	switch err := flock(f, how); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil
	case err != nil:
		return err
	}
	if !l.isCurrent(f) {
		return nil
	}
	if err := os.Rename(l.path, l.aside()); err != nil {
		return fmt.Errorf("rotate the event log: %w", err)
	}
	return nil
}

func (l *Log) aside() string { return l.path + ".1" }

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &fs.PathError{Op: "lock", Path: filepath.Base(f.Name()), Err: err}
		}
	}
}
