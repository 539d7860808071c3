package event

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/filter"
)

// poll is how often the log is looked at when the kernel does not tell of
// changes (no inotify instances left, a file system without); with inotify
// it is a safety net.
const (
	pollWithout = 200 * time.Millisecond
	pollWith    = 5 * time.Second
)

// Subscribe replays the events from since on and follows the log until until,
// whoever appends to it. A zero since begins with what happens now, a zero
// until never ends; then the context does, whose error is returned. An error
// of handle ends it too, and is returned as it is.
func (l *Log) Subscribe(ctx context.Context, since, until time.Time, match filter.Args, handle func(events.Message) error) error {
	deliver := func(m events.Message) error {
		if outside(m, since, until) || !Match(m, match) {
			return nil
		}
		return handle(m)
	}
	r := &reader{log: l}
	defer r.close()
	changed, interval, stop := l.watch()
	defer stop()
	if err := r.begin(!since.IsZero(), deliver); err != nil {
		return err
	}
	return r.follow(ctx, until, changed, interval, deliver)
}

func outside(m events.Message, since, until time.Time) bool {
	return !since.IsZero() && m.TimeNano < since.UnixNano() || !until.IsZero() && m.TimeNano > until.UnixNano()
}

// watch reports changes of the log's folder. The channel is nil, and the
// interval short, where the kernel cannot.
func (l *Log) watch() (<-chan fsnotify.Event, time.Duration, func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, pollWithout, func() {}
	}
	if err := w.Add(filepath.Dir(l.path)); err != nil {
		w.Close()
		return nil, pollWithout, func() {}
	}
	return w.Events, pollWith, func() { w.Close() }
}

// reader reads one log file after another, line by line.
type reader struct {
	log  *Log
	file *os.File // nil only before begin
	buf  *bufio.Reader
	part []byte // beginning of a line whose end is not written yet
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

func (r *reader) use(f *os.File) {
	r.close()
	r.file, r.buf, r.part = f, bufio.NewReader(f), nil
}

// begin delivers what the log holds already, or goes to its end. It makes the
// log where there is none, so that there is a file to follow.
func (r *reader) begin(replay bool, deliver func(events.Message) error) error {
	current, err := os.OpenFile(r.log.path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("read the event log: %w", err)
	}
	if !replay {
		r.use(current)
		_, err := current.Seek(0, io.SeekEnd)
		return err
	}
	if err := r.replayAside(current, deliver); err != nil {
		current.Close()
		return err
	}
	r.use(current)
	return r.drain(deliver)
}

// replayAside delivers the file that was put aside, unless it is the one that
// begin has just opened.
func (r *reader) replayAside(current *os.File, deliver func(events.Message) error) error {
	old, err := openIfExists(r.log.aside())
	if err != nil || old == nil {
		return err
	}
	if same(old, current) {
		return old.Close()
	}
	r.use(old)
	return r.drain(deliver)
}

func (r *reader) follow(ctx context.Context, until time.Time, changed <-chan fsnotify.Event, interval time.Duration, deliver func(events.Message) error) error {
	var end <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		end = timer.C
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := r.catchUp(deliver); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return r.catchUp(deliver)
		case <-changed:
		case <-tick.C:
		}
	}
}

// catchUp delivers all that was appended. A file that was put aside gets no
// more lines, so it is read to its end before the next one is begun.
func (r *reader) catchUp(deliver func(events.Message) error) error {
	for {
		current := r.log.isCurrent(r.file) // asked before the reading: nothing is appended after a no
		if err := r.drain(deliver); err != nil {
			return err
		}
		if current {
			return nil
		}
		next, err := r.next()
		if err != nil || next == nil {
			return err
		}
		r.use(next)
	}
}

// next opens the file that follows the one being read, nil when there is none
// yet. Where that one has been dropped, the file put aside after it comes first.
func (r *reader) next() (*os.File, error) {
	aside, err := openIfExists(r.log.aside())
	if err != nil {
		return nil, err
	}
	if aside != nil && !same(aside, r.file) {
		return aside, nil
	}
	if aside != nil {
		aside.Close()
	}
	return openIfExists(r.log.path)
}

// drain delivers the complete lines up to the end of the file.
func (r *reader) drain(deliver func(events.Message) error) error {
	for {
		line, err := r.buf.ReadBytes('\n')
		r.part = append(r.part, line...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the event log: %w", err)
		}
		var m events.Message
		bad := json.Unmarshal(r.part, &m) != nil || m.Type == "" // torn by a crash
		r.part = r.part[:0]
		if bad {
			continue
		}
		if err := deliver(m); err != nil {
			return err
		}
	}
}

func openIfExists(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the event log: %w", err)
	}
	return f, nil
}

func same(a, b *os.File) bool {
	ia, errA := a.Stat()
	ib, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(ia, ib)
}
