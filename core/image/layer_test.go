package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/tests/registry"
)

// Everything that a layer can say arrives on disk, deletions in overlay's own form.
func TestLayerContent(t *testing.T) {
	stamp := time.Unix(1_600_000_000, 0)
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, h := range []tar.Header{
		{Name: "./", Typeflag: tar.TypeDir, Mode: 0o711},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "su", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 1, Gid: 2},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "su", Mode: 0o4755, Uid: 1, Gid: 2},
		{Name: "soft", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Mode: 0o777},
		{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
		{Name: "fifo", Typeflag: tar.TypeFifo, Mode: 0o600},
		{Name: "capable", Typeflag: tar.TypeReg, Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr.user.note": "kept"}},
		{Name: "gone/.wh.file", Typeflag: tar.TypeReg},
		{Name: "opaque/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "opaque/.wh..wh..opq", Typeflag: tar.TypeReg},
	} {
		h.ModTime = stamp
		must(t, w.WriteHeader(&h))
	}
	must(t, w.Close())
	img := registry.New("amd64", registry.Layer{Blob: raw.Bytes(), DiffID: digest.FromBytes(raw.Bytes())}) // not compressed: allowed
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/odd", "latest", img)
	e := newEngine(t)
	_, err := e.pull(r.Addr + "/library/odd")
	must(t, err)
	root, err := e.Rootfs(context.Background(), r.Addr+"/library/odd", nil)
	must(t, err)
	dir := root.LowerDirs[0]

	for name, want := range map[string]struct {
		mode uint32
		rdev uint64
	}{
		".":         {syscall.S_IFDIR | 0o711, 0},
		"tmp":       {syscall.S_IFDIR | 0o1777, 0},
		"su":        {syscall.S_IFREG | 0o4755, 0},
		"soft":      {syscall.S_IFLNK | 0o777, 0},
		"null":      {syscall.S_IFCHR | 0o666, unix.Mkdev(1, 3)},
		"fifo":      {syscall.S_IFIFO | 0o600, 0},
		"gone/file": {syscall.S_IFCHR, 0},
		"gone":      {syscall.S_IFDIR | 0o755, 0},
		"opaque":    {syscall.S_IFDIR | 0o755, 0},
	} {
		var st unix.Stat_t
		err := unix.Lstat(filepath.Join(dir, name), &st)
		mode := st.Mode
		if st.Mode&syscall.S_IFMT == syscall.S_IFCHR && want.rdev == 0 {
			mode &= syscall.S_IFMT // of a whiteout only the type counts
		}
		if err != nil || mode != want.mode || st.Rdev != want.rdev {
			t.Errorf("%s: mode %o device %d (%v), want %o and %d", name, st.Mode, st.Rdev, err, want.mode, want.rdev)
		}
	}
	su, err := os.Stat(filepath.Join(dir, "su"))
	must(t, err)
	stat := su.Sys().(*syscall.Stat_t)
	if stat.Uid != 1 || stat.Gid != 2 || stat.Nlink != 2 || !su.ModTime().Equal(stamp) {
		t.Errorf("su: %+v", stat)
	}
	value := make([]byte, 16)
	if n, err := unix.Getxattr(filepath.Join(dir, "capable"), "user.note", value); err != nil || string(value[:n]) != "kept" {
		t.Errorf("extended attribute: %q (%v)", value[:max(n, 0)], err)
	}
	if n, err := unix.Getxattr(filepath.Join(dir, "opaque"), "trusted.overlay.opaque", value); err != nil || string(value[:n]) != "y" {
		t.Errorf("opaque folder: %q (%v)", value[:max(n, 0)], err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "opaque"))
	if err != nil || len(left) > 0 {
		t.Errorf("the mark of the opaque folder became a file: %v (%v)", left, err)
	}
}
