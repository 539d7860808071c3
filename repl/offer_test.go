package repl

import (
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
)

func TestMended(t *testing.T) {
	word := func(from, to string) plugins.Offer { return plugins.Offer{Word: from, With: to} }
	first := func(words ...string) plugins.Offer { return plugins.Offer{First: words} }
	for _, c := range []struct {
		line  string
		args  string // as the command got them
		offer plugins.Offer
		want  string
	}{
		{"run  -it busyvox sh # why", "run -it busyvox sh", word("busyvox", "busybox"), "run  -it busybox sh # why"},
		{"run busyvox:latest", "run busyvox:latest", word("busyvox:latest", "busybox"), "run busybox"},
		{"run busyvox", "run busyvox", word("busyvox:latest", "busybox"), "run busybox"},
		{"docker run busyvox", "run busyvox", word("busyvox", "busybox"), "docker run busybox"},
		{"run --name=web bb", "run --name=web bb", word("web", "web-2"), "run --name=web-2 bb"},
		{"ps --filtre=a=b", "ps --filtre=a=b", word("--filtre", "--filter"), "ps --filter=a=b"},
		{"exec web sh -c 'echo $x'", "exec web sh -c echo", first("start", "web"), "start web && exec web sh -c 'echo $x'"},
		{"docker --context far exec web true", "exec web true", first("start", "web"), "docker --context far start web && docker --context far exec web true"},
		{"rnu x", "rnu x", word("rnu", "run"), "run x"},
		{"start \"$x\"", "start webb", word("webb", "web"), ""}, // not in the line
		{"f webb", "inspect webb", word("webb", "web"), ""},     // a function's command
		{"f webb", "inspect webb", first("start", "webb"), ""},
		{"X=1 inspect webb", "inspect webb", word("webb", "web"), ""},
		{"inspect webb; ps", "inspect webb", word("webb", "web"), ""},
		{"inspect webb | cat", "inspect webb", word("webb", "web"), ""},
		{"inspect webb > f", "inspect webb", word("webb", "web"), ""},
		{"for i in 1 2; do inspect webb; done", "inspect webb", word("webb", "web"), ""},
	} {
		file, err := syntax.NewParser().Parse(strings.NewReader(c.line+"\n"), "")
		if err != nil {
			t.Fatal(err)
		}
		m, got := newMending(c.line+"\n", file), ""
		if m != nil && m.take(strings.Fields(c.args), c.offer) {
			got = m.fixed
		}
		if got != c.want {
			t.Errorf("%s: became %q, want %q", c.line, got, c.want)
		}
	}
}
