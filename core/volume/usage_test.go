package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTreeSize(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write := func(path string, n int) {
		t.Helper()
		if err := os.WriteFile(path, []byte(strings.Repeat("x", n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "big"), 1<<20)
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(dir, "a"), 100)
	write(filepath.Join(dir, "sub", "b"), 20)
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "sub", "same")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "sub", "out")); err != nil {
		t.Fatal(err)
	}
	if got, err := treeSize(t.Context(), dir); err != nil || got != 120+int64(len(outside)) {
		t.Errorf("%d bytes, %v; want the two files and the link itself", got, err)
	}
	if got, err := treeSize(t.Context(), filepath.Join(dir, "gone")); err != nil || got != 0 {
		t.Errorf("a folder that is gone: %d, %v", got, err)
	}
}
