package prompt_test

import (
	"strings"
	"testing"
)

func TestKillRing(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("one\x15two\x15three\x15\x19") // C-u each, C-y
	s.Want(p + "three")
	s.Send("\x1by")
	s.Want(p + "two")
	s.Send("\x1by\x1by") // around
	s.Want(p + "three")
	s.Send(" \x1by") // only right behind a C-y
	s.Want(p + "three")
	s.WantCursor(14, 0)
	s.Send("\r")
	s.Contains("[three ]")
	s.Send("\x19\x1by!\r") // the ring outlives the line
	s.Contains("[two!]")
}

func TestUndoAndRedo(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("pull nginx\x17redis")
	s.Want(p + "pull redis")
	s.Send("\x1f") // C-_: letters in a row at once
	s.Want(p + "pull")
	s.Send("\x18\x15") // C-x C-u
	s.Want(p + "pull nginx")
	s.Send("\x1b/\x1b/") // M-/ redoes
	s.Want(p + "pull redis")
	s.Send("\x1f\x1fX\x1b/") // what was typed instead cannot be redone
	s.Want(p + "pull nginxX")
	s.Send(strings.Repeat("\x1f", 20) + "end\r")
	s.Contains("[end]")
}

func TestAbbreviationsAndBang(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("pa")
	s.Want(p + "pa")
	s.Send(" -q")
	s.Want(p + "ps -a -q")
	s.Send("\r")
	s.Contains("[ps -a -q]")
	s.Send("docker !!\r") // what runs is what the screen shows
	s.Contains(p + "docker ps -a -q\n[docker ps -a -q]")
	s.Send("pa\r")
	s.Contains(p + "ps -a\n[ps -a]")
	s.Send("x pa \r") // only where a command begins
	s.Contains("[x pa ]")
}

func TestExternalEditor(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("pull a\x18\x05")
	s.Contains("editing \"pull a\"")
	s.Send("and b\n")
	s.Until("the edited line, not run", func() bool { return strings.HasSuffix(s.Screen(), p+"pull a and b") })
	s.Send("!\r")
	s.Contains("[pull a and b!]")
	s.Send("kept\x18\x05")
	s.Contains("editing \"kept\"")
	s.Send("fail\n")
	s.Until("the line stays", func() bool { return strings.HasSuffix(s.Screen(), "nacre: the editor failed\n"+p+"kept") })
	s.Send("\r")
	s.Contains("[kept]")
}

func TestPreview(t *testing.T) {
	s := start(t, config{cols: 30, rows: 12})
	s.Want(p)
	s.Send("rm web 日")
	s.Want(p+"rm web 日", "→ removes web 日")
	s.WantCursor(17, 0)
	s.Send("\x08and a long list of names")
	s.Want(p+"rm web and a long list", " of names", "→ removes web and a long lis…")
	s.Send("\x15x")
	s.Want(p + "x")
	s.Send("\x08rm a\t") // a menu takes its place
	s.Send("\x15rm b")
	s.Want(p+"rm b", "→ removes b")
	s.Send("\r") // it is no part of what stays
	s.Want(p+"rm b", "[rm b]", p)
}
