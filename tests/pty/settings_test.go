package pty

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Settings of init.lua: what the prompt looks like, aliases and variables;
// reload, also of a broken file, which changes nothing.
func settings(t *testing.T, w *world) {
	config := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(config, "nacre", "init.lua"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(config, "nacre"), 0o700); err != nil {
		t.Fatal(err)
	}
	right := func(s string) string {
		return strings.TrimRight(p, " ") + strings.Repeat(" ", 79-len([]rune(p))+1-len([]rune(s))) + s
	}
	write(`nacre.settings{aliases = {v = "volume ls -q"}, env = {GREETING = "it's here"}}`)
	env := []string{"XDG_CONFIG_HOME=" + config, "XDG_STATE_HOME=" + config}
	s := w.open(t, env...)
	s.Send("v; echo $GREETING; (exit 3)\r")
	s.Contains("\nit's here\n" + right("✗ 3"))
	s.Send("clear\r")
	s.Want(p)
	s.Send("run -d --name counted " + w.image + " sleep 100\r")
	s.Contains("\n" + right("1 up"))
	w.once(t, "rm", "-f", "counted")
	s.Send("clear\r")
	s.Want(p)

	write(`nacre.settings{prompt = "[{status}]$ ", transient_prompt = "- ", aliases = {w = "echo new"},
		right_prompt = function(now) return "in " .. now.dir:gsub(".*/", "") end}`)
	s.Send("cd /usr/bin; reload\r")
	s.Contains("$" + strings.Repeat(" ", 72) + "in bin")
	s.Send("w; v\r")
	s.Contains("\n- w; v\nnew\nnacre: v: command not found\n127$")
	write(`nacre.settings{prompt = "broken"`)
	s.Send("clear; reload\r")
	s.Contains("init.lua: syntax")
	s.Contains("\n$ ")
	s.Send("w\r")
	s.Contains("\n- w\nnew\n")
	leave(s)

	write(`nacre.settings{prompt = "{nonsense} "}`)
	s = w.start(t, env...)
	s.Contains("character 1: {nonsense}")
	s.Contains("\n" + strings.TrimRight(p, " "))
	leave(s)
}
