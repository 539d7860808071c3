package stats

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// screen is the alternate screen of a terminal, in raw mode as far as its keys
// are read. What it shows is remembered, so that only rows that differ are
// written.
type screen struct {
	out   io.Writer
	fd    int // of the input; -1: no keys
	saved *term.State
	shown []string
	cols  int
}

// Sequences: alternate screen, cursor, and the marks between which a terminal
// that knows them shows nothing half drawn.
const (
	enter      = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
	leave      = "\x1b[?25h\x1b[?1049l"
	beginFrame = "\x1b[?2026h"
	endFrame   = "\x1b[?2026l"
)

// openScreen takes the terminal. Ctrl-C and Ctrl-Z become keys: a signal would
// find the shell, which would put its own things on the screen.
func openScreen(in int, out io.Writer) (*screen, error) {
	s := &screen{out: out, fd: -1}
	if in >= 0 && term.IsTerminal(in) {
		saved, err := term.MakeRaw(in)
		if err != nil {
			return nil, fmt.Errorf("stats: prepare the terminal: %w", err)
		}
		s.fd, s.saved = in, saved
	}
	if _, err := io.WriteString(out, enter); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close gives the terminal back as it was.
func (s *screen) close() error {
	_, err := io.WriteString(s.out, leave)
	if s.saved != nil {
		if failed := term.Restore(s.fd, s.saved); failed != nil && err == nil {
			err = fmt.Errorf("stats: restore the terminal: %w", failed)
		}
	}
	return err
}

// show draws a frame in a window of cols columns.
func (s *screen) show(frame []string, cols int) error {
	var b bytes.Buffer
	b.WriteString(beginFrame)
	if cols != s.cols || len(frame) != len(s.shown) {
		b.WriteString("\x1b[0m\x1b[2J")
		s.shown, s.cols = make([]string, len(frame)), cols
	}
	for i, row := range frame {
		if row != s.shown[i] {
			// Erased first: behind a full row the cursor still stands on its last character.
			fmt.Fprintf(&b, "\x1b[%d;1H\x1b[0m\x1b[K%s", i+1, row)
		}
	}
	b.WriteString(endFrame)
	s.shown = frame
	_, err := s.out.Write(b.Bytes())
	return err
}

// keys reads what is typed until stop is closed: each key, an escape sequence
// as a whole. After each one it waits for a word on more, so that what is typed
// behind the key that leaves the view is left for whoever reads next.
func (s *screen) keys(stop, more <-chan struct{}) (keys <-chan string, done <-chan struct{}) {
	typed, ended := make(chan string), make(chan struct{})
	go func() {
		defer close(ended)
		for s.fd >= 0 && !closed(stop) {
			text, ok := s.readKey()
			if text == hangup {
				close(typed)
				return
			}
			if ok && !(give(typed, text, stop) && await(more, stop)) {
				return
			}
		}
	}()
	return typed, ended
}

func closed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

func give(to chan<- string, text string, stop <-chan struct{}) bool {
	select {
	case to <- text:
		return true
	case <-stop:
		return false
	}
}

func await(from, stop <-chan struct{}) bool {
	select {
	case <-from:
		return true
	case <-stop:
		return false
	}
}

// hangup says that the terminal is gone.
const hangup = "hangup"

// pollTime bounds how long a key reader does not notice that it is to stop.
const pollTime = 50 * time.Millisecond

func (s *screen) readKey() (string, bool) {
	if !s.ready(pollTime) {
		return "", false
	}
	var buf [16]byte
	n, err := unix.Read(s.fd, buf[:1])
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return "", false
	case err != nil || n == 0:
		return hangup, false
	}
	if buf[0] != 0x1b {
		return string(buf[:1]), true
	}
	for n < len(buf) && s.ready(escapeTime) { // an escape alone has nothing behind it
		more, err := unix.Read(s.fd, buf[n:n+1])
		if err != nil || more == 0 {
			break
		}
		n++
		if c := buf[n-1]; n > 2 && c >= 0x40 && c <= 0x7e {
			break
		}
	}
	return string(buf[:n]), true
}

// escapeTime is how long the rest of an escape sequence may take.
const escapeTime = 30 * time.Millisecond

func (s *screen) ready(wait time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(wait.Milliseconds()))
	return err == nil && n > 0
}

// sizeOf is the size of the window behind a file.
func sizeOf(f *os.File) (cols, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}
