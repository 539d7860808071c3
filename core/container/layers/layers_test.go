package layers

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// The view must be what the kernel's overlay shows, so the test compares with a real mount.
func TestOpenSeesWhatTheKernelSees(t *testing.T) {
	base := t.TempDir()
	top, mid, low := filepath.Join(base, "top"), filepath.Join(base, "mid"), filepath.Join(base, "low")
	write(t, low, "etc/passwd", "low")
	write(t, low, "etc/only-low", "low")
	write(t, low, "gone/file", "low")
	write(t, low, "opaque/hidden", "low")
	write(t, low, "usr/lib/target", "through links")
	write(t, low, "cut/deep/file", "low")
	write(t, mid, "etc/passwd", "mid")
	write(t, mid, "opaque/new", "mid")
	write(t, mid, "cut", "now a file")
	link(t, "/usr/lib", mid, "lib")
	link(t, "../lib/target", mid, "etc/link")
	link(t, "../../../../../../etc/passwd", mid, "etc/escape")
	link(t, "loop2", mid, "loop1")
	link(t, "loop1", mid, "loop2")
	if err := os.MkdirAll(top, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(filepath.Join(top, "gone"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(filepath.Join(mid, "opaque"), "trusted.overlay.opaque", []byte("y"), 0); err != nil {
		t.Fatal(err)
	}

	merged := filepath.Join(base, "merged")
	if err := os.Mkdir(merged, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("overlay", merged, "overlay", unix.MS_RDONLY, "lowerdir="+top+":"+mid+":"+low); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(merged, 0) })
	kernel, err := os.OpenRoot(merged)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()

	for _, name := range []string{
		"/etc/passwd", "/etc/only-low", "/gone/file", "/opaque/hidden", "/opaque/new", "/cut/deep/file", "/cut",
		"/usr/lib/target", "/missing", "/etc", "/etc/../etc/passwd", "/opaque/../gone/file",
	} {
		want, wantErr := kernel.ReadFile(name[1:])
		got, gotErr := read([]string{top, mid, low}, name)
		if (wantErr == nil) != (gotErr == nil) || string(want) != got {
			t.Errorf("%s: kernel %q %v, here %q %v", name, want, wantErr, got, gotErr)
		}
	}
	for name, want := range map[string]string{"/etc/link": "through links", "/etc/escape": "mid", "/lib/target": "through links"} {
		if got, err := read([]string{top, mid, low}, name); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := read([]string{top, mid, low}, "/loop1"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a loop of links: got %v", err)
	}
	if _, err := read([]string{filepath.Join(base, "not-made"), low}, "/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
}

func read(dirs []string, name string) (string, error) {
	f, err := Open(dirs, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

// A folder's names are those that the kernel shows in a mount of the same layers.
func TestListSeesWhatTheKernelSees(t *testing.T) {
	base := t.TempDir()
	top, mid, low := filepath.Join(base, "top"), filepath.Join(base, "mid"), filepath.Join(base, "low")
	for _, name := range []string{"etc/a", "etc/b", "etc/gone", "opt/hidden", "usr/bin/sh", "plain/below"} {
		write(t, low, name, "")
	}
	link(t, "usr/bin", low, "bin")
	link(t, "/etc/a", low, "etc/to-a")
	link(t, "../usr", low, "etc/to-usr")
	link(t, "/etc/to-loop", low, "etc/to-loop")
	link(t, "../../../../..", low, "etc/out")
	write(t, mid, "etc/c", "")
	write(t, mid, "opt/shown", "")
	write(t, mid, "usr/bin/env", "")
	write(t, mid, "plain", "a file now")
	write(t, top, "etc/b", "again")
	if err := unix.Mknod(filepath.Join(top, "etc", "gone"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(filepath.Join(mid, "opt"), "trusted.overlay.opaque", []byte("y"), 0); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(base, "merged")
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("overlay", target, "overlay", unix.MS_RDONLY, "lowerdir="+top+":"+mid+":"+low); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
	folders := map[string]bool{"to-usr": true, "usr": true, "bin": true, "etc": true, "opt": true, "out": true}
	for folder, onDisk := range map[string]string{"/": "", "/etc": "etc", "etc/": "etc", "/opt": "opt", "/bin": "usr/bin", "/etc/to-usr/bin": "usr/bin", "/etc/out/etc": "etc", "/usr/": "usr"} {
		got, err := List([]string{top, mid, low}, folder, 100)
		if err != nil {
			t.Errorf("%s: %v", folder, err)
		}
		want, err := os.ReadDir(filepath.Join(target, onDisk))
		if err != nil {
			t.Fatal(err)
		}
		names := make([]string, len(want))
		for i, e := range want {
			names[i] = e.Name()
		}
		for i, f := range got {
			if i >= len(names) || f.Name != names[i] || folders[f.Name] && !f.Folder || f.Folder && want[i].Type().IsRegular() {
				t.Errorf("%s: %v, the kernel shows %v", folder, got, names)
				break
			}
		}
		if len(got) != len(names) {
			t.Errorf("%s: %v, the kernel shows %v", folder, got, names)
		}
	}
	for _, folder := range []string{"/none", "/plain", "/etc/a", "/etc/to-loop", "/etc/gone"} {
		if list, err := List([]string{top, mid, low}, folder, 100); err == nil {
			t.Errorf("%s is no folder, but %v", folder, list)
		}
	}
	if list, err := List([]string{top, mid, low}, "/etc", 2); err != nil || len(list) > 2 {
		t.Errorf("at most two: %v, %v", list, err)
	}
}
