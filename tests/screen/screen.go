// Package screen runs a program at a pseudo-terminal and reads the screen that a
// person would see: tests type keys and say what has to stand there then.
package screen

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// Session is a program under a pseudo-terminal with a screen that is read.
type Session struct {
	t    testing.TB
	pty  *os.File
	tty  *os.File // the other end, to look at its modes
	cmd  *exec.Cmd
	term vt10x.Terminal
	done chan struct{} // nothing comes any more
	ends chan error    // the program's end

	slow  Slow
	sends chan sent // keys on their way, where that takes time

	mu  sync.Mutex
	raw []byte // everything that came
}

// Slow is a line as of a slow ssh: the terminal's other end reads pieces of so
// many bytes with a pause after each, and keys are under way for a while.
type Slow struct {
	Piece          int
	Pause, Latency time.Duration
}

type sent struct {
	text   string
	arrive time.Time
}

// StartSlow is Start on a slow line.
func StartSlow(t testing.TB, cmd *exec.Cmd, cols, rows int, slow Slow) *Session {
	return start(t, cmd, cols, rows, slow)
}

// Start starts a program at a terminal of cols columns. It ends with the test.
func Start(t testing.TB, cmd *exec.Cmd, cols, rows int) *Session {
	return start(t, cmd, cols, rows, Slow{})
}

func start(t testing.TB, cmd *exec.Cmd, cols, rows int, slow Slow) *Session {
	t.Helper()
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := setSize(ptmx, cols, rows); err != nil {
		t.Fatal(err)
	}
	s := &Session{slow: slow, t: t, pty: ptmx, tty: tty, cmd: cmd, done: make(chan struct{}), ends: make(chan error, 1)}
	s.term = vt10x.New(vt10x.WithSize(cols, rows), vt10x.WithWriter(ptmx))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ends <- cmd.Wait() }()
	go s.read()
	if slow.Latency > 0 {
		s.sends = make(chan sent, 1000)
		go s.sendLate()
	}
	t.Cleanup(s.stop)
	return s
}

// setSize sets the window's size. The library leaves the descriptor in blocking
// mode, in which Close would wait for a read that waits for the program.
func setSize(ptmx *os.File, cols, rows int) error {
	if err := pty.Setsize(ptmx, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		return err
	}
	raw, err := ptmx.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SetNonblock(int(fd), true) }); err != nil {
		return err
	}
	return failed
}

func (s *Session) read() {
	defer close(s.done)
	buf := make([]byte, 32<<10)
	if s.slow.Piece > 0 {
		buf = buf[:s.slow.Piece]
	}
	var rest []byte // a character that has not come as a whole: the screen does not wait for it
	for {
		n, err := s.pty.Read(buf)
		s.mu.Lock()
		s.raw = append(s.raw, buf[:n]...)
		s.mu.Unlock()
		whole := append(rest, buf[:n]...)
		cut := wholeRunes(whole)
		_, _ = s.term.Write(whole[:cut])
		rest = append([]byte(nil), whole[cut:]...)
		if err != nil {
			return
		}
		time.Sleep(s.slow.Pause)
	}
}

// wholeRunes is the length of the text without a last character that is incomplete.
func wholeRunes(b []byte) int {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				break
			}
			return i
		}
	}
	return len(b)
}

// sendLate brings keys to the program, each burst after the line's latency.
func (s *Session) sendLate() {
	for keys := range s.sends {
		time.Sleep(time.Until(keys.arrive))
		if _, err := s.pty.WriteString(keys.text); err != nil {
			return // the session has ended
		}
	}
}

func (s *Session) stop() {
	if s.sends != nil {
		close(s.sends)
	}
	_ = s.cmd.Process.Kill() // gone already is fine
	s.tty.Close()
	s.pty.Close()
	<-s.done
}

// Wait waits for the program's end, which is to be a good one.
func (s *Session) Wait() {
	s.t.Helper()
	select {
	case err := <-s.ends:
		if err != nil {
			s.t.Error(err)
		}
	case <-time.After(patience):
		_ = s.cmd.Process.Signal(unix.SIGABRT) // shows where it hangs
		time.Sleep(100 * time.Millisecond)
		s.t.Fatalf("the program does not end:\n%s", s.Output())
	}
}

func (s *Session) Send(keys string) {
	s.t.Helper()
	if s.sends != nil {
		s.sends <- sent{keys, time.Now().Add(s.slow.Latency)}
		return
	}
	stuck := time.AfterFunc(time.Minute, func() {
		_ = s.cmd.Process.Signal(unix.SIGABRT) // shows where it hangs
		time.Sleep(200 * time.Millisecond)
		_ = unix.IoctlSetInt(int(s.tty.Fd()), unix.TCFLSH, unix.TCIFLUSH) // frees the writer
	})
	if _, err := s.pty.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
	if !stuck.Stop() {
		time.Sleep(100 * time.Millisecond)
		s.t.Fatalf("keys are not read; what comes:\n%s", s.Output()[strings.LastIndex(s.Output(), "SIGABRT"):])
	}
}

func (s *Session) Resize(cols, rows int) {
	s.t.Helper()
	s.term.Resize(cols, rows)
	if err := setSize(s.pty, cols, rows); err != nil {
		s.t.Fatal(err)
	}
}

// Screen is the text on the screen without blanks at the ends of rows and
// without empty rows at the end.
func (s *Session) Screen() string {
	s.term.Lock()
	defer s.term.Unlock()
	cols, rows := s.term.Size()
	var out []string
	for y := range rows {
		var b strings.Builder
		for x := range cols {
			c := s.term.Cell(x, y).Char
			if c == 0 {
				c = ' '
			}
			b.WriteRune(c)
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n")
}

func (s *Session) Cursor() (x, y int) {
	s.term.Lock()
	defer s.term.Unlock()
	c := s.term.Cursor()
	return c.X, c.Y
}

const patience = time.Minute

func (s *Session) Until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			x, y := s.Cursor()
			s.t.Fatalf("%s: the screen stays, cursor %d,%d\n%s", what, x, y, s.Screen())
		}
	}
}

// Want waits for exactly these rows.
func (s *Session) Want(rows ...string) {
	s.t.Helper()
	text := strings.TrimRight(strings.Join(rows, "\n"), "\n ")
	s.Until(fmt.Sprintf("want\n%s\n", text), func() bool { return s.Screen() == text })
}

func (s *Session) Contains(text string) {
	s.t.Helper()
	s.Until(fmt.Sprintf("want %q on it", text), func() bool { return strings.Contains(s.Screen(), text) })
}

func (s *Session) WantCursor(x, y int) {
	s.t.Helper()
	s.Until(fmt.Sprintf("want the cursor at %d,%d", x, y), func() bool {
		a, b := s.Cursor()
		return a == x && b == y
	})
}

func (s *Session) Modes() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

func (s *Session) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.raw)
}

// Pid is the program's process.
func (s *Session) Pid() int { return s.cmd.Process.Pid }

// Foreground is the foreground colour of a character.
func (s *Session) Foreground(x, y int) vt10x.Color {
	s.term.Lock()
	defer s.term.Unlock()
	return s.term.Cell(x, y).FG
}

// Read is closed when everything that the program wrote has been read, once it
// has ended: the terminal's other end is closed for that.
func (s *Session) Read() <-chan struct{} {
	s.tty.Close()
	return s.done
}

// Hangup closes the terminal under the program and reports how it ends.
func (s *Session) Hangup() <-chan error {
	s.tty.Close()
	s.pty.Close()
	return s.ends
}

// Ended gives the program's end, once.
func (s *Session) Ended() <-chan error { return s.ends }

// SetModes sets the terminal's modes, as another program would.
func (s *Session) SetModes(m unix.Termios) {
	s.t.Helper()
	if err := unix.IoctlSetTermios(int(s.tty.Fd()), unix.TCSETS, &m); err != nil {
		s.t.Fatal(err)
	}
}
