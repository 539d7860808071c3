//go:build cgo

package shim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// maxMessage is docker's longest line; a longer one becomes several entries,
// all but the last without a newline.
const maxMessage = 16 << 10

// logWriter writes docker's json-file format: one JSON object per line of
// output. A nil one keeps nothing.
type logWriter struct {
	opts shimapi.Log

	mu   sync.Mutex // of stdout and stderr writing at once
	file *os.File
	size int64
}

// logEntry is one line of the file.
type logEntry struct {
	Log    string            `json:"log"`
	Stream string            `json:"stream"`
	Attrs  map[string]string `json:"attrs,omitempty"`
	Time   string            `json:"time"`
}

// openLog opens the log, nil for driver none. The default driver is json-file.
func openLog(opts shimapi.Log) (*logWriter, error) {
	switch opts.Driver {
	case "none":
		return nil, nil
	case "", "json-file":
	default:
		return nil, &shimapi.Error{Message: fmt.Sprintf("logger: no log driver named '%s' is registered", opts.Driver), Class: shimapi.ClassInvalid}
	}
	w := &logWriter{opts: opts}
	return w, w.open()
}

func (w *logWriter) open() error {
	f, err := os.OpenFile(w.opts.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open the log: %w", err)
	}
	w.file, w.size = f, info.Size()
	return nil
}

func (w *logWriter) write(stream string, messages [][]byte, now time.Time) error {
	entry := logEntry{Stream: stream, Time: now.UTC().Format(time.RFC3339Nano)}
	if w.opts.Tag != "" {
		entry.Attrs = map[string]string{"tag": w.opts.Tag}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf) // ends each entry with a newline, replaces what is not UTF-8
	for _, message := range messages {
		entry.Log = string(message)
		if err := encoder.Encode(entry); err != nil {
			return fmt.Errorf("write the log: %w", err)
		}
		if w.opts.MaxSize > 0 && w.size+int64(buf.Len()) >= w.opts.MaxSize {
			if err := w.flush(&buf); err != nil {
				return err
			}
			if err := w.rotate(); err != nil {
				return err
			}
		}
	}
	return w.flush(&buf)
}

func (w *logWriter) flush(buf *bytes.Buffer) error {
	if buf.Len() == 0 {
		return nil
	}
	n, err := w.file.Write(buf.Bytes())
	w.size += int64(n)
	buf.Reset()
	if err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	return nil
}

// rotate shifts <path>.1 to <path>.2 and so on, as many as MaxFiles leaves
// beside the current one; with one file alone its content goes.
func (w *logWriter) rotate() error {
	if w.opts.MaxFiles <= 1 {
		if err := w.file.Truncate(0); err != nil {
			return fmt.Errorf("rotate the log: %w", err)
		}
		w.size = 0
		return nil
	}
	name := func(i int) string { return w.opts.Path + "." + strconv.Itoa(i) }
	for i := w.opts.MaxFiles - 1; i > 1; i-- {
		if err := os.Rename(name(i-1), name(i)); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("rotate the log: %w", err)
		}
	}
	if err := os.Rename(w.opts.Path, name(1)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("rotate the log: %w", err)
	}
	w.file.Close()
	return w.open()
}

func (w *logWriter) close() {
	if w != nil {
		w.file.Close()
	}
}

// lineSplitter cuts a stream into messages: lines, and pieces of maxMessage of
// lines that are longer.
type lineSplitter struct{ rest []byte }

// push returns the messages that are complete now. They are good until the next push.
func (s *lineSplitter) push(data []byte) [][]byte {
	s.rest = append(s.rest, data...)
	var messages [][]byte
	rest := s.rest
	for {
		end := bytes.IndexByte(rest[:min(len(rest), maxMessage)], '\n') + 1
		if end == 0 {
			if len(rest) < maxMessage {
				break
			}
			end = maxMessage
		}
		messages = append(messages, bytes.Clone(rest[:end]))
		rest = rest[end:]
	}
	s.rest = append(s.rest[:0], rest...)
	return messages
}

// last returns what never got its newline.
func (s *lineSplitter) last() [][]byte {
	if len(s.rest) == 0 {
		return nil
	}
	return [][]byte{s.rest}
}

// writeFileAtomic replaces a file so that readers see the old or the new content.
func writeFileAtomic(path string, content []byte, mode fs.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, content, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil { // whatever the umask
		return err
	}
	return os.Rename(tmp, path)
}

func writeJSON(path string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFileAtomic(path, content, 0o600)
}
