package pty

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/tests/screen"
)

// A line that failed is offered mended; one key answers, and the history has
// the line that ran.
func offers(t *testing.T, w *world) {
	w.once(t, "create", "--name", "harbour", w.image, "sh", "-c", "sleep 1000")
	defer w.once(t, "rm", "-f", "harbour")
	s := w.open(t)
	fresh(s)
	s.Send("port harbor\r")
	s.Want(p+"port harbor", "Error response from daemon: No such container: harbor", "  port harbor", "       ^^^^^^", "Did you mean 'harbour'? [Y/n]")
	s.Send("n")
	s.Contains("Did you mean 'harbour'? [Y/n] n\n" + strings.TrimRight(p, " "))
	s.Send("\x1b[A") // what was typed is there
	s.Until("the line comes back", func() bool { return strings.HasSuffix(s.Screen(), "\n"+p+"port harbor") })
	s.Send("\x15")

	// Two steps: the name, then the container that does not run.
	fresh(s)
	s.Send("docker exec harbor echo in''side\r")
	s.Contains("Did you mean 'harbour'? [Y/n]")
	s.Send("\r")
	s.Contains("[Y/n] y\ndocker exec harbour echo in''side\n")
	s.Contains("Start harbour now? [Y/n]")
	s.Send("y")
	s.Contains("\ndocker start harbour && docker exec harbour echo in''side\nharbour\ninside\n")
	ends(s, "inside")
	s.Send("\x1b[A")
	s.Contains("\n" + p + "docker start harbour && docker exec harbour echo in''side")
	s.Send("\x15")
	fresh(s)
	s.Send("rm harbour\r") // what destroys is never offered
	ends(s, "`rm -f harbour` ends and removes it.")

	fresh(s)
	s.Send("run --rm --pull never bbb echo mended\r")
	s.Contains("\n  run --rm --pull never bbb echo mended\n                        ^^^")
	s.Contains("Did you mean 'bb'? [Y/n]")
	s.Send("\r")
	ends(s, "[Y/n] y\nrun --rm --pull never bb echo mended\nmended")

	fresh(s)
	s.Send("vresion --format ok\r")
	s.Contains("Did you mean 'version'? [y/N]")
	s.Send("\r")
	s.Contains("[y/N] n\n")
	s.Send("vresion --format ok\r")
	s.Until("asked again", func() bool { return strings.HasSuffix(s.Screen(), "Did you mean 'version'? [y/N]") })
	s.Send("y")
	ends(s, "[y/N] y\nversion --format ok\nok")
	s.Send("clear; stpo harbour; echo $?\r") // two commands: only the hint
	s.Contains("Did you mean 'stop'?\n127\n")
	fresh(s)
	s.Send("stpo harbour\r") // it would end something
	ends(s, "Did you mean 'stop'?")

	fresh(s)
	s.Send("create --name harbour " + w.image + "\r")
	s.Contains("Call it 'harbour-2'? [y/N]")
	s.Send("\x03")
	s.Contains("[y/N] n\n" + strings.TrimRight(p, " "))
	s.Send("ps --filtre x=y\r")
	s.Contains("Run it with --filter? [y/N]")
	s.Send("echo next") // another key is a no, and begins the next line
	s.Contains("[y/N] n\n" + p + "echo next")
	s.Send("\x15")
	fresh(s)
	s.Send("port harbor\r")
	s.Contains("Did you mean 'harbour'? [Y/n]")
	s.Send("network ls -q > /dev/null; echo who''le\r") // a line is no answer, whatever it begins with
	ends(s, "[Y/n] n\n"+p+"network ls -q > /dev/null; echo who''le\nwhole")
	pullNow(t, w, s)
	leave(s)
	if data := w.once(t, "history"); !strings.Contains(data, "run --rm --pull never bb echo mended") {
		t.Errorf("the mended line is not in the history\n%s", data)
	}
	offersOff(t, w)
}

// pullNow: an image that is not here is pulled for a command that needs it.
func pullNow(t *testing.T, w *world, s *screen.Session) {
	full := w.registry + "/library/busybox"
	w.once(t, "rmi", full)
	fresh(s)
	s.Send("tag " + full + " taken\r")
	s.Contains("Pull " + full + " now? [Y/n]")
	s.Send("\r")
	s.Contains("[Y/n] y\npull " + full + " && tag ")
	s.Contains("Digest: sha256:")
	s.Until("the prompt is back", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	w.once(t, "rmi", "taken")
}

// offersOff: a setting, a pipe, a dumb terminal and keys typed ahead leave the hint.
func offersOff(t *testing.T, w *world) {
	config := t.TempDir()
	if err := os.Mkdir(filepath.Join(config, "nacre"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "nacre", "init.lua"), []byte(`nacre.settings{right_prompt = "", offers = false}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.open(t, "XDG_CONFIG_HOME="+config)
	fresh(s)
	s.Send("port harbor\r")
	ends(s, "       ^^^^^^\nDid you mean 'harbour'?")
	leave(s)

	s = w.open(t)
	fresh(s)
	s.Send("port harbor | cat\r") // not one plain command
	ends(s, "Did you mean 'harbour'?")
	s.Send("clear; read -r x; port harbor\r")
	s.Until("read waits", func() bool { return s.Screen() == "" })
	s.Send("\r")
	ends(s, "Did you mean 'harbour'?")
	s.Send("f() { read -r x; port harbor; }; clear\r")
	s.Want(p)
	s.Send("f\r")
	s.Send("one\recho typed ahead\r")
	ends(s, "typed ahead")
	leave(s)

	s = w.open(t, "TERM=dumb")
	s.Send("port harbor\n")
	ends(s, "Did you mean 'harbour'?")
	s.Send("exit 0\n")
	s.Wait()
}

// fresh clears the screen.
func fresh(s *screen.Session) {
	s.Send("clear\r")
	s.Want(p)
}
