// Package pty drives the real nacre at a terminal, as a person would.
package pty

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
	"github.com/nacre-sh/nacre/tests/screen"
)

const p = "nacre ❯ "

// sleeper is a program that can be seen to have started: what it prints is not in the line that was typed.
const sleeper = `sh -c "echo it'' sleeps; exec sleep 100"`

// world is one engine with an image, for all tests.
type world struct {
	bin, root, image string
	registry         string // its address
	env              []string
}

func TestTerminal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("containers need root: run the tests as root")
	}
	w := newWorld(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *world)
	}{
		{"prompt and completion", promptAndCompletion},
		{"container names complete", namesComplete},
		{"session in a container", session},
		{"keys go to the container only", keysGoToTheContainer},
		{"a container follows the window", containerFollowsTheWindow},
		{"detach", detach},
		{"lines of tutorials", walkthrough},
		{"ctrl-c cancels a program", cancelProgram},
		{"ctrl-c cancels logs", cancelLogs},
		{"modes", modes},
		{"jobs", jobs},
		{"settings", settings},
		{"help", help},
		{"nacre's own commands behind the prompt", ownCommandsBehind},
		{"history of other sessions", sharedHistory},
		{"paths in a container and a registry's names complete", farNamesComplete},
		{"shortcuts", shortcuts},
		{"preview and colours", previewAndColours},
		{"offers", offers},
		{"paste", paste},
		{"login", login},
		{"kinds of terminals", kinds},
		{"slow line", slowLine},
		{"in tmux", inTmux},
		{"dumb", dumb},
		{"terminated", terminated},
		{"tables fit the window", tables},
		{"long output has a pager", pager},
		{"live stats", liveStats},
		{"live stats are ended", statsEnds},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, w) })
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := os.MkdirTemp("", "nacre-p") // short: sockets lie below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	bin, clean, err := program.Build()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := clean(); err != nil {
			t.Error(err)
		}
	})
	w := &world{bin: bin, root: root}
	reg, err := registry.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	img, err := registry.Busybox(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Push(t.Context(), reg.Addr, "library/busybox", "latest", img); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(root, "home")
	if err := os.MkdirAll(filepath.Join(home, ".config", "nacre"), 0o700); err != nil {
		t.Fatal(err)
	}
	// What stands at the right edge has a test of its own.
	if err := os.WriteFile(filepath.Join(home, ".config", "nacre", "init.lua"), []byte(`nacre.settings{right_prompt = ""}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"HOME=" + home, "PATH=" + w.bin + ":" + os.Getenv("PATH"), "TERM=xterm-256color", "XTERM_VERSION=XTerm(390)", "LANG=C.UTF-8", "NACRE_PAGER=never",
		"NACRE_DATA_ROOT=" + filepath.Join(root, "d"), "NACRE_EXEC_ROOT=" + filepath.Join(root, "r"),
	}
	w.image, w.registry = "bb", reg.Addr
	full := reg.Addr + "/library/busybox"
	w.once(t, "pull", full)
	w.once(t, "tag", full, w.image)
	t.Cleanup(func() { w.empty(t) })
	return w
}

// once runs nacre without a terminal.
func (w *world) once(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "nacre"), args...)
	cmd.Env = w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nacre %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *world) empty(t *testing.T) {
	w.once(t, "-c", "ps -aq | xargs rm -f; rmi -f $(images -aq)")
	w.once(t, "system", "reset", "--force")
	for _, line := range mounts(t, w.root) {
		t.Error("mount left:", line)
		fields := strings.Fields(line)
		if err := unix.Unmount(fields[4], unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
}

func mounts(t *testing.T, below string) (lines []string) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, " "+below+"/") {
			lines = append([]string{line}, lines...)
		}
	}
	return lines
}

// open starts nacre at a terminal and waits for its prompt.
func (w *world) open(t *testing.T, env ...string) *screen.Session {
	t.Helper()
	s := w.start(t, env...)
	s.Want(p)
	return s
}

func (w *world) start(t *testing.T, env ...string) *screen.Session {
	t.Helper()
	cmd := exec.Command(filepath.Join(w.bin, "nacre"))
	cmd.Env = append(append([]string{}, w.env...), env...)
	cmd.Dir = w.root
	return screen.Start(t, cmd, 80, 24)
}

// ends waits for text in the last rows, with the prompt below it.
func ends(s *screen.Session, text string) {
	want := text + "\n" + strings.TrimRight(p, " ")
	s.Until(fmt.Sprintf("want it to end with\n%s\n", want), func() bool { return strings.HasSuffix(s.Screen(), want) })
}

func leave(s *screen.Session) {
	s.Send("exit 0\r")
	s.Wait()
}

func promptAndCompletion(t *testing.T, w *world) {
	s := w.open(t)
	s.Send("ver\t")
	s.Want(p + "version")
	s.WantCursor(16, 0)
	s.Send("--form\t")
	s.Want(p + "version --format")
	s.Send("\x15echo $((6*7)) | cat\r")
	ends(s, "42")
	leave(s)
}

func namesComplete(t *testing.T, w *world) {
	w.once(t, "create", "--name", "harbour", w.image, "true")
	defer w.once(t, "rm", "-f", "harbour")
	s := w.open(t)
	s.Send("rm harb\t")
	s.Want(p + "rm harbour")
	s.Send("\x15rm hbr\t") // its letters are enough
	s.Want(p + "rm harbour")
	s.Send("\x15start harb\t") // it does not run
	s.Want(p + "start harbour")
	w.once(t, "rename", "harbour", "haven") // from another process
	s.Send("\x15rm hav")
	s.Until("the new name completes", func() bool {
		s.Send("\t")
		return strings.Contains(s.Screen(), p+"rm haven")
	})
	w.once(t, "rename", "haven", "harbour")
	s.Send("\x15run --restart unl\t")
	s.Want(p + "run --restart unless-stopped")
	s.Send("\x15ps --filter status=ru\t")
	s.Want(p + "ps --filter status=running")
	s.Send("\x15run --rm bb\t")
	s.Contains(p + "run --rm bb")
	s.Send("\x15")
	leave(s)
}

func session(t *testing.T, w *world) {
	s := w.open(t)
	s.Send("run --rm -it " + w.image + " sh\r")
	s.Contains("/ #")
	s.Send("tty; echo $((40+2))\r")
	s.Contains("\n42\n/ #")
	s.Send(sleeper + "\r")
	s.Contains("\nit sleeps")
	s.Send("\x1a") // job control inside: Ctrl-Z stops it
	s.Contains("Stopped")
	s.Send("fg\r")
	s.Until("the job is in front", func() bool { return !strings.HasSuffix(s.Screen(), "/ #") && strings.Count(s.Screen(), "100") >= 3 })
	s.Send("\x03")
	s.Until("the job ends", func() bool { return strings.HasSuffix(s.Screen(), "^C\n/ #") })
	s.Send("exit 3\r")
	s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	s.Send("echo status $?\r")
	ends(s, "status 3")
	leave(s)
}

// A container's standard input gets all keys, also those typed ahead: nothing of
// the prompt reads beside it.
func keysGoToTheContainer(t *testing.T, w *world) {
	s := w.open(t)
	s.Send("run --rm -it " + w.image + " sh -c 'stty -echo; echo ready; n=0; while read l; do n=$((n+${#l})); [ \"$l\" = end ] && break; done; echo got $n'\r")
	s.Contains("\nready")
	for range 50 {
		s.Send("0123456789\r")
	}
	s.Send("end\r")
	ends(s, "got 503")
	leave(s)
}

func containerFollowsTheWindow(t *testing.T, w *world) {
	s := w.open(t)
	s.Send("run --rm -it " + w.image + " sh\r")
	s.Contains("/ #")
	s.Send("stty size\r")
	s.Contains("\n24 80\n")
	s.Resize(100, 30)
	s.Send("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.1; done; echo fol''lows\r")
	s.Contains("\nfollows\n")
	s.Send("exit\r")
	s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	leave(s)
}

func detach(t *testing.T, w *world) {
	before := screenModes(w, t)
	s := w.open(t)
	s.Send("run -it --name stays " + w.image + " sh\r")
	s.Contains("/ #")
	s.Send("\x10\x11") // ctrl-p ctrl-q
	s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), strings.TrimRight(p, " ")) })
	s.Send("ps --format '{{.Names}} {{.State}}'\r")
	ends(s, "stays running")
	s.Send("attach stays\r")
	s.Send("\recho again\r")
	s.Contains("\nagain\n/ #")
	s.Send("exit 5\r")
	s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), strings.TrimRight(p, " ")) })
	s.Send("echo status $?\r")
	ends(s, "status 5")
	s.Send("rm stays\r")
	ends(s, "stays")
	leave(s)
	if now := s.Modes(); now != before {
		t.Errorf("modes %+v, before %+v", now, before)
	}
}

// screenModes are the modes of a terminal as it comes.
func screenModes(w *world, t *testing.T) unix.Termios {
	s := screen.Start(t, exec.Command("true"), 80, 24)
	s.Wait()
	return s.Modes()
}

func cancelProgram(t *testing.T, w *world) {
	s := w.open(t)
	s.Send(sleeper + "\r")
	s.Contains("\nit sleeps")
	s.Send("\x03")
	s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	s.Send("echo status $?\r")
	ends(s, "status 130")
	s.Send("for i in 1 2 3; do sh -c \"echo it lo''ops; exec sleep 100\"; done\r")
	s.Contains("\nit loops")
	s.Send("\x03echo ")
	s.Send("alive\r") // typed ahead
	ends(s, "alive")
	leave(s)
}

func cancelLogs(t *testing.T, w *world) {
	w.once(t, "run", "-d", "--name", "talks", w.image, "sh", "-c", "echo begun; sleep 1000")
	defer w.once(t, "rm", "-f", "talks")
	s := w.open(t)
	s.Send("logs -f talks\r")
	s.Contains("\nbegun")
	s.Send("\x03")
	s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), strings.TrimRight(p, " ")) })
	s.Send("echo alive\r")
	ends(s, "alive")
	s.Send("ps --format '{{.Names}} {{.State}}'\r")
	ends(s, "talks running")
	leave(s)
}

// What stty says before nacre, in a command of it, and after it is the same.
func modes(t *testing.T, w *world) {
	before := screenModes(w, t)
	s := w.open(t)
	if s.Modes().Lflag&unix.ICANON != 0 {
		t.Error("the prompt reads whole lines")
	}
	s.Send("sh -c 'until [ -e seen ]; do sleep 0.02; done'\r")
	s.Until("a command sees the terminal as it was", func() bool { return s.Modes() == before })
	w.shell(t, "touch seen")
	s.Until("the prompt is back", func() bool { return s.Modes().Lflag&unix.ICANON == 0 })
	s.Send("stty raw -echo; echo cha''os\r") // a program that leaves chaos
	s.Contains("chaos")
	s.Send("echo fine\r")
	ends(s, "fine")
	s.Send("\x04")
	s.Wait()
	if now := s.Modes(); now.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != before.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) {
		t.Errorf("modes %+v, before %+v", now, before)
	}
}

func sharedHistory(t *testing.T, w *world) {
	a, b := w.open(t), w.open(t)
	a.Send("echo one\r")
	ends(a, "one")
	b.Send("\x1b[A")
	b.Contains(p + "echo one")
	b.Send("\x15 echo secret\r")
	ends(b, "secret")
	b.Send("login -u me -p hunter2 127.0.0.1:1\r")
	b.Until("it fails", func() bool { return strings.Count(b.Screen(), p[:5]) >= 3 })
	leave(a)
	leave(b)
	if data := w.once(t, "history"); !strings.Contains(data, "echo one") || regexp.MustCompile(`secret|hunter2`).MatchString(data) {
		t.Errorf("history holds\n%s", data)
	}
	if data := w.once(t, "history", "search", "--json", "echo one"); !regexp.MustCompile(`"Line":"echo one","Dir":"` + w.root + `","Engine":"",.*"Status":0`).MatchString(data) {
		t.Errorf("history knows of the line\n%s", data)
	}
	if data := w.once(t, "history", "search", "--failed", "exit"); data != "" {
		t.Errorf("failed lines\n%s", data)
	}
	if data := w.once(t, "history", "export", "--sh"); !strings.Contains(data, "cd '"+w.root+"' || exit\n") {
		t.Errorf("exported\n%s", data)
	}
}

func paste(t *testing.T, w *world) {
	s := w.open(t)
	s.Send("\x1b[200~touch pasted\r\n\x1b[201~")
	s.Want(p + "touch pasted")
	s.Send("\x03")
	s.Want(p+"touch pasted^C", p)
	s.Send("echo done\r") // what came before it has been done
	ends(s, "done")
	if _, err := os.Stat(filepath.Join(w.root, "pasted")); err == nil {
		t.Error("a paste ran a line")
	}
	leave(s)
}

func dumb(t *testing.T, w *world) {
	s := w.open(t, "TERM=dumb")
	s.Send("echo plain\n")
	ends(s, "plain")
	s.Send("for i in 1 2\ndo echo $i\ndone\n")
	ends(s, "1\n2")
	s.Send("exit 4\n")
	s.Until("it ends", func() bool { return strings.HasSuffix(s.Screen(), "exit 4") })
	if strings.Contains(s.Output(), "\x1b") {
		t.Errorf("escape sequences: %q", s.Output())
	}
}

// SIGTERM ends the shell and gives the terminal back.
func terminated(t *testing.T, w *world) {
	before := screenModes(w, t)
	s := w.open(t)
	s.Send("half a line")
	s.Want(p + "half a line")
	if err := unix.Kill(s.Pid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-s.Ended(); err == nil || err.Error() != "exit status 143" {
		t.Errorf("ended with %v, want exit status 143", err)
	}
	if now := s.Modes(); now != before {
		t.Errorf("modes %+v, before %+v", now, before)
	}
}
