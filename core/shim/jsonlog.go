//go:build cgo

package shim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// maxMessage is docker's longest line; a longer one becomes several entries,
// all but the last without a newline.
const maxMessage = 16 << 10

// logWriter writes docker's json-file format: one JSON object per line of
// output, in files that are rotated.
type logWriter struct {
	opts shimapi.Log

	mu     sync.Mutex // of stdout and stderr writing at once
	file   *os.File
	size   int64
	broken bool           // the last write failed; said once
	packer sync.WaitGroup // compresses the file that was rotated last
}

// logEntry is one line of the file.
type logEntry struct {
	Log    string            `json:"log"`
	Stream string            `json:"stream"`
	Attrs  map[string]string `json:"attrs,omitempty"`
	Time   string            `json:"time"`
}

func openJSONLog(opts shimapi.Log) (*logWriter, error) {
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
	entry.Attrs = w.opts.Attrs
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

// flush writes whole entries or nothing: what a full disk has cut off is taken
// back, so that the next entry begins a line. That it fails is said once.
func (w *logWriter) flush(buf *bytes.Buffer) error {
	if buf.Len() == 0 {
		return nil
	}
	if w.broken && !w.hasRoom() {
		buf.Reset()
		return nil
	}
	n, err := w.file.Write(buf.Bytes())
	buf.Reset()
	if err == nil {
		w.size += int64(n)
		w.broken = false
		return nil
	}
	if n > 0 {
		if terr := w.file.Truncate(w.size); terr != nil {
			w.size += int64(n)
		}
	}
	if w.broken {
		return nil
	}
	w.broken = true
	return fmt.Errorf("write the log: %w", err)
}

// resumeRoom is how many bytes must be free before a log that has met a full
// disk goes on; on a small disk a quarter. Otherwise it would eat the room that
// a user makes to remove something.
const resumeRoom = 16 << 20

func (w *logWriter) hasRoom() bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(w.file.Fd()), &st); err != nil {
		return true // the write will tell
	}
	return int64(st.Bavail)*st.Bsize >= min(resumeRoom, int64(st.Blocks)*st.Bsize/4)
}

func (w *logWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packer.Wait()
	w.file.Close()
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
