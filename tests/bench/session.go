package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
)

// session is nacre at a terminal, with somebody typing. A line is typed, and
// after a pause the clock starts with the Enter key: how fast somebody types
// is not nacre's doing. It stops when the line's last command has written its
// mark; the mark is computed by the shell, so that the echo of what was typed
// does not contain it.
type session struct {
	terminal *os.File
	started  time.Time
	marks    int

	mu     sync.Mutex
	output bytes.Buffer
	more   chan struct{} // tells that output has grown
	end    func()
}

const (
	promptSign   = "❯"
	typingPause  = 150 * time.Millisecond
	sessionLimit = time.Minute
)

func (e *engine) session(ctx context.Context) (*session, error) {
	cmd := e.cmd(ctx)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	s := &session{started: time.Now(), more: make(chan struct{}, 1)}
	var err error
	s.terminal, err = pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
	if err != nil {
		return nil, fmt.Errorf("start %s at a terminal: %w", e.name, err)
	}
	s.end = func() {
		cmd.Process.Kill()
		cmd.Wait()
		s.terminal.Close()
	}
	go s.read()
	return s, nil
}

func (s *session) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.terminal.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.output.Write(buf[:n])
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

// await returns when text has appeared.
func (s *session) await(text string) error {
	limit := time.After(sessionLimit)
	for {
		s.mu.Lock()
		found := bytes.Contains(s.output.Bytes(), []byte(text))
		seen := s.output.String()
		s.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-s.more:
		case <-limit:
			return fmt.Errorf("the terminal does not show %q but %q", text, seen[max(0, len(seen)-500):])
		}
	}
}

// line types a line, presses Enter and returns how long its commands took.
func (s *session) line(text string) (time.Duration, error) {
	s.marks++
	s.mu.Lock()
	s.output.Reset()
	s.mu.Unlock()
	if _, err := fmt.Fprintf(s.terminal, "%s; echo mark-$((%d*7))-$?", text, s.marks); err != nil {
		return 0, err
	}
	time.Sleep(typingPause)
	start := time.Now()
	if _, err := s.terminal.WriteString("\r"); err != nil {
		return 0, err
	}
	err := s.await(fmt.Sprintf("mark-%d-", s.marks*7))
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	if err := s.await(fmt.Sprintf("mark-%d-0", s.marks*7)); err != nil {
		return 0, fmt.Errorf("%s failed: %w", text, err)
	}
	time.Sleep(typingPause) // the prompt, and warm shims, come back as for somebody who reads the answer
	return took, nil
}

// each returns how long one command takes at the prompt: a loop of many, less
// a loop of none. Single commands are shorter than the pause between two looks
// at the keyboard.
func (s *session) each(command string) (time.Duration, error) {
	const times = 50
	loop := "for i in " + strings.Repeat("x ", times) + "; do %s >/dev/null; done"
	full, err := s.line(fmt.Sprintf(loop, command))
	if err != nil {
		return 0, err
	}
	empty, err := s.line(fmt.Sprintf(loop, ":"))
	return (full - empty) / times, err
}
