package logs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollEvery is how often the log is looked at where the kernel does not tell of changes.
const pollEvery = 200 * time.Millisecond

// follow reads on until ended is closed and all was read.
func (r *reader) follow(ctx context.Context, ended <-chan struct{}) error {
	changed, stop := watch(filepath.Dir(r.path))
	defer stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		// Asked before reading: what was written until then is then read.
		over := isClosed(ended)
		if err := r.advance(ctx); err != nil {
			return err
		}
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
		case <-changed:
		case <-poll.C:
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// advance reads what is new, and goes over to the next files after rotations:
// a fast writer may have begun several since the last look.
func (r *reader) advance(ctx context.Context) error {
	for {
		if r.file != nil {
			if err := r.restartTruncated(); err != nil {
				return err
			}
			if err := r.drain(ctx); err != nil {
				return err
			}
		}
		next, err := r.next()
		if err != nil || next == nil {
			return err
		}
		if r.file != nil {
			// What was written between the last read and the rotation.
			if err := r.drain(ctx); err != nil {
				next.Close()
				return err
			}
			r.file.Close()
		}
		if err := r.open(next); err != nil {
			return err
		}
	}
}

// next opens the file that follows the one being read, the oldest where that
// one has been dropped; nil when there is none.
func (r *reader) next() (*file, error) {
	current, err := openFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // between the two steps of a rotation
	}
	if err != nil {
		return nil, err
	}
	if r.file == nil {
		return current, nil
	}
	read := current.is(r.file)
	current.Close()
	if read {
		return nil, nil
	}
	files, err := openAll(r.path)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(files, func(f *file) bool { return f.is(r.file) })
	for i, f := range files {
		if i != at+1 {
			f.Close()
		}
	}
	if at+1 == len(files) {
		return nil, nil // the rotation is on its way
	}
	return files[at+1], nil
}

// restartTruncated: a log of one file is cut to nothing when it is full.
func (r *reader) restartTruncated() error {
	info, err := r.file.Stat()
	if err != nil || info.Size() >= r.offset {
		return err
	}
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return r.open(r.file)
}

// watch reports changes in a folder; nothing where the kernel cannot, then polling is left.
func watch(dir string) (changed <-chan fsnotify.Event, stop func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	if err := w.Add(dir); err != nil {
		w.Close()
		return nil, func() {}
	}
	return w.Events, func() { w.Close() }
}
