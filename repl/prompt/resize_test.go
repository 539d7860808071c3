package prompt_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The screen of these tests cuts rows when it becomes narrower; the editor finds out.
func TestResize(t *testing.T) {
	for name, env := range map[string][]string{
		"asked": nil, "by name": {"XTERM_VERSION=XTerm(390)"},
	} {
		t.Run(name, func(t *testing.T) { resize(t, env) })
	}
}

func resize(t *testing.T, env []string) {
	s := start(t, config{cols: 40, rows: 8, env: env})
	s.Want(p)
	s.Send("above\r")
	s.Want(p+"above", "[above]", p)
	s.Send("pull a-name-of-some-length")
	s.Want(p+"above", "[above]", p+"pull a-name-of-some-length")
	s.Resize(20, 8)
	s.Want(p+"above", "[above]", p+"pull a-name-", "of-some-length")
	s.WantCursor(14, 3)
	s.Send("!")
	s.Resize(60, 20)
	s.Want(p+"above", "[above]", p+"pull a-name-of-some-length!")
	s.Send("\x0c")
	s.Send("\x15x i\t")
	s.Contains("inspect")
	s.Resize(30, 5)
	s.Want(p+"x i", " images   List images", " import   Import a tarball", " inspect  Return low-level i…")
	s.Send("mages\r\r")
	s.Contains("[x images]")
}

// While the window changes at every key, the text that is entered stays right.
func TestResizeWhileTyping(t *testing.T) {
	s := start(t, config{cols: 40, rows: 8})
	s.Want(p)
	want := ""
	for i := range 60 {
		c := string(rune('a' + i%26))
		s.Send(c)
		want += c
		s.Resize(20+(i*7)%60, 5+(i*3)%20)
	}
	s.Resize(100, 10)
	s.Send("\r")
	s.Contains("[" + want + "]")
}

var (
	fuzzSeed = flag.Uint64("keyseed", 0, "seed of the random keys; 0: the time, where keytime is given")
	fuzzTime = flag.Duration("keytime", 0, "how long random keys are typed; 0: some hundred bursts, the same ones every time")
)

// Random keys and window sizes: the editor neither panics nor hangs, answers in
// the end, and leaves the terminal as it was.
func TestRandomKeys(t *testing.T) {
	t.Parallel()
	seed := *fuzzSeed
	if seed == 0 && *fuzzTime > 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-keyseed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := start(t, config{env: []string{"TEST_RANDOM=1"}, lines: "pull nginx|ps -a|for i in 1 2\ndo x\ndone|拉取 日本語"})
	before := s.Modes()
	s.Want(p)
	sent := 0
	for end := time.Now().Add(*fuzzTime); sent < 500 || time.Now().Before(end); {
		if r.IntN(15) == 0 {
			s.Resize(20+r.IntN(100), 5+r.IntN(40))
		}
		s.Send(randomKeys(r))
		sent++
		if r.IntN(3) == 0 {
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		}
	}
	t.Logf("%d bursts", sent)
	s.Resize(80, 24)
	var asked time.Time
	s.Until("an answer", func() bool {
		if time.Since(asked) > time.Second {
			s.Send("\x1b[201~\x07\x03alive\r") // behind the end of a paste or of a search that may be open
			asked = time.Now()
		}
		return strings.Contains(s.Output(), "[alive]")
	})
	if _, text, found := strings.Cut(s.Output(), "the line editor failed"); found {
		t.Errorf("the editor panicked%.3000s", text)
	}
	s.Send("exit\r")
	s.Wait()
	if now := s.Modes(); now != before {
		t.Errorf("modes %+v, before %+v", now, before)
	}
}

// randomKeys gives a burst of keys without Ctrl-D, which could end the
// child, and without Ctrl-S, which between two lines stops its output.
func randomKeys(r *rand.Rand) string {
	pieces := []string{
		"\x01", "\x02", "\x03", "\x05", "\x06", "\x07", "\x08", "\t", "\t\t", "\r", "\x0b", "\x0c", "\x0e", "\x10", "\x12",
		"\x14", "\x15", "\x17", "\x19", "\x1a", "\x1f", "\x7f", "\x00", "\x1c",
		"\x1b", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[3~", "\x1b[5~", "\x1b[6~", "\x1b[Z", "\x1b[1;5C", "\x1b[1;5D",
		"\x1bb", "\x1bf", "\x1bd", "\x1b\x7f", "\x1b\r", "\x1b[", "\x1bO", "\x1b[99;99", "\x1b[12;40R",
		"\x1b[200~pasted\r\nrows\x1b[201~", "\x1b[200~", "\x1b[201~", "\xff", "\xe6", "\xc3\x28",
		"\x18", "\x18\x15", "\x18\x12", "\x18\x05", "\x1by", "\x1b/", "\x1be", "rm web", "!!", "pa ", "nginx镜像👍🏽",
		"pull ", "ps -a", "images", "many ", "slow ", "\"", "'", "$(", ")", "|", "\\", "i", " ", "日本語", "👨‍👩‍👧", "e\u0301", "\u200d", "🇩🇪", "\u202e", "\t日",
		strings.Repeat("long", 30),
	}
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// switches is how often the threads of a process have given up the processor.
func switches(t *testing.T, pid int) (n int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatal("no threads", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(data)) {
			if v, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				k, err := strconv.Atoi(strings.TrimSpace(v))
				if err != nil {
					t.Fatal(err)
				}
				n += k
			}
		}
	}
	return n
}

// The library's loop polls every 10 ms; the editor keeps it from that.
func TestNoIdleWakeups(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	var n int
	for range 20 { // one that polls never has a quiet half second; what follows the start ends some time
		before := switches(t, s.Pid())
		time.Sleep(500 * time.Millisecond)
		if n = switches(t, s.Pid()) - before; n <= 25 {
			return
		}
	}
	t.Errorf("%d context switches in half a second of rest", n)
}
