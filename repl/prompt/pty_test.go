package prompt_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/tests/screen"
)

// session is the child on a screen.
type session struct{ *screen.Session }

type config struct {
	cols, rows int
	env        []string
	history    string // file
	lines      string // entries, separated by |
	letGo      string // file that ends what waits; see awaitGo
}

func start(t testing.TB, c config) session {
	t.Helper()
	if c.cols == 0 {
		c.cols, c.rows = 60, 12
	}
	if c.history == "" {
		c.history = filepath.Join(t.TempDir(), "history.db")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{childVar + "=1", "TERM=xterm-256color",
		"TEST_HISTORY=" + c.history, "TEST_LINES=" + c.lines, "HOME=" + t.TempDir(), "TEST_GO=" + c.letGo}, c.env...)
	return session{screen.Start(t, cmd, c.cols, c.rows)}
}

const p = "nacre ❯ "

// create makes an empty file.
func create(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTypingAndEditing(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.WantCursor(8, 0)
	s.Send("pull ngjnx")
	s.Want(p + "pull ngjnx")
	s.Send("\x1b[D\x1b[D\x7fi") // left, left, backspace
	s.Want(p + "pull nginx")
	s.WantCursor(16, 0)
	s.Send("\x01docker \x05:1") // C-a, C-e
	s.Want(p + "docker pull nginx:1")
	s.Send("\x17\x17redis") // C-w twice
	s.Want(p + "docker redis")
	s.Send("\x01\x0b") // C-a C-k
	s.Want(p)
	s.Send("\x19!\r") // C-y
	s.Want(p+"docker redis!", "[docker redis!]", p)
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
			s.Want(p)
			s.Send(c.keys + "\r")
			s.Contains("[" + c.want + "]")
		})
	}
}

func TestWrapAtTheEdge(t *testing.T) {
	s := start(t, config{cols: 20, rows: 6})
	s.Want(p)
	s.Send("123456789012") // fills the row
	s.Want(p + "123456789012")
	s.WantCursor(0, 1)
	s.Send("ab")
	s.Want(p+"123456789012", "ab")
	s.Send("\x7f\x7f\x7f")
	s.Want(p + "12345678901")
	s.WantCursor(19, 0)
	s.Send("日") // two columns do not fit into one
	s.Want(p+"12345678901", "日")
	s.WantCursor(2, 1)
	s.Send("\x01x")
	s.Want(p+"x12345678901", "日")
	s.WantCursor(9, 0)
	s.Send("\r")
	s.Want(p+"x12345678901", "日", "[x12345678901日]", p)
}

func TestWide(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("拉取 x")
	// The test's screen gives every character one cell; the columns are set by the editor.
	s.Want(p + "拉 取  x")
	s.WantCursor(14, 0)
	s.Send("\x01\x06\x06\x7f")
	s.Want(p + "拉  x")
	s.WantCursor(10, 0)
	s.Send("\x05👍\r")
	s.Contains("[拉 x👍]")
}

func TestLongerThanTheScreen(t *testing.T) {
	s := start(t, config{cols: 20, rows: 5})
	s.Want(p)
	text := strings.Repeat("0123456789", 15) // 158 columns with the prompt: 8 rows
	s.Send(text)
	s.Until("want the end", func() bool {
		return strings.HasSuffix(s.Screen(), "\n23456789012345678") || strings.HasSuffix(s.Screen(), "6789")
	})
	if n := strings.Count(s.Screen(), "\n") + 1; n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
	s.Send("\x01")
	s.Until("want the prompt back", func() bool { return strings.HasPrefix(s.Screen(), p+"0123") })
	s.WantCursor(8, 0)
	s.Send("\r")
	s.Until("want the answer", func() bool { return strings.HasSuffix(s.Screen(), "]\n"+strings.TrimRight(p, " ")) })
}

func TestInterruptAndEOF(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("pull x\x03")
	s.Want(p+"pull x^C", p)
	s.Send("\x1a\x1c") // C-z, C-\ mean nothing here
	s.Send("a\x04\r")
	s.Want(p+"pull x^C", p+"a", "[a]", p)
	s.Send("\x04")
	s.Contains("bye")
	s.Wait()
}

func TestOutputWithoutNewline(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("printf\r")
	s.Want(p+"printf", "no newline⏎", p)
}

func TestClearScreen(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("a\rb\x0c")
	s.Want(p + "b")
	s.WantCursor(9, 0)
}

func TestContinuation(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("for i in 1 2\rdo x\r")
	s.Want(p+"for i in 1 2", "  … do x", "  …")
	s.Send("done\x1b[A\x1b[A\x05 3") // up, up, end of that row
	s.Want(p+"for i in 1 2 3", "  … do x", "  … done")
	s.Send("\r")
	s.Want(p+"for i in 1 2 3", "  … do x", "  … done", "[for i in 1 2 3⏎do x⏎done]", p)
	s.Send("\x1b[A") // from history, in one piece
	s.Want(p+"for i in 1 2 3", "  … do x", "  … done", "[for i in 1 2 3⏎do x⏎done]", p+"for i in 1 2 3", "  … do x", "  … done")
}

func TestPasteNeverRuns(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("\x1b[200~rm -f a\r\nrm -f b\x1b[31m\x03\r\n\x1b[201~")
	s.Contains(p + "rm -f a\n  … rm -f b[31m")
	s.Contains("\n→ removes -f a") // the preview is the last that comes without a key
	if strings.Contains(s.Output(), "[rm -f a") {
		t.Error("a paste ran a line")
	}
	s.Send("\r")
	s.Contains("[rm -f a⏎rm -f b[31m]")
}

func TestLargePaste(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("\x1b[200~" + strings.Repeat("0123456789abcdef", 2000) + "END\x1b[201~")
	s.Contains("END")
	s.Send("\x15ok\r")
	s.Contains("[ok]")
}

func TestTypeAheadBelongsToTheCommand(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("read\rfor the command\r")
	s.Contains(`read "for the command\n" <nil>`)
	s.Send("sleep\rpull x") // and what the command leaves is the prompt's
	s.Until("the rest is at the prompt", func() bool { return strings.HasSuffix(s.Screen(), "\n"+p+"pull x") })
}

func TestModesAreRestoredForCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go")
	s := start(t, config{letGo: file})
	before := s.Modes()
	s.Want(p)
	s.Until("raw at the prompt", func() bool { return s.Modes().Lflag&unix.ICANON == 0 })
	s.Send("wait\r")
	s.Until("as before while a command runs", func() bool { return s.Modes() == before })
	create(t, file)
	s.Until("raw again", func() bool { return s.Modes().Lflag&unix.ICANON == 0 })
	s.Send("exit\r")
	s.Wait()
	if s.Modes() != before {
		t.Error("modes are not restored at the end")
	}
	if !strings.HasSuffix(s.Output(), "\x1b[?2004l") {
		t.Error("bracketed paste stays on")
	}
}

func TestPanicRestoresTheTerminal(t *testing.T) {
	s := start(t, config{})
	before := s.Modes()
	s.Want(p)
	s.Send("panic now")
	s.Contains("error: the line editor failed: highlighting failed")
	s.Until("the prompt", func() bool {
		return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) && s.Modes().Lflag&unix.ICANON == 0
	})
	s.Send("ok\r")
	s.Contains("[ok]")
	s.Send("exit\r")
	s.Wait()
	if s.Modes() != before {
		t.Error("modes are not restored")
	}
}

// The terminal's end is noticed with its signal and, as below nohup, without.
func TestHangupEnds(t *testing.T) {
	for _, env := range [][]string{nil, {"TEST_NOHUP=1"}} {
		s := start(t, config{env: env})
		s.Want(p)
		select {
		case <-s.Hangup():
		case <-time.After(time.Minute):
			t.Fatalf("the program runs on without its terminal %v", env)
		}
	}
}

func TestNoColour(t *testing.T) {
	s := start(t, config{env: []string{"NO_COLOR=1"}, lines: "pull nginx"})
	s.Want(p)
	s.Send("pull")
	s.Want(p + "pull nginx")
	if colours := regexp.MustCompile(`\x1b\[[0-9;]*[349][0-9]*m`).FindString(s.Output()); colours != "" {
		t.Errorf("colour %q", colours)
	}
}

func TestColours(t *testing.T) {
	s := start(t, config{lines: "pull nginx"})
	s.Want(p)
	fg := func(x int) vt10x.Color { return s.Foreground(x, 0) }
	s.Send("pull -q")
	s.Until("pull is green, the flag cyan", func() bool { return fg(8) == vt10x.Green && fg(13) == vt10x.Cyan })
	s.Send("\x15pulx")
	s.Until("pulx is red", func() bool { return fg(8) == vt10x.Red })
}

func TestDumbTerminal(t *testing.T) {
	s := start(t, config{env: []string{"TERM=dumb"}})
	s.Want(p)
	s.Send("pull x\n")
	s.Want(p+"pull x", "[pull x]", p)
	s.Send("abc")
	s.Want(p+"pull x", "[pull x]", p+"abc")
	s.Send("\x03")
	s.Want(p+"pull x", "[pull x]", p+"abc^C", p)
	s.Send("echo \\\nmore\n")
	s.Contains("[echo \\⏎more]")
	s.Send("\x04")
	s.Contains("bye")
	if strings.Contains(s.Output(), "\x1b") {
		t.Errorf("escape sequences on a dumb terminal: %q", s.Output())
	}
}

// A terminal that is not the process's controlling one: go-prompt cannot work
// there, plain lines can.
func TestWithoutControllingTerminal(t *testing.T) {
	cmd := exec.Command("setsid", "--wait", os.Args[0]) // a session of its own, without the terminal
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), childVar + "=1", "TERM=xterm-256color", "TEST_LINES="}
	s := screen.Start(t, cmd, 60, 12)
	s.Want(p)
	s.Send("pull x\n")
	s.Want(p+"pull x", "[pull x]", p)
	s.Send("exit\n")
	s.Wait()
}

func TestNotATerminal(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{childVar + "=1", "TERM=xterm-256color", "TEST_LINES="}
	cmd.Stdin = strings.NewReader("pull x\n")
	out, err := cmd.CombinedOutput()
	if err == nil || string(out) != "open the prompt: standard input is not a terminal\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// Stopped from outside and continued, with other modes in between.
func TestContinued(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("pull x")
	s.Want(p + "pull x")
	raw := s.Modes()
	signal := func(sig unix.Signal) {
		t.Helper()
		if err := unix.Kill(s.Pid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(unix.SIGSTOP)
	cooked := raw
	cooked.Lflag |= unix.ICANON | unix.ECHO
	s.SetModes(cooked)
	signal(unix.SIGCONT)
	s.Until("raw modes again", func() bool { return s.Modes() == raw })
	s.Send("y\r")
	s.Contains("[pull xy]")
}
