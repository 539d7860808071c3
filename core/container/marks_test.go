package container

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/store"
)

// What lies below every image can be entered by everybody, also when who made
// it hides what he makes.
func TestMarksWhateverTheUmask(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	m := &Module{paths: store.Paths{Data: t.TempDir()}}
	for range 2 { // the second finds it
		dir, err := m.markLayer()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"", "proc", "sys", "dev", "dev/shm", "etc"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode() != os.ModeDir|0o755 {
				t.Errorf("/%s: %v, %v", name, info.Mode(), err)
			}
		}
		if to, err := os.Readlink(filepath.Join(dir, "etc", "mtab")); to != "/proc/mounts" {
			t.Errorf("mtab leads to %q, %v", to, err)
		}
	}
}
