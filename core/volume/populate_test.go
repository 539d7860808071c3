package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// image lays two layers: the upper one hides a file of the lower one.
func image(t *testing.T) (lowers []string) {
	t.Helper()
	top, base := t.TempDir(), t.TempDir()
	check(t, os.MkdirAll(filepath.Join(base, "srv/data/sub"), 0o755))
	check(t, os.WriteFile(filepath.Join(base, "srv/data/kept"), []byte("kept"), 0o640))
	check(t, os.WriteFile(filepath.Join(base, "srv/data/hidden"), []byte("hidden"), 0o600))
	check(t, os.Chown(filepath.Join(base, "srv/data"), 70, 71))
	check(t, os.Chmod(filepath.Join(base, "srv/data"), 0o770|os.ModeSetgid))
	check(t, os.Symlink("/srv/data", filepath.Join(base, "alias")))
	check(t, os.Symlink("../../../../../../etc", filepath.Join(base, "escape")))

	data := filepath.Join(top, "srv/data")
	check(t, os.MkdirAll(filepath.Join(data, "sub"), 0o755))
	check(t, os.Chown(data, 70, 71))
	check(t, os.Chmod(data, 0o770|os.ModeSetgid))
	check(t, unix.Mknod(filepath.Join(data, "hidden"), unix.S_IFCHR, 0)) // a whiteout
	check(t, os.WriteFile(filepath.Join(data, "setuid"), []byte("x"), 0o755))
	check(t, os.Chown(filepath.Join(data, "setuid"), 1, 2))
	check(t, os.Chmod(filepath.Join(data, "setuid"), 0o755|os.ModeSetuid))
	check(t, unix.Setxattr(filepath.Join(data, "setuid"), "trusted.test", []byte("value"), 0))
	check(t, os.Link(filepath.Join(data, "setuid"), filepath.Join(data, "sub/same")))
	check(t, os.Symlink("/etc/passwd", filepath.Join(data, "outside")))
	check(t, unix.Mkfifo(filepath.Join(data, "pipe"), 0o622))
	return []string{top, base}
}

func TestPopulateCopiesWhatTheImageHas(t *testing.T) {
	v := newVolumes(t)
	vol, _, err := v.Acquire(t.Context(), "c1", "data", "", nil, nil)
	check(t, err)
	lowers := image(t)
	check(t, v.Populate(t.Context(), "data", lowers, "/alias")) // a link within the image

	if got := stat(t, vol.Mountpoint); got.Uid != 70 || got.Gid != 71 || got.Mode&0o7777 != 0o2770 {
		t.Errorf("the volume belongs to %d:%d with mode %o, want 70:71 and 2770", got.Uid, got.Gid, got.Mode&0o7777)
	}
	if raw, err := os.ReadFile(filepath.Join(vol.Mountpoint, "kept")); string(raw) != "kept" {
		t.Errorf("file of the lower layer: %q (%v)", raw, err)
	}
	if _, err := os.Lstat(filepath.Join(vol.Mountpoint, "hidden")); !os.IsNotExist(err) {
		t.Errorf("file that the upper layer removes: %v, want none", err)
	}
	file := filepath.Join(vol.Mountpoint, "setuid")
	got, same := stat(t, file), stat(t, filepath.Join(vol.Mountpoint, "sub/same"))
	if got.Uid != 1 || got.Gid != 2 || got.Mode&0o7777 != 0o4755 {
		t.Errorf("file belongs to %d:%d with mode %o, want 1:2 and 4755", got.Uid, got.Gid, got.Mode&0o7777)
	}
	if original := stat(t, filepath.Join(lowers[0], "srv/data/setuid")); got.Mtim != original.Mtim {
		t.Errorf("time %v, want the image's %v", got.Mtim, original.Mtim)
	}
	if got.Ino != same.Ino || got.Nlink != 2 {
		t.Error("two names of one file became two files")
	}
	value := make([]byte, 16)
	if n, err := unix.Getxattr(file, "trusted.test", value); err != nil || string(value[:n]) != "value" {
		t.Errorf("extended attribute %q (%v)", value, err)
	}
	if to, err := os.Readlink(filepath.Join(vol.Mountpoint, "outside")); to != "/etc/passwd" {
		t.Errorf("link to %q (%v)", to, err)
	}
	if got := stat(t, filepath.Join(vol.Mountpoint, "pipe")); got.Mode != stat(t, filepath.Join(lowers[0], "srv/data/pipe")).Mode {
		t.Errorf("pipe has mode %o", got.Mode)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	check(t, err)
	if strings.Contains(string(mounts), v.store.Paths.Temp()) {
		t.Error("a mount is left")
	}
}

func TestPopulateLeavesAUsedVolumeAlone(t *testing.T) {
	v := newVolumes(t)
	vol, _, err := v.Acquire(t.Context(), "c1", "data", "", nil, nil)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(vol.Mountpoint, "mine"), nil, 0o600))
	check(t, v.Populate(t.Context(), "data", image(t), "/srv/data"))
	if left, err := os.ReadDir(vol.Mountpoint); err != nil || len(left) != 1 {
		t.Errorf("the volume holds %v (%v), want only what was there", left, err)
	}
}

func TestPopulateStaysInTheImage(t *testing.T) {
	v := newVolumes(t)
	vol, _, err := v.Acquire(t.Context(), "c1", "data", "", nil, nil)
	check(t, err)
	for _, path := range []string{"/escape", "/../../../etc", "/nowhere", "/srv/data/kept"} {
		check(t, v.Populate(t.Context(), "data", image(t), path))
		if _, err := os.Stat(filepath.Join(vol.Mountpoint, "passwd")); err == nil {
			t.Errorf("%s led out of the image", path)
		}
	}
	if left, err := os.ReadDir(vol.Mountpoint); err != nil || len(left) > 0 {
		t.Errorf("the volume holds %v (%v), want nothing", left, err)
	}
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	check(t, unix.Lstat(path, &st))
	return st
}
