package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/tests/registry"
)

// hostile makes a layer of raw headers; regular files get the body "hostile".
func hostile(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len("hostile"))
		}
		must(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte("hostile"))
			must(t, err)
		}
	}
	must(t, w.Close())
	return buf.Bytes()
}

// Whatever a layer's archive says, nothing outside of the layer is read,
// written, linked or removed: refused or not, and nothing half done is left.
func TestHostileLayers(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	up := strings.Repeat("../", 30)
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	sym := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink}
	}
	for name, layer := range map[string][]tar.Header{
		"a path with ..":                    {file(up + victim)},
		"a path with .. inside":             {file("a/" + up + victim)},
		"an absolute path":                  {file(victim)},
		"a file through a link":             {sym("out", outside), file("out/victim")},
		"a relative link out":               {sym("out", up+outside), file("out/victim")},
		"a link for a folder on the way":    {sym("a", up), file("a" + victim)},
		"a link that is written as a file":  {sym("out", victim), file("out")},
		"a hard link to an absolute path":   {hard("ln", victim), file("ln")},
		"a hard link with ..":               {hard("ln", up+victim), file("ln")},
		"a hard link through a link":        {sym("out", outside), hard("ln", "out/victim"), file("ln")},
		"a folder in place of a link":       {sym("out", outside), {Name: "out", Typeflag: tar.TypeDir, Mode: 0o700}},
		"a mode for a link's target":        {sym("out", victim), {Name: "out", Typeflag: tar.TypeSymlink, Linkname: victim, Mode: 0o777}},
		"a whiteout of ..":                  {file(".wh..")},
		"a whiteout of the root":            {file(".wh.")},
		"a whiteout through a link":         {sym("out", outside), file("out/.wh.victim")},
		"an opaque folder through a link":   {sym("out", outside), file("out/.wh..wh..opq")},
		"a device through a link":           {sym("out", outside), {Name: "out/device", Typeflag: tar.TypeBlock, Devmajor: 7}},
		"a pipe through a link":             {sym("out", outside), {Name: "out/pipe", Typeflag: tar.TypeFifo}},
		"the same name twice":               {file("x"), {Name: "x", Typeflag: tar.TypeDir}, file("x")},
		"a folder of storage's own markers": {file(".wh..wh.aufs"), file(".wh..wh.plnk/1")},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(victim, []byte("untouched"), 0o644))
			e := newEngine(t)
			_, err := e.Commit(context.Background(), bytes.NewReader(hostile(t, layer...)), backend.ImageCommit{})
			t.Log(err) // refused, or confined to the layer
			text, err := os.ReadFile(victim)
			if err != nil || string(text) != "untouched" {
				t.Errorf("the file outside holds %q (%v)", text, err)
			}
			var st unix.Stat_t
			must(t, unix.Lstat(victim, &st))
			if st.Nlink != 1 || st.Mode&0o777 != 0o644 {
				t.Errorf("the file outside has %d links and mode %o", st.Nlink, st.Mode&0o777)
			}
			left, err := os.ReadDir(outside)
			if err != nil || len(left) != 1 {
				t.Errorf("outside lie %v (%v)", left, err)
			}
			noStaging(t, e)
		})
	}
}

// Devices belong to images (docker makes them too); they are the layer's own.
func TestLayerWithDevices(t *testing.T) {
	e := newEngine(t)
	id, err := e.Commit(context.Background(), bytes.NewReader(hostile(t,
		tar.Header{Name: "dev/", Typeflag: tar.TypeDir}, tar.Header{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
	)), backend.ImageCommit{})
	must(t, err)
	root, err := e.Rootfs(context.Background(), id, nil)
	must(t, err)
	if info, err := os.Lstat(filepath.Join(root.LowerDirs[0], "dev/null")); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("the device became %v (%v)", info, err)
	}
	// As with docker, a layer that has a file twice is refused: it could not be
	// written again as it was.
	_, err = e.Commit(context.Background(), bytes.NewReader(hostile(t,
		tar.Header{Name: "twice", Typeflag: tar.TypeSymlink, Linkname: "dev"}, tar.Header{Name: "twice", Typeflag: tar.TypeReg},
		tar.Header{Name: "twice", Typeflag: tar.TypeReg},
	)), backend.ImageCommit{})
	wantError(t, err, errdefs.IsInvalidArgument, "failed to register layer of the changes: duplicates of file paths not supported")
}

// zeros is a gzip of an archive with one file of so many zeros.
func zeros(size int64) io.Reader {
	r, w := io.Pipe()
	go func() {
		zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		out := tar.NewWriter(zip)
		err := out.WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: size, Typeflag: tar.TypeReg})
		block := make([]byte, 1<<20)
		for n := int64(0); n < size && err == nil; n += int64(len(block)) {
			_, err = out.Write(block)
		}
		if err == nil {
			err = out.Close()
		}
		if err == nil {
			err = zip.Close()
		}
		w.CloseWithError(err)
	}()
	return r
}

// A small archive that grows without end fills the disk at most until the
// kernel says so; then all of it goes, and the next image has its place.
func TestBomb(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/data", 0o700))
	must(t, unix.Mount("tmpfs", dir+"/data", "tmpfs", 0, "size=16m"))
	t.Cleanup(func() { unix.Unmount(dir+"/data", unix.MNT_DETACH) })
	e := openEngine(t, dir)
	bomb := zeros(256 << 20)
	_, err := e.Commit(context.Background(), bomb, backend.ImageCommit{})
	if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "no space left on device\nhint: ") {
		t.Errorf("error %v, want that the disk is full", err)
	}
	noStaging(t, e)
	if _, err := e.Commit(context.Background(), tarOf(t, "a"), backend.ImageCommit{}); err != nil {
		t.Errorf("a small image afterwards: %v", err)
	}
}

// Headers that promise too much end in an error, not in memory.
func TestLyingHeaders(t *testing.T) {
	huge := bytes.Repeat([]byte("x"), 3<<20)
	long := hostile(t, tar.Header{Name: "file", Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{"NACRE.long": string(huge[:900<<10])}})
	cut := hostile(t, tar.Header{Name: "file", Typeflag: tar.TypeReg})[:515]
	var records bytes.Buffer // a header of 3 MiB, more than readers take
	w := tar.NewWriter(&records)
	must(t, w.WriteHeader(&tar.Header{Name: "pax", Typeflag: tar.TypeReg, Size: int64(len(huge)), Mode: 0o644}))
	_, err := w.Write(huge)
	must(t, err)
	must(t, w.Close())
	tooLong := records.Bytes()
	tooLong[156] = tar.TypeXHeader
	fixChecksum(tooLong[:512])
	e := newEngine(t)
	for name, archive := range map[string][]byte{"cut in a file": cut, "too long a header": tooLong} {
		if _, err := e.Commit(context.Background(), bytes.NewReader(archive), backend.ImageCommit{}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := e.Commit(context.Background(), bytes.NewReader(long), backend.ImageCommit{}); err != nil {
		t.Errorf("a long header: %v", err)
	}
	noStaging(t, e)
}

func fixChecksum(block []byte) {
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// What a registry may say instead of an image.
func TestWrongDocuments(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 1, ""))
	isManifest := func(req *http.Request) bool {
		return strings.Contains(req.URL.Path, "/manifests/") && req.Method == http.MethodGet
	}
	isConfig := func(req *http.Request) bool { return isBlob(req) && req.Method == http.MethodGet }
	zero := "sha256:" + strings.Repeat("0", 64)
	manifest := func(mediaType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			fmt.Fprint(w, body)
		}
	}
	v2 := func(config, layer string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":%q,"size":2,"digest":%q},"layers":[{"mediaType":%q,"size":2,"digest":%q}]}`,
			config, zero, layer, zero)
	}
	const schema2, goodConfig, goodLayer = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"
	for name, c := range map[string]struct {
		takes     func(*http.Request) bool
		intercept http.HandlerFunc
		ref       string
		class     func(error) bool
		text      string
	}{
		"schema 1":                {isManifest, manifest("application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1,"name":"library/demo","tag":"latest","architecture":"amd64","fsLayers":[],"history":[],"signatures":[]}`), "", errdefs.IsInvalidArgument, "schema 1 is not supported"},
		"a chart":                 {isManifest, manifest(schema2, v2("application/vnd.cncf.helm.config.v1+json", goodLayer)), "", errdefs.IsInvalidArgument, "not a container image"},
		"no JSON":                 {isManifest, manifest(schema2, `<html>`), "", nil, ""},
		"half a manifest":         {isManifest, manifest(schema2, v2(goodConfig, goodLayer)[:100]), "", nil, ""},
		"a digest that is a path": {isManifest, manifest(schema2, strings.ReplaceAll(v2(goodConfig, goodLayer), zero, "sha256:../../../../etc/passwd")), "", nil, ""},
		"a manifest that is not what was asked for": {isManifest, manifest(schema2, v2(goodConfig, goodLayer)), "@" + zero, nil, ""},
		"a config with other content":               {isConfig, manifest("application/octet-stream", "{}"), "", errdefs.IsDataLoss, "image config verification failed for digest"},
		"a huge manifest":                           {isManifest, manifest(schema2, strings.Repeat(" ", 8<<20)), "", nil, ""},
		"a list of nothing":                         {isManifest, manifest("application/vnd.docker.distribution.manifest.list.v2+json", `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}`), "", errdefs.IsNotFound, "no matching manifest for linux/"},
		"an unknown format":                         {isManifest, manifest("text/plain", "hello"), "", errdefs.IsInvalidArgument, "no image manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, quickRetries)
			_, err := e.pull(inFront(t, r, c.intercept, c.takes) + "/library/demo" + c.ref)
			if err == nil || c.class != nil && !c.class(err) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %q of the right class", err, c.text)
			}
			t.Log(err)
			list, err := e.List(context.Background(), backend.ImageList{All: true})
			if err != nil || len(list) > 0 {
				t.Errorf("images afterwards: %v (%v)", list, err)
			}
			noStaging(t, e)
		})
	}
}
