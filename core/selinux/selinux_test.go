package selinux

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The walk labels a link and not what it leads to. A label can be written
// without SELinux, too, by root.
func TestRelabelStaysInside(t *testing.T) {
	dir := t.TempDir()
	inside, outside := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(inside, "sub"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(inside, "sub", "file"), nil, 0o600), os.WriteFile(filepath.Join(outside, "file"), nil, 0o600),
		os.Symlink(outside, filepath.Join(inside, "link")), os.Symlink("../../out/file", filepath.Join(inside, "sub", "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const label = "system_u:object_r:container_file_t:s0"
	if err := relabelBelow(inside, label); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"in": "", "in/sub": label, "in/sub/file": label, "in/link": label, "in/sub/link": label, "out": "", "out/file": "",
	} {
		var buf [256]byte
		n, err := unix.Lgetxattr(filepath.Join(dir, path), attribute, buf[:])
		if err != nil && !errors.Is(err, unix.ENODATA) {
			t.Fatal(err)
		}
		if got := unix.ByteSliceToString(buf[:max(n, 0)]); got != want {
			t.Errorf("%s: label %q, want %q", path, got, want)
		}
	}
	if err := relabelBelow(filepath.Join(inside, "sub", "file"), label); err != nil {
		t.Errorf("a file: %v", err)
	}
}
