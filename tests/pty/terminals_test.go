package pty

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/tests/screen"
)

// kinds of terminals: the prompt edits, completes and shows wide characters in all of them.
func kinds(t *testing.T, w *world) {
	for _, term := range []string{"screen", "screen-256color", "tmux-256color", "xterm", "linux", "vt100", "ansi", "nonsense"} {
		s := w.open(t, "TERM="+term, "XTERM_VERSION=")
		s.Send("echo 漢字 e\u0301 x\x1b[D\x1b[D\x1b[D\x7f")
		s.Want(p + "echo 漢 字 e x") // the mark of the e, which takes no room, is not on this screen
		s.Send("\x05\x15echo 漢字\x1b[D\x7f日本\x05 end\r")
		ends(s, "日本字 end")
		s.Send("\x0c")
		s.Want(p)
		s.Send("network \t")
		s.Contains("connect")
		s.Contains("prune")
		s.Send("\x07\x15")
		s.Want(p)
		s.Resize(40, 10)
		s.Send("echo " + strings.Repeat("0123456789", 5))
		s.Want(p+"echo 012345678901234567890123456", "78901234567890123456789")
		s.Resize(80, 24)
		s.Send("\x03exit 0\r")
		s.Wait()
	}
}

// slowLine: on a slow ssh nothing is lost and no garbage shows; each key paints
// few bytes, which is what keeps such a line usable.
func slowLine(t *testing.T, w *world) {
	cmd := exec.Command(filepath.Join(w.bin, "nacre"))
	cmd.Env = append(append([]string{}, w.env...), "XDG_STATE_HOME="+t.TempDir())
	cmd.Dir = w.root
	s := screen.StartSlow(t, cmd, 80, 24, screen.Slow{Piece: 24, Pause: 20 * time.Millisecond, Latency: 100 * time.Millisecond})
	s.Contains(strings.TrimRight(p, " "))
	s.Send("clear\r")
	s.Want(p)
	before := len(s.Output())
	line := "echo 'a line that is typed key by key' $HOME 漢字"
	typed := 0
	for _, key := range line { // the next key does not wait for the painting of the last
		s.Send(string(key))
		typed++
	}
	s.Until("all of it is there", func() bool {
		return strings.HasPrefix(s.Screen(), p+"echo 'a line that is typed key by key' $HOME 漢 字")
	})
	if painted := len(s.Output()) - before; painted > typed*mostPerKey {
		t.Errorf("%d keys painted %d bytes, more than %d for each", typed, painted, mostPerKey)
	}
	s.Send("\recho typed ''ahead\r")
	s.Send("echo and more\r")
	ends(s, "and more")
	s.Contains("\ntyped ahead\n")
	s.Send("clear\rnetwork \t")
	s.Contains("connect")
	before = len(s.Output())
	s.Send("\t")
	s.Send("\t")
	s.Until("the second is chosen", func() bool { return strings.Contains(s.Screen(), p+"network create") })
	if painted := len(s.Output()) - before; painted > 2*mostPerChoice {
		t.Errorf("two choices in the menu painted %d bytes, more than %d for each", painted, mostPerChoice)
	}
	s.Send("\x07\x15exit 0\r")
	s.Wait()
}

const (
	mostPerKey    = 40
	mostPerChoice = 400
)
