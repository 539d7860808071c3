package pty

import (
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/plugins/show"
	"github.com/nacre-sh/nacre/tests/screen"
)

// shown is what one command prints to a window: the bytes, and the same without escape sequences, row by row.
func (w *world) shown(t *testing.T, cols int, env []string, args ...string) (raw string, rows []string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(w.bin, "nacre"), args...)
	cmd.Env = append(append([]string{}, w.env...), env...)
	cmd.Dir = w.root
	s := screen.Start(t, cmd, cols, 50)
	s.Wait()
	<-s.Read()
	raw = s.Output()
	return raw, strings.Split(strings.TrimSuffix(strings.ReplaceAll(uncoloured.ReplaceAllString(raw, ""), "\r\n", "\n"), "\n"), "\n")
}

var uncoloured = regexp.MustCompile("\x1b\\[[0-9;]*m|\x1b\\]8;;[^\x1b]*\x1b\\\\")

// Tables fit the window, with wide characters counted right; docker's bytes
// come out wherever somebody has asked for them.
func tables(t *testing.T, w *world) {
	defer w.once(t, "rm", "-f", "wide", "gone")
	w.once(t, "run", "-d", "--name", "wide", "-p", "127.0.0.1::80", "-p", "127.0.0.1::443", w.image, "sh", "-c", ": 数据库备份; exec sleep 100000")
	w.once(t, "run", "-d", "--name", "gone", w.image, "sh", "-c", "exit 3")
	w.once(t, "wait", "gone")
	id := strings.TrimSpace(w.once(t, "ps", "-q", "--filter", "name=wide"))

	_, rows := w.shown(t, 200, nil, "ps", "-a")
	if len(rows) != 3 {
		t.Fatalf("rows:\n%s", strings.Join(rows, "\n"))
	}
	created := strings.Index(rows[0], "CREATED")
	for _, row := range rows[1:] { // the column begins where its heading does, on a screen
		before, _, found := strings.Cut(row, " ago ")
		if begin := strings.LastIndex(before, "   ") + 3; !found || show.Width(before[:begin]) != created {
			t.Errorf("CREATED is not below its heading:\n%s", strings.Join(rows, "\n"))
		}
	}
	for cols := 20; cols < 130; cols += 7 {
		_, rows := w.shown(t, cols, nil, "ps", "-a")
		for _, row := range rows {
			if show.Width(row) > cols {
				t.Errorf("%d columns: %q", cols, row)
			}
		}
		if text := strings.Join(rows, "\n"); !strings.Contains(text, id) || !strings.Contains(text, "gone") {
			t.Errorf("%d columns:\n%s", cols, text)
		}
	}

	// The status has a colour; NO_COLOR, and a terminal that only prints, get none.
	if raw, _ := w.shown(t, 200, nil, "ps", "-a"); !strings.Contains(raw, "\x1b[32mUp ") || !strings.Contains(raw, "\x1b[31mExited (3)") || strings.Contains(raw, "\x1b]8") {
		t.Errorf("%q", raw)
	}
	if raw, _ := w.shown(t, 60, []string{"NO_COLOR=1"}, "ps", "-a"); strings.Contains(raw, "\x1b") {
		t.Errorf("NO_COLOR: %q", raw)
	}
	full := strings.TrimSpace(w.once(t, "ps", "-q", "--no-trunc", "--filter", "name=wide"))
	for _, c := range [][]string{{"TERM=dumb"}, {"TERM="}, {"TERM=xterm-256color"}} { // what docker prints: one row, however long
		raw, rows := w.shown(t, 30, c, "ps", "--no-trunc", "--filter", "name=wide")
		if len(rows) != 2 || !strings.HasPrefix(rows[1], full+"   ") || strings.Contains(raw, "\x1b") {
			t.Errorf("%s: %q", c, raw)
		}
	}
	if raw, rows := w.shown(t, 30, []string{"TERM=dumb"}, "ps", "-a"); len(rows) != 3 || !strings.HasPrefix(raw, "CONTAINER ID   IMAGE     COMMAND ") {
		t.Errorf("TERM=dumb: %q", raw)
	}
	if raw, _ := w.shown(t, 20, nil, "ps", "-a", "--format", "table {{.ID}}\t{{.Names}}\t{{.Image}}"); !strings.HasPrefix(raw, "CONTAINER ID   NAMES     IMAGE\r\n") {
		t.Errorf("a format: %q", raw)
	}

	// Ports and folders are links where the terminal is known to have them.
	raw, _ := w.shown(t, 200, []string{"VTE_VERSION=6800"}, "ps")
	if !regexp.MustCompile("\x1b]8;;http://127\\.0\\.0\\.1:(\\d+)\x1b\\\\127\\.0\\.0\\.1:\\d+->80/tcp\x1b]8;;\x1b\\\\, \x1b]8;;https://127").MatchString(raw) {
		t.Errorf("links: %q", raw)
	}
	if want := regexp.MustCompile("\x1b]8;;file://[^/]*" + w.root + "/d/containers/" + id + "[0-9a-f]{52}\x1b\\\\" + id + "\x1b]8;;"); !want.MatchString(raw) {
		t.Errorf("links of ids: %q", raw)
	}
}

// The live view of `stats`: containers come and go in it, keys change the
// order, it follows the window, and the terminal comes back.
func liveStats(t *testing.T, w *world) {
	defer w.once(t, "rm", "-f", "alpha", "beta", "later")
	w.once(t, "run", "-d", "--name", "alpha", w.image, "sleep", "100000")
	w.once(t, "run", "-d", "--name", "beta", w.image, "sh", "-c", "while :; do :; done")
	s := w.open(t)
	before := s.Modes()
	s.Send("stats\r")
	s.Contains("2 up  CPU ")
	s.Until("the busy one is first, with its sparkline", func() bool {
		return regexp.MustCompile(`\nNAME +CPU %▾ .*\nbeta +\d+\.\d\d .*[▁-█].*\nalpha `).MatchString(s.Screen())
	})
	s.Send("n")
	s.Until("by name", func() bool { return regexp.MustCompile(`\nNAME▾.*\nalpha .*\nbeta `).MatchString(s.Screen()) })
	s.Send("n")
	s.Until("the other way round", func() bool { return regexp.MustCompile(`\nNAME▴.*\nbeta .*\nalpha `).MatchString(s.Screen()) })
	w.once(t, "run", "-d", "--name", "later", w.image, "sleep", "100000")
	s.Contains("3 up")
	s.Contains("\nlater ")
	w.once(t, "rm", "-f", "later")
	s.Until("it vanishes", func() bool { return !strings.Contains(s.Screen(), "later") })
	s.Resize(20, 5)
	s.Until("a small window", func() bool {
		return regexp.MustCompile(`^2 up  CPU .*\nNAME▴.*\nbeta .*\nalpha .*\nc m n i  ↑↓  q leave$`).MatchString(s.Screen())
	})
	s.Resize(80, 24)
	s.Contains("m memory")
	s.Send("q")
	ends(s, p+"stats")
	if now := s.Modes(); now != before {
		t.Errorf("modes %+v, before %+v", now, before)
	}
	s.Send("stats\r")
	s.Contains("m memory")
	s.Send("\x03echo still he''re\r")
	ends(s, "still here")
	leave(s)
}

// What ends the live view from outside gives the terminal back, too: a signal,
// and an engine that goes away.
func statsEnds(t *testing.T, w *world) {
	before := screenModes(w, t)
	back := func(s *screen.Session) {
		t.Helper()
		if now := s.Modes(); now != before {
			t.Errorf("modes %+v, before %+v", now, before)
		}
		<-s.Read()
		if !strings.Contains(s.Output(), "\x1b[?1049l") {
			t.Error("the alternate screen stays")
		}
	}
	s := w.command(t, "stats")
	s.Contains("m memory")
	if err := unix.Kill(s.Pid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-s.Ended(); err == nil || err.Error() != "exit status 143" {
		t.Errorf("ended with %v, want exit status 143", err)
	}
	back(s)

	socket := filepath.Join(w.root, "stats.sock")
	serve := w.command(t, "serve", "-H", "unix://"+socket)
	serve.Until("it serves", func() bool {
		conn, err := net.Dial("unix", socket)
		return err == nil && conn.Close() == nil
	})
	s = w.command(t, "-H", "unix://"+socket, "stats")
	s.Contains("m memory")
	if err := unix.Kill(serve.Pid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-s.Ended(); err == nil || err.Error() != "exit status 1" {
		t.Errorf("ended with %v, want exit status 1", err)
	}
	back(s)
	if !strings.Contains(s.Output(), "stats: the engine is gone: ") {
		t.Errorf("it says %q", s.Output())
	}
	<-serve.Ended()

	// Docker's table where it is asked for, and where the terminal can do no more.
	s = w.command(t, "stats", "--no-stream")
	s.Wait()
	<-s.Read()
	if strings.Contains(s.Output(), "\x1b") || !strings.HasPrefix(s.Output(), "CONTAINER ID   NAME ") && s.Output() != "" {
		t.Errorf("--no-stream: %q", s.Output())
	}
}

// command starts one command at a terminal.
func (w *world) command(t *testing.T, args ...string) *screen.Session {
	t.Helper()
	cmd := exec.Command(filepath.Join(w.bin, "nacre"), args...)
	cmd.Env, cmd.Dir = w.env, w.root
	return screen.Start(t, cmd, 80, 24)
}

// Long output goes through the pager, and nothing else does. Leaving the pager
// is no error, Ctrl-C in it is its own, Ctrl-Z stops it as any program.
func pager(t *testing.T, w *world) {
	defer w.once(t, "rm", "-f", "speaks")
	w.once(t, "run", "-d", "--name", "speaks", w.image, "sh", "-c", "seq 1 5000")
	w.once(t, "wait", "speaks")
	s := w.open(t, "NACRE_PAGER=less") // the blanks before lines keep them out of the history, by which menus of other tests are ordered
	paging := func(first string) {
		t.Helper()
		s.Until("the pager shows "+first, func() bool { return strings.HasPrefix(s.Screen(), first) && strings.HasSuffix(s.Screen(), "\n:") })
	}
	s.Send("clear; logs speaks\r")
	paging("1\n2\n3\n")
	s.Send("\x03") // less goes on; what is typed while it notices may be lost
	s.Until("the end", func() bool {
		s.Send("G")
		return strings.HasSuffix(s.Screen(), "(END)")
	})
	s.Send("q")
	s.Until("the prompt is back", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	s.Send(" clear; inspect speaks\r")
	paging("[\n    {\n")
	s.Send("\x1a")
	s.Contains("Stopped    inspect speaks")
	s.Send("fg\r")
	s.Until("the pager is back", func() bool { return strings.HasSuffix(s.Screen(), "\n:") })
	s.Send("q")
	s.Until("the prompt is back", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	s.Send("clear; echo status $?\r")
	s.Want("status 0", p)
	s.Send("clear; run --help\r")
	paging("Usage:  nacre run")
	s.Send("q")
	s.Until("the prompt is back", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })

	// What fits is never paged; neither are pipes, loops' conditions, files, -f, other programs.
	s.Send(" clear; ps -a; logs --tail 5 speaks; logs speaks | wc -l; x=$(inspect speaks); logs -f speaks | tail -n 1\r")
	ends(s, "4996\n4997\n4998\n4999\n5000\n5000\n5000")
	s.Send("clear; export NACRE_PAGER='cat -n'; logs --tail 30 speaks\r")
	ends(s, "    30  5000")
	s.Send("clear; export NACRE_PAGER=never; logs speaks\r")
	ends(s, "4999\n5000")
	s.Send("clear; export NACRE_PAGER=no-such-program; logs speaks\r")
	ends(s, "4999\n5000")
	leave(s)

	// One command from another shell has docker's output.
	one := w.command(t, "logs", "speaks")
	one.Wait()
	<-one.Read()
	if !strings.Contains(one.Output(), "\r\n5000\r\n") {
		t.Error("logs of one command are not whole")
	}
}
