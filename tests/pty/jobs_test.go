package pty

import (
	"os/exec"
	"strings"
	"testing"
)

// stopped presses Ctrl-Z and waits for the prompt.
func stopped(s interface {
	Send(string)
	Until(string, func() bool)
	Screen() string
}, line string) {
	s.Send("\x1a")
	s.Until("the prompt is back below "+line, func() bool {
		text := s.Screen()
		return strings.Contains(text, line) && strings.HasSuffix(text, "\n"+strings.TrimRight(p, " "))
	})
}

// Ctrl-Z, jobs, fg, bg, kill %N, wait %N, and a message when a job has ended.
func jobs(t *testing.T, w *world) {
	w.shell(t, "mkfifo fifo")
	s := w.open(t)
	s.Send(sleeper + "\r")
	s.Contains("\nit sleeps")
	stopped(s, "[1]+  Stopped    sh -c")
	s.Send("echo status $?\r")
	ends(s, "status 148")
	s.Send("bg\r")
	s.Contains("[1]+  Running    sh -c")
	s.Send("clear\r")
	s.Send("exit\r") // once is not enough while something runs
	s.Contains("jobs behind the prompt: 1")
	s.Send("clear\r")
	s.Want(p)
	s.Send("exit\r") // something else was typed: it warns again
	s.Contains("jobs behind the prompt: 1")
	s.Send("kill %1\r")
	s.Contains("[1]+  Exit 143   sh -c")
	s.Send("clear; (read x < fifo; echo got $x; exit 3) &\r")
	s.Contains("[1]\n")
	s.Send("jobs\r")
	s.Contains("[1]+  Running    (read x")
	s.Send("echo half a li") // what comes meanwhile appears above
	s.Contains("\n" + p + "echo half a li")
	w.shell(t, "echo one > fifo")
	s.Contains("\ngot one\n[1]+  Exit 3     (read x < fifo; echo got $x; exit 3) &\n" + p + "echo half a li")
	s.Send("ne\r")
	ends(s, "half a line")
	s.Send("clear; read y < fifo &\r")
	s.Contains("[1]\n")
	s.Send("wait %1; echo status $?\r")
	w.shell(t, "echo two > fifo")
	s.Until("both are told", func() bool {
		text := s.Screen()
		return strings.Contains(text, "\nstatus 0\n") && strings.Contains(text, "\n[1]+  Done       read y < fifo &\n") && strings.HasSuffix(text, "\n"+strings.TrimRight(p, " "))
	})
	s.Send("fg %7\r")
	ends(s, "nacre: fg: %7: no such job")
	leave(s)
}

// Commands that run in the shell's own process go on behind the prompt without
// the terminal: their output comes above the line, and they read no keys.
func ownCommandsBehind(t *testing.T, w *world) {
	s := w.open(t)
	s.Send("run -d --name talks " + w.image + " sh -c 'echo begins; until [ -e /go ]; do sleep 0.1; done; echo goes on; exec sleep 100'\r")
	s.Until("the container runs", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	s.Send("clear; logs -f talks\r")
	s.Want("begins")
	stopped(s, "[1]+  Running    logs -f talks")
	s.Send("exec talks touch /go\r")
	s.Contains("\ngoes on\n")
	s.Send("fg\r")
	s.Contains("\nlogs -f talks")
	s.Send("\x03")
	s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	s.Send("clear; run -i --name reads " + w.image + " sh -c 'echo ready; cat'\r")
	s.Want("ready")
	stopped(s, "Running    run -i")
	s.Send("echo mi''ne\r") // is for the shell, all of it
	s.Contains("\nmine")
	s.Send("rm -f talks reads\r")
	s.Contains("reads\n")
	s.Until("the job has ended", func() bool {
		return strings.Contains(s.Screen(), "[1]+  ") && strings.Contains(s.Screen(), "run -i --name reads")
	})
	leave(s)
}

// shell runs a line of sh in the engine's folder.
func (w *world) shell(t *testing.T, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = w.root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}
