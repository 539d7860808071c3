package pty

import (
	"strings"
	"testing"
)

// F1 shows the help of the command under the cursor above the line; errors
// point at the word they are about and name what may have been meant; doctor
// finds a sound machine.
func help(t *testing.T, w *world) {
	s := w.open(t)
	s.Send("docker network create --dri\x1bOP")
	s.Contains("--attachable ")
	s.Contains("\n" + p + "docker network create --dri")
	s.Send("\x15clear\r")
	s.Want(p)
	s.Send("volume create precious\r")
	ends(s, "precious")
	s.Send("clear; volume inspect precios\r")
	ends(s, "  volume inspect precios\n                 ^^^^^^^\nDid you mean 'precious'?")
	s.Send("volume rm precious; clear; rm -f --al x\r")
	s.Contains("unknown flag: --al")
	ends(s, "  rm -f --al x\n        ^^^^")
	s.Send("clear; doctor\r")
	s.Contains("✓ terminal      TERM is xterm-256color")
	if text := s.Screen(); strings.Contains(text, "✗") || !strings.Contains(text, "✓ store") {
		t.Errorf("doctor says\n%s", text)
	}
	s.Send("clear; system df\r") // with bars, which a pipe does not get
	s.Until("a bar", func() bool { return strings.ContainsAny(s.Screen(), "█░") })
	s.Send("clear; system df | grep -c '[█░]'\r")
	ends(s, "0")
	leave(s)

	// Three lines for who is here for the first time, once.
	home := t.TempDir()
	s = w.start(t, "HOME="+home)
	s.Contains("nacre: docker's commands, without docker.")
	s.Contains("\n" + strings.TrimRight(p, " "))
	s.Send("echo one\r")
	s.Contains("\none\n")
	leave(s)
	s = w.open(t, "HOME="+home)
	leave(s)
}
