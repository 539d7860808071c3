package files

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/container/layers"
)

// stopped is a container that does not run: two layers, a volume.
func stopped(t *testing.T) (Layers, []Mount) {
	t.Helper()
	base := t.TempDir()
	l := Layers{Lower: []string{base + "/top", base + "/low"}, Upper: base + "/upper", Work: base + "/work", Scratch: base + "/tmp"}
	for _, f := range []string{"top/etc/one", "low/etc/one", "low/etc/two", "low/etc/sub/x", "low/lib/gone", "vol/v", "vol/sub/s", "tmp/.keep", "upper/etc/new"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, f), []byte(f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return l, []Mount{{Source: base + "/vol", Destination: "/data"}, {Source: base + "/vol", Destination: "/ro", ReadOnly: true},
		{Source: base + "/vol", Subpath: "sub", Destination: "/sub"},
		{Image: l.Lower, Subpath: "etc", Destination: "/image", ReadOnly: true}}
}

func TestApart(t *testing.T) {
	l, mounts := stopped(t)
	r, err := ApartToRead(l, mounts)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, want := range map[string]string{"/etc/one": "top/etc/one", "/etc/two": "low/etc/two", "/etc/new": "upper/etc/new", "/data/v": "vol/v", "/sub/s": "vol/sub/s",
		"/image/one": "top/etc/one", "/image/two": "low/etc/two"} {
		f, err := r.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, _ := f.Read(b)
		f.Close()
		if string(b[:n]) != want {
			t.Errorf("%s: %q", name, b[:n])
		}
	}
	if _, err := os.Stat(l.Upper + "/data"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading has made a folder in the writable layer: %v", err)
	}

	w, err := Apart(l, mounts)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	in := "archived"
	for folder, want := range map[string]string{"/etc": l.Upper + "/etc/f", "/data": filepath.Dir(l.Upper) + "/vol/f", "/ro": ""} {
		err := w.Unpack(t.Context(), folder, oneFile(t, in), UnpackOptions{})
		if want == "" {
			if !errors.Is(err, unix.EROFS) {
				t.Errorf("%s: %v", folder, err)
			}
			continue
		}
		if got, readErr := os.ReadFile(want); err != nil || readErr != nil || string(got) != in {
			t.Errorf("%s: %q, %v, %v", folder, got, err, readErr)
		}
	}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mountinfo), l.Scratch) {
		t.Errorf("a mount is seen by the host: %v", err)
	}
	if left, _ := filepath.Glob(l.Scratch + "/files-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestChangesAndTheirLayer(t *testing.T) {
	l, _ := stopped(t)
	w, err := Apart(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	at := func(name string) string { return fdPath(w.dir) + name }
	if err := errors.Join(os.Remove(at("/lib/gone")), os.WriteFile(at("/etc/one"), []byte("other"), 0o644), os.RemoveAll(at("/etc/two")),
		os.MkdirAll(at("/added/deep"), 0o700), os.WriteFile(at("/added/deep/f"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	changes, err := layers.Changes(l.Upper, l.Lower, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, string(c.Kind)+" "+c.Path)
	}
	want := []string{"A /added", "A /added/deep", "A /added/deep/f", "C /etc", "A /etc/new", "C /etc/one", "D /etc/two", "C /lib", "D /lib/gone"}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	var b bytes.Buffer
	if err := PackChanges(t.Context(), l.Upper, changes, &b); err != nil {
		t.Fatal(err)
	}
	layer := []string{"added/", "added/deep/", "added/deep/f", "etc/", "etc/new", "etc/one", "etc/.wh.two", "lib/", "lib/.wh.gone"}
	if got := names(t, &b); !slices.Equal(got, layer) {
		t.Errorf("layer %q, want %q", got, layer)
	}
}

// An emptied and filled folder is opaque in the overlay; what it hides is deleted.
func TestChangesOfAReplacedFolder(t *testing.T) {
	l, _ := stopped(t)
	w, err := Apart(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	etc := fdPath(w.dir) + "/etc"
	if err := errors.Join(os.RemoveAll(etc), os.MkdirAll(etc+"/sub", 0o755), os.WriteFile(etc+"/sub/y", nil, 0o644), os.WriteFile(etc+"/one", []byte("again"), 0o644)); err != nil {
		t.Fatal(err)
	}
	changes, err := layers.Changes(l.Upper, l.Lower, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	want := []layers.Change{{Path: "/etc", Kind: layers.Modified}, {Path: "/etc/one", Kind: layers.Modified},
		{Path: "/etc/sub", Kind: layers.Modified}, {Path: "/etc/sub/x", Kind: layers.Deleted}, {Path: "/etc/sub/y", Kind: layers.Added}, {Path: "/etc/two", Kind: layers.Deleted}}
	if !slices.Equal(changes, want) {
		t.Errorf("changes %q, want %q", changes, want)
	}
}
