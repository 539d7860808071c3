package files

import (
	"os"
	"path/filepath"
	"testing"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"etc/pam.d", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Absolute links are the container's own; one that leads nowhere in it is no folder.
	for name, to := range map[string]string{"bin": "/usr/bin", "host": "/proc/self", "up": "../../../etc"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "usr/bin/sh"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	root := &Root{dir: f}
	defer root.Close()
	list := func(folder string) (text string) {
		names, err := root.List(folder, 100)
		if err != nil {
			return err.Error()
		}
		for _, n := range names {
			text += n.Name
			if n.Folder {
				text += "/"
			}
			text += " "
		}
		return text
	}
	for folder, want := range map[string]string{"/": "bin/ etc/ host up/ usr/ ", "/bin": "sh ", "/up": "pam.d/ ", "/none": "open /none: no such file or directory"} {
		if got := list(folder); got != want {
			t.Errorf("%s: %q, want %q", folder, got, want)
		}
	}
}
