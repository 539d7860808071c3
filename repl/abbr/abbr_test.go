package abbr_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/repl/abbr"
)

func TestFile(t *testing.T) {
	f := &abbr.File{Path: filepath.Join(t.TempDir(), "nacre", "abbreviations")}
	if got := f.Expand("pa"); got != "" {
		t.Errorf("got %q", got)
	}
	for _, c := range [][2]string{{"pa", "ps -a"}, {"rr", "run --rm -it"}, {"pa", "ps -a -q"}} {
		if err := f.Set(c[0], c[1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.Expand("pa"); got != "ps -a -q" {
		t.Errorf("pa is %q", got)
	}
	if err := f.Remove("rr"); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove("rr"); !errdefs.IsNotFound(err) {
		t.Errorf("removing it again: %v", err)
	}
	for _, c := range [][2]string{{"a b", "x"}, {"a", "x\ny"}, {"", "x"}, {"$x", "x"}, {"a", " "}} {
		if err := f.Set(c[0], c[1]); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", c, err)
		}
	}
	data, err := os.ReadFile(f.Path)
	if err != nil || string(data) != "pa\tps -a -q\n" {
		t.Errorf("the file holds %q, %v", data, err)
	}
	// An editor's changes count at once.
	if err := os.WriteFile(f.Path, []byte("im\timages --tree\r\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f.Expand("im") + f.Expand("pa") + f.Expand("nonsense"); got != "images --tree" {
		t.Errorf("after an editor: %q", got)
	}
}
