package plugins

import (
	"errors"
	"strings"
	"testing"
)

func TestPointAt(t *testing.T) {
	for _, c := range []struct{ line, err, mark string }{
		{"run --foo busybox", "unknown flag: --foo\n\nUsage:  nacre run …", "    ^^^^^"},
		{"run --foo=3 busybox", "unknown flag: --foo", "    ^^^^^^^"},
		{"ps -Z", "unknown shorthand flag: 'Z' in -Z", "   ^^"},
		{"image frobnicate", "unknown command: docker image frobnicate", ""},
		{"run -m lots busybox", `invalid argument "lots" for "-m, --memory" flag: invalid size: 'lots'`, "       ^^^^"},
		{"rm 中文 web", "Error response from daemon: No such container: web", "        ^^^"},
		{"start 中文", "Error response from daemon: No such container: 中文", "      ^^^^"},
		{"inspect nosuch", "[]\nerror: no such object: nosuch", "        ^^^^^^"},
		{"history nosuch", "Error response from daemon: No such image: nosuch:latest", "        ^^^^^^"},
		{"volume rm vv", "Error response from daemon: get vv: no such volume", "          ^^"},
		{"pull x", "network is unreachable", ""},
		{"rm other", "No such container: web", ""},
	} {
		got := pointAt(strings.Fields(c.line), errors.New(c.err))
		want := ""
		if c.mark != "" {
			want = "  " + c.line + "\n  " + c.mark + "\n"
		}
		if got != want {
			t.Errorf("%s: %s\n%s, want\n%s", c.line, c.err, got, want)
		}
	}
	if got := pointAt([]string{"rm", "a b", "web"}, errors.New("no such container: web")); got != "  rm 'a b' web\n           ^^^\n" {
		t.Errorf("a word in quotes:\n%s", got)
	}
}
