package history

import (
	"fmt"
	"io"
	"strings"
)

// ExportShell writes entries, oldest first, as a script for `nacre FILE`. Lines
// that failed are there as comments: a script of what did not work helps nobody.
func ExportShell(w io.Writer, entries []Entry) error {
	var b strings.Builder
	b.WriteString("#!/usr/bin/env nacre\n")
	if len(entries) > 0 && entries[0].Dir != "" {
		fmt.Fprintf(&b, "cd %s || exit\n", quote(entries[0].Dir))
	}
	for _, e := range entries {
		if e.Ended && e.Status != 0 {
			fmt.Fprintf(&b, "# exit status %d:\n%s\n", e.Status, comment(e.Text, "# "))
			continue
		}
		b.WriteString(e.Text + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ExportLua writes entries, oldest first, as a Lua script for `nacre FILE.lua`:
// each line is run by the shell in the folder it was typed in, and the first
// that fails ends the script.
func ExportLua(w io.Writer, entries []Entry) error {
	var b strings.Builder
	b.WriteString("local function line(dir, text)\n\tnacre.sh(text, {dir = dir, check = true, stream = true})\nend\n\n")
	for _, e := range entries {
		if e.Ended && e.Status != 0 {
			fmt.Fprintf(&b, "-- exit status %d:\n%s\n", e.Status, comment(e.Text, "-- "))
			continue
		}
		dir := "nil"
		if e.Dir != "" {
			dir = luaString(e.Dir)
		}
		fmt.Fprintf(&b, "line(%s, %s)\n", dir, luaString(e.Text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func comment(text, sign string) string { return sign + strings.ReplaceAll(text, "\n", "\n"+sign) }

// quote makes one word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// luaString is a long bracket with as many signs as the text needs; a newline
// right behind the bracket is not part of the string.
func luaString(s string) string {
	level := ""
	for strings.Contains(s, "]"+level+"]") || strings.HasSuffix(s, "]"+level) {
		level += "="
	}
	if strings.HasPrefix(s, "\n") {
		s = "\n" + s
	}
	return "[" + level + "[" + s + "]" + level + "]"
}
