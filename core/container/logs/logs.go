// Package logs reads docker's json-file logs: one JSON object per piece of
// output, the newest file at path and rotated ones at path.1, path.2 and so
// on, compressed or not. It follows a log that a shim is writing, across
// rotations.
package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Entry is one piece of output: a line with its newline, or a part of a very
// long one without.
type Entry struct {
	Line   string            `json:"log"`
	Stream string            `json:"stream"` // stdout or stderr
	Attrs  map[string]string `json:"attrs,omitempty"`
	Time   time.Time         `json:"time"`
}

// Options says which entries are wanted.
type Options struct {
	Since, Until time.Time // zero: no bound
	Tail         int       // lines from the end; negative: all
	// Ended is closed when nothing more will be written; nil: do not follow.
	Ended <-chan struct{}
}

// errUntil ends the reading at the upper bound of time.
var errUntil = errors.New("past the end")

// Read calls handle for each entry in order, and returns its error. A log that
// does not exist is empty.
func Read(ctx context.Context, path string, o Options, handle func(Entry) error) error {
	files, err := openAll(path)
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if files, err = seekTail(files, o.Tail); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	bounded := func(e Entry) error {
		if !o.Since.IsZero() && e.Time.Before(o.Since) {
			return nil
		}
		if !o.Until.IsZero() && e.Time.After(o.Until) {
			return errUntil
		}
		return handle(e)
	}
	r := &reader{path: path, handle: bounded}
	for _, f := range files {
		if err := r.open(f); err != nil {
			return err
		}
		if err := r.drain(ctx); err != nil {
			return ignoreUntil(err)
		}
	}
	if o.Ended == nil {
		return nil
	}
	err = r.follow(ctx, o.Ended)
	if r.file != nil {
		files = append(files, r.file)
	}
	return ignoreUntil(err)
}

func ignoreUntil(err error) error {
	if errors.Is(err, errUntil) {
		return nil
	}
	return err
}

// reader decodes the entries of one file after another.
type reader struct {
	path   string
	handle func(Entry) error
	file   *file
	buf    *bufio.Reader
	part   []byte // of a line whose end is not written yet
	offset int64  // what was read of file
}

// open goes over to a file, from where it stands.
func (r *reader) open(f *file) error {
	if err := f.unpack(); err != nil {
		return err
	}
	r.file, r.buf, r.part = f, bufio.NewReaderSize(f, 64<<10), nil
	var err error
	r.offset, err = f.Seek(0, io.SeekCurrent)
	return err
}

// drain reads what is there. A line that is no entry (torn by a crash) is passed over.
func (r *reader) drain(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece, err := r.buf.ReadBytes('\n')
		r.offset += int64(len(piece))
		r.part = append(r.part, piece...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		line := r.part
		r.part = nil
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if err := r.handle(e); err != nil {
			return err
		}
	}
}

const tailChunk = 64 << 10

// seekTail sets the files so that n lines are left to read, and closes those
// that are not needed. Files are oldest first.
func seekTail(files []*file, n int) ([]*file, error) {
	if n < 0 {
		return files, nil
	}
	for i := len(files) - 1; i >= 0; i-- {
		if err := files[i].unpack(); err != nil {
			return files, err
		}
		left, err := seekLines(files[i].File, n)
		if err != nil {
			return files, err
		}
		if n = left; n <= 0 {
			for _, f := range files[:i] {
				f.Close()
			}
			return files[i:], nil
		}
	}
	return files, nil
}

// seekLines sets f to the beginning of its last n lines and returns how many
// of them it lacks. A last line without a newline counts as one.
func seekLines(f *os.File, n int) (lacks int, err error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return 0, err
	}
	chunk := make([]byte, tailChunk)
	found := 0
	for at := end; at > 0; {
		size := min(at, tailChunk)
		at -= size
		if _, err := f.ReadAt(chunk[:size], at); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for piece := chunk[:size]; ; {
			i := bytes.LastIndexByte(piece, '\n')
			if i < 0 {
				break
			}
			piece = piece[:i]
			if at+int64(i) == end-1 { // ends the last line
				continue
			}
			if found++; found == n {
				_, err := f.Seek(at+int64(i)+1, io.SeekStart)
				return 0, err
			}
		}
	}
	if end > 0 {
		found++
	}
	_, err = f.Seek(0, io.SeekStart)
	return n - found, err
}
