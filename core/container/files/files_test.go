package files

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// rootAt opens a folder as a container's root.
func rootAt(t testing.TB, dir string) *Root {
	t.Helper()
	f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &Root{f}
	t.Cleanup(func() { r.Close() })
	return r
}

// sandbox is a container's root in a folder beside which a secret of the host lies.
func sandbox(t testing.TB) (outside, root string) {
	t.Helper()
	outside = t.TempDir()
	root = filepath.Join(outside, "root")
	for _, dir := range []string{"root/dst", "root/etc"} {
		if err := os.MkdirAll(filepath.Join(outside, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("the host's"), 0o600); err != nil {
		t.Fatal(err)
	}
	return outside, root
}

func archive(t testing.TB, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = "from the archive"
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// untouched fails when anything beside the root has changed.
func untouched(t testing.TB, outside string) {
	t.Helper()
	entries, err := os.ReadDir(outside)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "root" && e.Name() != "secret" {
			t.Errorf("%s was made outside of the root", e.Name())
		}
	}
	got, err := os.ReadFile(filepath.Join(outside, "secret"))
	if err != nil || string(got) != "the host's" {
		t.Errorf("the secret is %q, %v", got, err)
	}
}

func TestHostileArchivesStayInTheRoot(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"parent folders":        {{Name: "../../secret", Typeflag: tar.TypeReg}},
		"hidden parent folders": {{Name: "a/../../../secret", Typeflag: tar.TypeReg}},
		"link, then through it": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../../"}, {Name: "l/secret", Typeflag: tar.TypeReg}},
		"absolute link":         {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "%s"}, {Name: "l/secret", Typeflag: tar.TypeReg}},
		"link to the file":      {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "%s/secret"}, {Name: "l", Typeflag: tar.TypeReg}},
		"hard link":             {{Name: "h", Typeflag: tar.TypeLink, Linkname: "../../secret"}, {Name: "h", Typeflag: tar.TypeReg}},
		"hard link by a link":   {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "h", Typeflag: tar.TypeLink, Linkname: "l/secret"}},
		"folder over a link":    {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "l", Typeflag: tar.TypeDir, Mode: 0o777}},
		"magic link":            {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/proc/self/root%s"}, {Name: "l/secret", Typeflag: tar.TypeReg}},
		"a link as the target":  {{Name: ".", Typeflag: tar.TypeSymlink, Linkname: "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			outside, root := sandbox(t)
			for i := range entries {
				if strings.Contains(entries[i].Linkname, "%s") {
					entries[i].Linkname = fmt.Sprintf(entries[i].Linkname, outside)
				}
			}
			err := rootAt(t, root).Unpack(t.Context(), "/dst", archive(t, entries...), UnpackOptions{})
			t.Log(err)
			untouched(t, outside)
		})
	}
}

func TestUnpackMeetsWhatIsThere(t *testing.T) {
	_, root := sandbox(t)
	r := rootAt(t, root)
	unpack := func(opts UnpackOptions, entries ...tar.Header) error {
		return r.Unpack(t.Context(), "/dst", archive(t, entries...), opts)
	}
	when := time.Unix(1_000_000_000, 0)
	if err := unpack(UnpackOptions{}, tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o2750, ModTime: when},
		tar.Header{Name: "d/f", Typeflag: tar.TypeReg, Mode: 0o4711, Uid: 5, Gid: 6, ModTime: when},
		tar.Header{Name: "d/h", Typeflag: tar.TypeLink, Linkname: "d/f"},
		tar.Header{Name: "p", Typeflag: tar.TypeFifo, Mode: 0o640},
		tar.Header{Name: "deep/er/f", Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	var st, folder unix.Stat_t
	if err := errors.Join(unix.Lstat(root+"/dst/d/f", &st), unix.Lstat(root+"/dst/d", &folder)); err != nil {
		t.Fatal(err)
	}
	if st.Mode&0o7777 != 0o4711 || st.Uid != 5 || st.Gid != 6 || st.Nlink != 2 || st.Mtim.Sec != when.Unix() {
		t.Errorf("the file: %+v", st)
	}
	if folder.Mode&0o7777 != 0o2750 || folder.Mtim.Sec != when.Unix() {
		t.Errorf("the folder, whose time is set after its content: %+v", folder)
	}
	if err := unpack(UnpackOptions{KeepKind: true}, tar.Header{Name: "d", Typeflag: tar.TypeReg}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a file over a folder: %v", err)
	}
	if err := unpack(UnpackOptions{KeepKind: true}, tar.Header{Name: "p", Typeflag: tar.TypeDir}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a folder over a pipe: %v", err)
	}
	if err := unpack(UnpackOptions{Owner: &Owner{7, 8}}, tar.Header{Name: "d", Typeflag: tar.TypeReg, Uid: 1}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Lstat(root+"/dst/d", &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != 7 || st.Gid != 8 {
		t.Errorf("a file in a folder's place: %+v, %v", st, err)
	}
	if err := unpack(UnpackOptions{}, tar.Header{Name: "x", Typeflag: 'Z'}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("an unknown kind of entry: %v", err)
	}
	broken := archive(t, tar.Header{Name: "f", Typeflag: tar.TypeReg}).Bytes()[:700]
	broken[200] ^= 1
	if err := r.Unpack(t.Context(), "/dst", bytes.NewReader(broken), UnpackOptions{}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a broken archive: %v", err)
	}
}

// TestASwappedFolderDoesNotLeadOut moves a folder away and back while files
// are put into it and taken out of it: sometimes it is a link to the host's.
func TestASwappedFolderDoesNotLeadOut(t *testing.T) {
	outside, root := sandbox(t)
	r := rootAt(t, root)
	if err := os.MkdirAll(root+"/dst/sub/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(outside+"/root/etc/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, root+"/dst/evil"); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var swaps atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if unix.Renameat2(unix.AT_FDCWD, root+"/dst/sub", unix.AT_FDCWD, root+"/dst/evil", unix.RENAME_EXCHANGE) == nil {
				swaps.Add(1)
			}
		}
	}()
	deadline := time.Now().Add(time.Minute)
	for i := 0; i < 400 || swaps.Load() < 1000; i++ {
		if time.Now().After(deadline) {
			t.Fatalf("the folder was swapped %d times in a minute", swaps.Load())
		}
		in := archive(t, tar.Header{Name: "sub/", Typeflag: tar.TypeDir}, tar.Header{Name: "sub/secret", Typeflag: tar.TypeReg},
			tar.Header{Name: "sub/deep/made", Typeflag: tar.TypeReg})
		_ = r.Unpack(t.Context(), "/dst", in, UnpackOptions{}) // may fail: the ground moves
		var out bytes.Buffer
		if err := r.Pack(t.Context(), "/dst/sub/", &out); err == nil && strings.Contains(out.String(), "the host's") {
			t.Fatal("a secret of the host was archived")
		}
	}
	stop.Store(true)
	<-done
	untouched(t, outside)
}

func TestStatAndResolve(t *testing.T) {
	outside, root := sandbox(t)
	r := rootAt(t, root)
	for link, target := range map[string]string{
		"abs": "/etc", "up": "../../../../etc", "broken": "nowhere/at/all", "loop": "loop", "chain": "abs/../dst/in", "out": outside,
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"/abs": "/etc", "up": "/etc", "/broken": "/nowhere/at/all", "/chain": "/dst/in", "/out": outside, "/dst/../abs": "/etc",
	} {
		stat, err := r.Stat(name)
		if err != nil || stat.LinkTarget != want || stat.Mode&os.ModeSymlink == 0 {
			t.Errorf("%s: %+v, %v; want %s", name, stat, err, want)
		}
	}
	for name, want := range map[string]string{"/": "/", "/etc": "etc", "/abs/": "abs", "/abs/.": ".", "etc/": "etc"} {
		stat, err := r.Stat(name)
		if err != nil || stat.Name != want || !stat.Mode.IsDir() {
			t.Errorf("%s: %+v, %v", name, stat, err)
		}
	}
	if _, err := r.Stat("/loop"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
	for _, name := range []string{"/out/", "/missing", "/etc/missing/x"} {
		if _, err := r.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPackNamesItsEntriesAsDockerDoes(t *testing.T) {
	_, root := sandbox(t)
	r := rootAt(t, root)
	for _, f := range []string{"dst/a", "dst/b"} {
		if err := os.WriteFile(filepath.Join(root, f), []byte(f), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Link(root+"/dst/a", root+"/dst/c"), os.Symlink("a", root+"/dst/l"), unix.Mknod(root+"/dst/sock", unix.S_IFSOCK|0o600, 0)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"/dst":   {"dst/", "dst/a", "dst/b", "dst/c → dst/a", "dst/l → a"},
		"/dst/.": {"./", "./a", "./b", "./c → ./a", "./l → a"},
		"/dst/a": {"a"}, "dst/l": {"l → a"},
		"/": {"/", "/dst/", "/dst/a", "/dst/b", "/dst/c → /dst/a", "/dst/l → a", "/etc/"},
	} {
		var b bytes.Buffer
		if err := r.Pack(t.Context(), name, &b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := names(t, &b); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func names(t *testing.T, b *bytes.Buffer) (list []string) {
	t.Helper()
	for r := tar.NewReader(b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		name := h.Name
		if h.Linkname != "" {
			name += " → " + h.Linkname
		}
		list = append(list, name)
	}
}

// FuzzUnpack takes any archive, and any names in a sound one.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte{}, "a/b", "../../secret", byte(tar.TypeSymlink))
	f.Add([]byte{}, "../secret", "/", byte(tar.TypeReg))
	f.Add([]byte{}, "l", "../../secret", byte(tar.TypeLink))
	f.Add([]byte{}, "dst/./..//../secret", "x", byte(tar.TypeDir))
	f.Add(archive(f, tar.Header{Name: "f", Typeflag: tar.TypeReg}).Bytes(), "", "", byte(0))
	f.Fuzz(func(t *testing.T, raw []byte, name, link string, kind byte) {
		outside, root := sandbox(t)
		r := rootAt(t, root)
		_ = r.Unpack(t.Context(), "/dst", bytes.NewReader(raw), UnpackOptions{})
		untouched(t, outside)
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []tar.Header{{Name: name, Linkname: link, Typeflag: kind, Mode: 0o755}, {Name: name + "/secret", Typeflag: tar.TypeReg}} {
			_ = w.WriteHeader(&h) // a name that no archive can hold
		}
		_ = w.Close()
		_ = r.Unpack(t.Context(), link, &b, UnpackOptions{})
		_, _ = r.Stat(name)
		_, _ = r.Resolve(link)
		_ = r.Pack(t.Context(), name, io.Discard)
		untouched(t, outside)
	})
}

func oneFile(t *testing.T, content string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// endless is zeros; it calls leave once somebody has read so much of it.
type endless struct {
	left  int
	leave func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left -= len(p); e.left < 0 {
		e.leave()
	}
	return len(p), nil
}

// TestUnpackEndsWithItsClient: an entry may be as long as it says without
// anything coming from the client, when it consists of holes.
func TestUnpackEndsWithItsClient(t *testing.T) {
	_, root := sandbox(t)
	ctx, cancel := context.WithCancel(t.Context())
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "f", Typeflag: tar.TypeReg, Size: 1 << 30, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	err := rootAt(t, root).Unpack(ctx, "/dst", io.MultiReader(&b, &endless{1 << 20, cancel}), UnpackOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	info, err := os.Stat(root + "/dst/f")
	if err != nil || info.Size() > 4<<20 {
		t.Errorf("%d bytes were written, %v", info.Size(), err)
	}
}
