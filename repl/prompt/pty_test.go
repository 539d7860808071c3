package prompt_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// session is the child under a pseudo-terminal with a screen that is read.
type session struct {
	t    *testing.T
	pty  *os.File
	tty  *os.File // the other end, to look at its modes
	cmd  *exec.Cmd
	term vt10x.Terminal
	done chan struct{}

	mu  sync.Mutex
	raw []byte // everything that came
}

type config struct {
	cols, rows int
	env        []string
	history    string // file
	lines      string // entries, separated by |
}

func start(t *testing.T, c config) *session {
	t.Helper()
	if c.cols == 0 {
		c.cols, c.rows = 60, 12
	}
	if c.history == "" {
		c.history = filepath.Join(t.TempDir(), "history")
	}
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(ptmx, &pty.Winsize{Cols: uint16(c.cols), Rows: uint16(c.rows)}); err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, pty: ptmx, tty: tty, done: make(chan struct{})}
	s.term = vt10x.New(vt10x.WithSize(c.cols, c.rows), vt10x.WithWriter(ptmx))
	s.cmd = exec.Command(os.Args[0])
	// The screen of these tests does not reflow; real xterm neither.
	s.cmd.Env = append([]string{childVar + "=1", "TERM=xterm-256color", "XTERM_VERSION=XTerm(390)",
		"TEST_HISTORY=" + c.history, "TEST_LINES=" + c.lines, "HOME=" + t.TempDir()}, c.env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read()
	t.Cleanup(s.stop)
	return s
}

func (s *session) read() {
	defer close(s.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := s.pty.Read(buf)
		s.mu.Lock()
		s.raw = append(s.raw, buf[:n]...)
		s.mu.Unlock()
		_, _ = s.term.Write(buf[:n])
		if err != nil {
			return
		}
	}
}

func (s *session) stop() {
	_ = s.cmd.Process.Kill() // gone already is fine
	_ = s.cmd.Wait()
	s.tty.Close()
	s.pty.Close()
	<-s.done
}

// wait waits for the child's end, which is to be a good one.
func (s *session) wait() {
	s.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			s.t.Error(err)
		}
	case <-time.After(patience):
		_ = s.cmd.Process.Signal(unix.SIGABRT) // shows where it hangs
		time.Sleep(100 * time.Millisecond)
		s.t.Fatalf("the program does not end:\n%s", s.output())
	}
}

func (s *session) send(keys string) {
	s.t.Helper()
	stuck := time.AfterFunc(5*time.Second, func() {
		_ = s.cmd.Process.Signal(unix.SIGABRT) // shows where it hangs
		time.Sleep(200 * time.Millisecond)
		_ = unix.IoctlSetInt(int(s.tty.Fd()), unix.TCFLSH, unix.TCIFLUSH) // frees the writer
	})
	if _, err := s.pty.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
	if !stuck.Stop() {
		time.Sleep(100 * time.Millisecond)
		s.t.Fatalf("keys are not read; what comes:\n%s", s.output()[strings.LastIndex(s.output(), "SIGABRT"):])
	}
}

func (s *session) resize(cols, rows int) {
	s.t.Helper()
	s.term.Resize(cols, rows)
	if err := pty.Setsize(s.pty, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		s.t.Fatal(err)
	}
}

// screen is the text on the screen without blanks at the ends of rows and
// without empty rows at the end.
func (s *session) screen() string {
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

func (s *session) cursor() (x, y int) {
	s.term.Lock()
	defer s.term.Unlock()
	c := s.term.Cursor()
	return c.X, c.Y
}

const patience = 2 * time.Second

func (s *session) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			x, y := s.cursor()
			s.t.Fatalf("%s: the screen stays, cursor %d,%d\n%s", what, x, y, s.screen())
		}
	}
}

// want waits for exactly these rows.
func (s *session) want(rows ...string) {
	s.t.Helper()
	text := strings.TrimRight(strings.Join(rows, "\n"), "\n ")
	s.until(fmt.Sprintf("want\n%s\n", text), func() bool { return s.screen() == text })
}

func (s *session) contains(text string) {
	s.t.Helper()
	s.until(fmt.Sprintf("want %q on it", text), func() bool { return strings.Contains(s.screen(), text) })
}

func (s *session) wantCursor(x, y int) {
	s.t.Helper()
	s.until(fmt.Sprintf("want the cursor at %d,%d", x, y), func() bool {
		a, b := s.cursor()
		return a == x && b == y
	})
}

func (s *session) modes() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

func (s *session) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.raw)
}

const p = "nacre ❯ "

func TestTypingAndEditing(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.wantCursor(8, 0)
	s.send("pull ngjnx")
	s.want(p + "pull ngjnx")
	s.send("\x1b[D\x1b[D\x7fi") // left, left, backspace
	s.want(p + "pull nginx")
	s.wantCursor(16, 0)
	s.send("\x01docker \x05:1") // C-a, C-e
	s.want(p + "docker pull nginx:1")
	s.send("\x17\x17redis") // C-w twice
	s.want(p + "docker redis")
	s.send("\x01\x0b") // C-a C-k
	s.want(p)
	s.send("\x19!\r") // C-y
	s.want(p+"docker redis!", "[docker redis!]", p)
}

func TestEditingKeys(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"C-b C-f", "abc\x02\x02\x06X", "abXc"},
		{"C-h", "abc\x08", "ab"},
		{"C-d", "abc\x01\x04", "bc"},
		{"Del", "abc\x1b[H\x1b[3~", "bc"},
		{"Home End", "abc\x1b[HX\x1b[FY", "XabcY"},
		{"C-u", "abc def\x1bb\x15", "def"},
		{"C-u C-y", "abc def\x1bb\x15\x05 \x19", "def abc "},
		{"C-t", "ab\x14", "ba"},
		{"C-t in the middle", "abcd\x02\x02\x14", "acbd"},
		{"M-b M-f", "one two three\x1bb\x1bbX\x1bfY", "one Xtwo" + "Y three"},
		{"M-d", "one two three\x01\x1bd", " two three"},
		{"M-backspace", "a b/c\x1b\x7f", "a b/"},
		{"C-w takes the whole path", "a b/c\x17", "a "},
		{"kills add up", "one two three\x17\x17\x01\x19 ", "two three one "},
		{"C-Left C-Right", "one two\x1b[1;5D_\x1b[1;5C!", "one _two!"},
		{"undo", "abc\x01\x0b\x1f", "abc"},
		{"unknown keys", "a\x1b[24~\x1bOP\x1b[1;2P\x1a\x1b[Mb", "ab"},
		{"wide", "日本語\x1b[D\x7fx", "日x語"},
		{"family emoji is one character", "a👨‍👩‍👧b\x1b[D\x7f", "ab"},
		{"combining", "e\u0301x\x1b[D\x7f", "x"},
		{"broken UTF-8", "a\xc3(\xffb", "a(b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, config{})
			s.want(p)
			s.send(c.keys + "\r")
			s.contains("[" + c.want + "]")
		})
	}
}

func TestWrapAtTheEdge(t *testing.T) {
	s := start(t, config{cols: 20, rows: 6})
	s.want(p)
	s.send("123456789012") // fills the row
	s.want(p + "123456789012")
	s.wantCursor(0, 1)
	s.send("ab")
	s.want(p+"123456789012", "ab")
	s.send("\x7f\x7f\x7f")
	s.want(p + "12345678901")
	s.wantCursor(19, 0)
	s.send("日") // two columns do not fit into one
	s.want(p+"12345678901", "日")
	s.wantCursor(2, 1)
	s.send("\x01x")
	s.want(p+"x12345678901", "日")
	s.wantCursor(9, 0)
	s.send("\r")
	s.want(p+"x12345678901", "日", "[x12345678901日]", p)
}

func TestWide(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("拉取 x")
	// The test's screen gives every character one cell; the columns are set by the editor.
	s.want(p + "拉 取  x")
	s.wantCursor(14, 0)
	s.send("\x01\x06\x06\x7f")
	s.want(p + "拉  x")
	s.wantCursor(10, 0)
	s.send("\x05👍\r")
	s.contains("[拉 x👍]")
}

func TestLongerThanTheScreen(t *testing.T) {
	s := start(t, config{cols: 20, rows: 5})
	s.want(p)
	text := strings.Repeat("0123456789", 15) // 158 columns with the prompt: 8 rows
	s.send(text)
	s.until("want the end", func() bool {
		return strings.HasSuffix(s.screen(), "\n23456789012345678") || strings.HasSuffix(s.screen(), "6789")
	})
	if n := strings.Count(s.screen(), "\n") + 1; n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
	s.send("\x01")
	s.until("want the prompt back", func() bool { return strings.HasPrefix(s.screen(), p+"0123") })
	s.wantCursor(8, 0)
	s.send("\r")
	s.until("want the answer", func() bool { return strings.HasSuffix(s.screen(), "]\n"+strings.TrimRight(p, " ")) })
}

func TestInterruptAndEOF(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("pull x\x03")
	s.want(p+"pull x^C", p)
	s.send("\x1a\x1c") // C-z, C-\ mean nothing here
	s.send("a\x04\r")
	s.want(p+"pull x^C", p+"a", "[a]", p)
	s.send("\x04")
	s.contains("bye")
	s.wait()
}

func TestOutputWithoutNewline(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("printf\r")
	s.want(p+"printf", "no newline⏎", p)
}

func TestClearScreen(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("a\rb\x0c")
	s.want(p + "b")
	s.wantCursor(9, 0)
}

func TestContinuation(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("for i in 1 2\rdo x\r")
	s.want(p+"for i in 1 2", "  … do x", "  …")
	s.send("done\x1b[A\x1b[A\x05 3") // up, up, end of that row
	s.want(p+"for i in 1 2 3", "  … do x", "  … done")
	s.send("\r")
	s.want(p+"for i in 1 2 3", "  … do x", "  … done", "[for i in 1 2 3⏎do x⏎done]", p)
	s.send("\x1b[A") // from history, in one piece
	s.want(p+"for i in 1 2 3", "  … do x", "  … done", "[for i in 1 2 3⏎do x⏎done]", p+"for i in 1 2 3", "  … do x", "  … done")
}

func TestPasteNeverRuns(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("\x1b[200~rm -f a\r\nrm -f b\x1b[31m\x03\r\n\x1b[201~")
	s.want(p+"rm -f a", "  … rm -f b[31m")
	time.Sleep(50 * time.Millisecond)
	s.want(p+"rm -f a", "  … rm -f b[31m")
	s.send("\r")
	s.contains("[rm -f a⏎rm -f b[31m]")
}

func TestLargePaste(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("\x1b[200~" + strings.Repeat("0123456789abcdef", 2000) + "END\x1b[201~")
	s.contains("END")
	s.send("\x15ok\r")
	s.contains("[ok]")
}

func TestTypeAheadBelongsToTheCommand(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("read\rfor the command\r")
	s.contains(`read "for the command\n" <nil>`)
	s.send("sleep\rpull x") // and what the command leaves is the prompt's
	s.until("the rest is at the prompt", func() bool { return strings.HasSuffix(s.screen(), "\n"+p+"pull x") })
}

func TestModesAreRestoredForCommands(t *testing.T) {
	s := start(t, config{})
	before := s.modes()
	s.want(p)
	s.until("raw at the prompt", func() bool { return s.modes().Lflag&unix.ICANON == 0 })
	s.send("sleep\r")
	s.until("as before while a command runs", func() bool { return s.modes() == before })
	s.until("raw again", func() bool { return s.modes().Lflag&unix.ICANON == 0 })
	s.send("exit\r")
	s.wait()
	if s.modes() != before {
		t.Error("modes are not restored at the end")
	}
	if !strings.HasSuffix(s.output(), "\x1b[?2004l") {
		t.Error("bracketed paste stays on")
	}
}

func TestPanicRestoresTheTerminal(t *testing.T) {
	s := start(t, config{})
	before := s.modes()
	s.want(p)
	s.send("panic now")
	s.contains("error: the line editor failed: highlighting failed")
	s.send("ok\r")
	s.contains("[ok]")
	s.send("exit\r")
	s.wait()
	if s.modes() != before {
		t.Error("modes are not restored")
	}
}

func TestHangupEnds(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.tty.Close()
	s.pty.Close()
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the program runs on without its terminal")
	}
}

func TestNoColour(t *testing.T) {
	s := start(t, config{env: []string{"NO_COLOR=1"}, lines: "pull nginx"})
	s.want(p)
	s.send("pull")
	s.want(p + "pull nginx")
	if colours := regexp.MustCompile(`\x1b\[[0-9;]*[349][0-9]*m`).FindString(s.output()); colours != "" {
		t.Errorf("colour %q", colours)
	}
}

func TestColours(t *testing.T) {
	s := start(t, config{lines: "pull nginx"})
	s.want(p)
	fg := func(x int) vt10x.Color { s.term.Lock(); defer s.term.Unlock(); return s.term.Cell(x, 0).FG }
	s.send("pull -q")
	s.until("pull is green, the flag cyan", func() bool { return fg(8) == vt10x.Green && fg(13) == vt10x.Cyan })
	s.send("\x15pulx")
	s.until("pulx is red", func() bool { return fg(8) == vt10x.Red })
}

func TestDumbTerminal(t *testing.T) {
	s := start(t, config{env: []string{"TERM=dumb"}})
	s.want(p)
	s.send("pull x\n")
	s.want(p+"pull x", "[pull x]", p)
	s.send("abc")
	s.want(p+"pull x", "[pull x]", p+"abc")
	s.send("\x03")
	s.want(p+"pull x", "[pull x]", p+"abc^C", p)
	s.send("echo \\\nmore\n")
	s.contains("[echo \\⏎more]")
	s.send("\x04")
	s.contains("bye")
	if strings.Contains(s.output(), "\x1b") {
		t.Errorf("escape sequences on a dumb terminal: %q", s.output())
	}
}
