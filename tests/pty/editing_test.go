package pty

import (
	"strings"
	"testing"
)

// shortcuts: !!, !$, abbreviations, aliases, functions, another editor, and what Ctrl-R finds.
func shortcuts(t *testing.T, w *world) {
	s := w.open(t, "EDITOR=sed -i s/draft/final/")
	s.Send("echo one two\r")
	ends(s, "one two")
	s.Send("echo !$ !!\r")
	s.Contains(p + "echo two echo one two\n")
	ends(s, "two echo one two")
	s.Send("abbr ec echo -n abbreviated\r")
	s.Until("it is kept", func() bool { return strings.HasSuffix(s.Screen(), "abbreviated\n"+strings.TrimRight(p, " ")) })
	s.Send("ec ; echo\r")
	s.Contains(p + "echo -n abbreviated ; echo\n")
	ends(s, "abbreviated")
	s.Send("alias hail='echo all'; hi() { echo \"hi $1\"; }\r")
	s.Send("hail; hi you\r")
	ends(s, "all\nhi you")
	s.Send("hai\t")
	s.Until("the alias completes", func() bool { return strings.HasSuffix(s.Screen(), p+"hail") })
	s.Send("\x15echo draft\x18\x05")
	s.Until("the editor's text", func() bool { return strings.HasSuffix(s.Screen(), p+"echo final") })
	s.Send("\r")
	ends(s, "final")
	s.Send("\x12one two\x1bd") // Ctrl-R, in this folder only
	s.Contains("search (this folder): one two")
	s.Send("\r")
	s.Until("the line ran again", func() bool {
		return strings.Count(s.Screen(), "\ntwo echo one two") >= 2 || strings.Count(s.Screen(), "\none two") >= 2
	})
	s.Send("abbr --remove ec\r")
	s.Send("abbr; echo none\r")
	ends(s, "none")
	leave(s)
}
