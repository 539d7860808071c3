package pty

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
	docker := w.once(t, "ps", "-a", "--filter", "name=gone", "--no-trunc")
	for _, c := range [][]string{{"TERM=dumb"}, {"TERM="}, {"TERM=xterm-256color"}} {
		if raw, _ := w.shown(t, 30, c, "ps", "-a", "--filter", "name=gone", "--no-trunc"); headingOf(raw) != headingOf(docker) {
			t.Errorf("%s: %q, want docker's %q", c, headingOf(raw), headingOf(docker))
		}
	}
	if raw, _ := w.shown(t, 20, nil, "ps", "-a", "--format", "table {{.ID}}\t{{.Names}}\t{{.Image}}"); !strings.HasPrefix(raw, "CONTAINER ID   NAMES     IMAGE\r\n") {
		t.Errorf("a format: %q", raw)
	}

	// Ports and folders are links where the terminal is known to have them.
	raw, _ := w.shown(t, 200, []string{"VTE_VERSION=6800"}, "ps")
	if !regexp.MustCompile("\x1b]8;;http://127\\.0\\.0\\.1:(\\d+)\x1b\\\\127\\.0\\.0\\.1:\\d+->80/tcp\x1b]8;;\x1b\\\\, \x1b]8;;https://127").MatchString(raw) {
		t.Errorf("links: %q", raw)
	}
}

func headingOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimRight(line, "\r")
}
