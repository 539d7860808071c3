package scripting_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/scripting"
)

var update = flag.Bool("update", false, "write the reference into docs/lua.md")

const (
	docsFile = "../docs/lua.md"
	begin    = "<!-- reference: written by go generate ./scripting -->\n"
	end      = "<!-- end of reference -->\n"
)

// TestReference keeps docs/lua.md what the bindings are.
func TestReference(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(text), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has lost the marks around its reference", docsFile)
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(head+begin+scripting.Reference()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != scripting.Reference() {
		t.Errorf("%s is out of date: run go generate ./scripting", docsFile)
	}
}

// TestExamples runs every Lua block of docs/lua.md that needs no engine: those
// that start with a comment saying what they print.
func TestExamples(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range strings.Split(string(text), "```lua\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		want, found := expected(block)
		if !found {
			continue
		}
		ran++
		if got := lua(t, block); got != want {
			t.Errorf("%s\n got %q\nwant %q", block, got, want)
		}
	}
	if ran < 2 {
		t.Errorf("%d examples say what they print; there were more", ran)
	}
}

// expected collects the comments `--> output` of a block.
func expected(block string) (want string, found bool) {
	for _, line := range strings.Split(block, "\n") {
		if _, out, ok := strings.Cut(line, "--> "); ok {
			want, found = want+out+"\n", true
		}
	}
	return want, found
}
