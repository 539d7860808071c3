package pty

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pane is nacre in a pane of tmux, a terminal of its own kind between it and the screen.
type pane struct {
	t      *testing.T
	socket string
	env    []string
}

// tmux starts a server of its own, with nacre in its only pane.
func (w *world) tmux(t *testing.T, columns, rows int) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("tmux is not installed: apt-get install tmux")
	}
	// A history of its own: what other tests have used would come first in the menu, in an order that changes with time.
	p := &pane{t: t, socket: filepath.Join(t.TempDir(), "s"), env: append(slices.Clone(w.env), "XDG_STATE_HOME="+t.TempDir())}
	p.do("-u", "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(rows), "-c", w.root, filepath.Join(w.bin, "nacre"))
	t.Cleanup(func() { _ = p.command("kill-server").Run() }) // it has ended where the test left the shell
	p.until("the prompt", func(text string) bool { return strings.HasPrefix(text, prompted) })
	return p
}

var prompted = strings.TrimRight(p, " ")

func (p *pane) command(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...)
	cmd.Env = p.env
	return cmd
}

func (p *pane) do(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keys sends keys by tmux's names (Enter, Tab, C-z); text sends letters.
func (p *pane) keys(names ...string) { p.do(append([]string{"send-keys"}, names...)...) }
func (p *pane) text(text string)     { p.do("send-keys", "-l", text) }
func (p *pane) line(text string)     { p.text(text); p.keys("Enter") }

func (p *pane) screen() string {
	p.t.Helper()
	rows := strings.Split(strings.TrimRight(p.do("capture-pane", "-p"), "\n"), "\n")
	for i, r := range rows {
		rows[i] = strings.TrimRight(r, " ")
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

func (p *pane) until(what string, ok func(text string) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text := p.screen()
		if ok(text) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: the pane stays\n%s", what, text)
		}
	}
}

// gone waits until the server has ended with its only pane.
func (p *pane) gone() {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); p.command("has-session").Run() == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the shell does not end\n%s", p.screen())
		}
	}
}

func (p *pane) ends(text string) {
	p.t.Helper()
	p.until("want at its end "+text, func(got string) bool { return strings.HasSuffix(got, text+"\n"+prompted) })
}

func (p *pane) is(text string) {
	p.t.Helper()
	p.until("want "+text, func(got string) bool { return got == strings.TrimRight(text, " ") })
}

func (p *pane) clear() { p.keys("C-l"); p.is(prompted) }

// inTmux: menu, a pane that changes its size, jobs, a paste of several rows, and
// a container that is left and joined again.
func inTmux(t *testing.T, w *world) {
	s := w.tmux(t, 80, 24)
	s.clear()
	s.text("network ")
	s.keys("Tab")
	s.until("the menu", func(text string) bool {
		return strings.Contains(text, "connect") && strings.Contains(text, "Remove all unused networks")
	})
	line := ""
	for n := 0; line != p+"network create"; n++ { // where it stands in the menu depends on what was typed before
		if n > 20 {
			t.Fatal("the menu does not have network create")
		}
		s.keys("Tab")
		s.until("Tab chooses another one", func(text string) bool {
			now, _, _ := strings.Cut(text, "\n")
			changed := now != line && now != p+"network"
			line = now
			return changed
		})
	}
	s.keys("Enter")
	s.is(p + "network create")
	s.keys("C-u")
	s.text("echo " + strings.Repeat("0123456789", 8))
	s.is(p + "echo " + strings.Repeat("0123456789", 6) + "0123456\n7890123456789") // what is painted while a window changes its size, no program can place
	s.do("resize-window", "-x", "50", "-y", "12")
	s.until("the line flows into the narrow pane", func(text string) bool {
		return text == p+"echo "+strings.Repeat("0123456789", 3)+"0123456\n"+"789"+strings.Repeat("0123456789", 4)
	})
	s.do("resize-window", "-x", "90", "-y", "20")
	s.until("and back", func(text string) bool {
		return strings.HasSuffix(text, p+"echo "+strings.Repeat("0123456789", 7)+"0123456\n789") && strings.Count(text, prompted) == 1
	})
	s.keys("C-u")
	s.clear()

	s.line(sleeper)
	s.until("it runs", func(text string) bool { return strings.HasSuffix(text, "\nit sleeps") })
	s.keys("C-z")
	s.until("it is stopped", func(text string) bool {
		return strings.Contains(text, "[1]+  Stopped    sh -c") && strings.HasSuffix(text, "\n"+prompted)
	})
	s.line("fg")
	s.until("it is in front", func(text string) bool { return strings.Contains(text, prompted+" fg\n"+sleeper) })
	s.keys("C-c")
	s.until("the prompt is back", func(text string) bool { return strings.HasSuffix(text, "\n"+prompted) })
	s.clear()

	s.do("set-buffer", "echo one\necho two\n")
	s.do("paste-buffer", "-p") // in brackets, as terminals do
	s.is(p + "echo one\n  … echo two")
	s.keys("Enter")
	s.ends("one\ntwo")
	s.clear()

	s.line("run -it --name pane " + w.image + " sh")
	s.until("a shell inside", func(text string) bool { return strings.HasSuffix(text, "/ #") })
	s.keys("C-p", "C-q")
	s.until("it is left", func(text string) bool { return strings.HasSuffix(text, prompted) })
	s.line("ps --format '{{.Names}} {{.State}}'")
	s.ends("pane running")
	s.line("attach pane")
	s.line("echo 'again 'inside")
	s.until("it is joined again", func(text string) bool { return strings.HasSuffix(text, "\nagain inside\n/ #") })
	s.line("exit")
	s.until("it has ended", func(text string) bool { return strings.HasSuffix(text, prompted) })
	s.clear()
	s.line("rm pane")
	s.ends("pane")
	s.line("exit 0")
	s.gone()
}
