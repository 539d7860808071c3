package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/tests/registry"
)

// load loads and returns what docker would print.
func (e *engine) load(archive io.Reader, change ...func(*backend.ImageLoad)) (string, error) {
	var said strings.Builder
	opts := backend.ImageLoad{Progress: func(m jsonstream.Message) { said.WriteString(m.Stream) }}
	for _, c := range change {
		c(&opts)
	}
	err := e.Load(context.Background(), archive, opts)
	return said.String(), err
}

func (e *engine) save(t *testing.T, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, e.Save(context.Background(), backend.ImageSave{Names: names}, func() (io.Writer, error) { return &out, nil }))
	return out.Bytes()
}

func (e *engine) id(t *testing.T, name string) string {
	t.Helper()
	img, err := e.Inspect(context.Background(), name, nil)
	must(t, err)
	return img.ID
}

// entry is a file of an archive; with link it is a symbolic link.
type entry struct {
	name, link string
	body       []byte
	kind       byte // 0: a file
}

func bundle(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.body)), Typeflag: tar.TypeReg, Linkname: e.link}
		switch {
		case e.link != "":
			h.Typeflag = tar.TypeSymlink
		case e.kind != 0:
			h.Typeflag = e.kind
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write(e.body)
		must(t, err)
	}
	must(t, w.Close())
	return buf.Bytes()
}

func toJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func bytesOf(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	must(t, err)
	return b
}

// configFor describes layers given as plain tars.
func configFor(t *testing.T, arch string, layers ...[]byte) []byte {
	t.Helper()
	ids := []string{}
	for _, l := range layers {
		ids = append(ids, "sha256:"+sum(l))
	}
	return toJSON(t, map[string]any{
		"architecture": arch, "os": "linux", "config": map[string]any{"Cmd": []string{"sh"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
}

// dockerArchive is what docker before 25 wrote: layers in folders, and a link
// where another image has the layer already.
func dockerArchive(t *testing.T) []byte {
	one, two := bytesOf(t, tarOf(t, "one")), bytesOf(t, tarOf(t, "two"))
	a, b := configFor(t, "amd64", one, two), configFor(t, "amd64", two)
	return bundle(t,
		entry{name: "11/layer.tar", body: one}, entry{name: "11/VERSION", body: []byte("1.0")}, entry{name: "22/layer.tar", body: two},
		entry{name: "33/layer.tar", link: "../22/layer.tar"},
		entry{name: "a.json", body: a}, entry{name: "b.json", body: b},
		entry{name: "manifest.json", body: toJSON(t, []map[string]any{
			{"Config": "a.json", "RepoTags": []string{"old/a:1", "old/a:2"}, "Layers": []string{"11/layer.tar", "22/layer.tar"}},
			{"Config": "b.json", "RepoTags": nil, "Layers": []string{"33/layer.tar"}},
		})},
	)
}

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(b)
	must(t, err)
	must(t, w.Close())
	return buf.Bytes()
}

// ociLayout is an OCI layout with a list of two platforms and zipped layers.
func ociLayout(t *testing.T) (archive []byte, amd64, arm64 string) {
	var entries []entry
	blob := func(body []byte) (digest.Digest, int64) {
		entries = append(entries, entry{name: "blobs/sha256/" + sum(body), body: body})
		return digest.Digest("sha256:" + sum(body)), int64(len(body))
	}
	describe := func(mediaType string, body []byte) ocispec.Descriptor {
		d, size := blob(body)
		return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: size}
	}
	list := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	list.SchemaVersion = 2
	for _, arch := range []string{"amd64", "arm64"} {
		layer := bytesOf(t, tarOf(t, "for-"+arch))
		config := configFor(t, arch, layer)
		m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: describe(ocispec.MediaTypeImageConfig, config)}
		m.SchemaVersion = 2
		m.Layers = []ocispec.Descriptor{describe(ocispec.MediaTypeImageLayerGzip, zipped(t, layer))}
		d := describe(ocispec.MediaTypeImageManifest, toJSON(t, m))
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		list.Manifests = append(list.Manifests, d)
		if arch == "amd64" {
			amd64 = "sha256:" + sum(config)
		} else {
			arm64 = "sha256:" + sum(config)
		}
	}
	top := describe(ocispec.MediaTypeImageIndex, toJSON(t, list))
	top.Annotations = map[string]string{ocispec.AnnotationRefName: "oci/multi:1"}
	index := ocispec.Index{Manifests: []ocispec.Descriptor{top}}
	index.SchemaVersion = 2
	entries = append(entries, entry{name: "index.json", body: toJSON(t, index)}, entry{name: "oci-layout", body: []byte(`{"imageLayoutVersion":"1.0.0"}`)})
	return bundle(t, entries...), amd64, arm64
}

// What one engine saves another loads: the same ids, and the same bytes again.
func TestSaveAndLoad(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "a/one", "1", small(t, 2, ""))
	push(t, r, "a/two", "1", small(t, 3, "other"))
	from, to := newEngine(t), newEngine(t)
	ctx := context.Background()
	one, two := r.Addr+"/a/one:1", r.Addr+"/a/two:1"
	for _, name := range []string{one, two} {
		_, err := from.pull(name)
		must(t, err)
	}
	must(t, from.Tag(ctx, two, "second", "2"))
	archive := from.save(t, one, "second", one)
	said, err := to.load(bytes.NewReader(archive))
	must(t, err)
	if want := "Loaded image: " + one + "\nLoaded image: second:2\n"; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
	if got, want := to.id(t, one), from.id(t, one); got != want {
		t.Errorf("id %s, was %s", got, want)
	}
	if got, want := to.id(t, "second:2"), from.id(t, two); got != want {
		t.Errorf("id %s, was %s", got, want)
	}
	if again := to.save(t, one, "second"); !bytes.Equal(again, archive) {
		t.Error("the same images saved again are other bytes")
	}
	// By id there is no name, and a name that points elsewhere moves.
	byID := from.save(t, from.id(t, two))
	must(t, to.Tag(ctx, one, "second", "2"))
	if said, err = to.load(bytes.NewReader(byID)); err != nil || said != "Loaded image ID: "+from.id(t, two)+"\n" {
		t.Errorf("said %q (%v)", said, err)
	}
	said, err = to.load(bytes.NewReader(from.save(t, "second:2")))
	if err != nil || !strings.HasPrefix(said, "The image second:2 already exists, renaming the old one with ID "+to.id(t, one)+" to empty string\n") {
		t.Errorf("said %q (%v)", said, err)
	}
	noStaging(t, to)
}

func TestLoadForms(t *testing.T) {
	plain := dockerArchive(t)
	for _, program := range []string{"", "gzip", "zstd", "bzip2", "xz"} {
		t.Run("docker "+program, func(t *testing.T) {
			archive := plain
			if program != "" {
				cmd := exec.Command(program, "-c")
				cmd.Stdin = bytes.NewReader(plain)
				var err error
				if archive, err = cmd.Output(); err != nil {
					t.Fatalf("%s (Debian's package of that name): %v", program, err)
				}
			}
			e := newEngine(t)
			said, err := e.load(bytes.NewReader(archive))
			must(t, err)
			if !strings.HasPrefix(said, "Loaded image: old/a:1\nLoaded image: old/a:2\nLoaded image ID: sha256:") {
				t.Errorf("said %q", said)
			}
			root, err := e.Rootfs(context.Background(), "old/a:2", nil)
			must(t, err)
			if text, err := os.ReadFile(filepath.Join(root.LowerDirs[0], "two")); err != nil || string(text) != "two" {
				t.Errorf("the upper layer holds %q (%v)", text, err)
			}
		})
	}
	layout, amd64, arm64 := ociLayout(t)
	t.Run("oci", func(t *testing.T) {
		e := newEngine(t)
		said, err := e.load(bytes.NewReader(layout), func(o *backend.ImageLoad) { o.Platforms = []ocispec.Platform{{OS: "linux", Architecture: "amd64"}} })
		if err != nil || said != "Loaded image: oci/multi:1\n" || e.id(t, "oci/multi:1") != amd64 {
			t.Errorf("said %q (%v)", said, err)
		}
		_, err = e.load(bytes.NewReader(layout), func(o *backend.ImageLoad) { o.Platforms = []ocispec.Platform{{OS: "linux", Architecture: "arm64"}} })
		if err != nil || e.id(t, "oci/multi:1") != arm64 {
			t.Errorf("another platform: %v", err)
		}
		_, err = e.load(bytes.NewReader(layout), func(o *backend.ImageLoad) { o.Platforms = []ocispec.Platform{{OS: "linux", Architecture: "s390x"}} })
		wantError(t, err, errdefs.IsNotFound, "the archive holds no image for linux/s390x")
		noStaging(t, e)
	})
}

// The content of a layer may be here on top of other layers, in this archive
// or from before: it is not unpacked from the archive again, but copied.
func TestLoadLayerOnOthers(t *testing.T) {
	one, two := bytesOf(t, tarOf(t, "one")), bytesOf(t, tarOf(t, "two"))
	named := func(b []byte) string { return sum(b) + ".tar" }
	image := func(name string, layers ...[]byte) []byte {
		config := configFor(t, "amd64", layers...)
		entries := []entry{{name: "c.json", body: config}}
		var names []string
		for _, l := range layers {
			entries, names = append(entries, entry{name: named(l), body: l}), append(names, named(l))
		}
		return bundle(t, append(entries, entry{name: "manifest.json", body: toJSON(t, []map[string]any{{"Config": "c.json", "RepoTags": []string{name}, "Layers": names}})})...)
	}
	e := newEngine(t)
	for _, archive := range [][]byte{image("x:1", one, two), image("x:2", two, one, two)} {
		_, err := e.load(bytes.NewReader(archive))
		must(t, err)
	}
	root, err := e.Rootfs(context.Background(), "x:2", nil)
	must(t, err)
	for i, name := range []string{"two", "one", "two"} {
		if _, err := os.Stat(filepath.Join(root.LowerDirs[i], name)); err != nil {
			t.Errorf("layer %d: %v", i, err)
		}
	}
	noStaging(t, e)
}

func TestLoadRefuses(t *testing.T) {
	layer := bytesOf(t, tarOf(t, "file"))
	other := bytesOf(t, tarOf(t, "another"))
	config := configFor(t, "amd64", layer)
	list := func(v ...map[string]any) entry { return entry{name: "manifest.json", body: toJSON(t, v)} }
	image := map[string]any{"Config": "c.json", "RepoTags": []string{"bad:1"}, "Layers": []string{"l.tar"}}
	with := func(key string, value any) map[string]any {
		out := map[string]any{}
		for k, v := range image {
			out[k] = v
		}
		out[key] = value
		return out
	}
	layout, _, _ := ociLayout(t)
	good := dockerArchive(t)
	manifest := func(mediaType, configType string) []byte {
		m := ocispec.Manifest{Config: ocispec.Descriptor{MediaType: configType, Digest: digest.FromBytes(config), Size: int64(len(config))}, Layers: []ocispec.Descriptor{{Digest: digest.FromBytes(layer)}}}
		raw := toJSON(t, m)
		index := ocispec.Index{Manifests: []ocispec.Descriptor{{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}}}
		return bundle(t, entry{name: "blobs/sha256/" + sum(raw), body: raw}, entry{name: "blobs/sha256/" + sum(config), body: config},
			entry{name: "blobs/sha256/" + sum(layer), body: layer}, entry{name: "index.json", body: toJSON(t, index)})
	}
	for name, c := range map[string]struct {
		archive []byte
		class   func(error) bool
		text    string
	}{
		"nothing":                      {nil, errdefs.IsInvalidArgument, "neither a manifest.json"},
		"no archive":                   {bytes.Repeat([]byte("no archive at all "), 100), errdefs.IsInvalidArgument, "invalid archive"},
		"a root file system":           {bytesOf(t, tarOf(t, "etc/", "etc/passwd")), errdefs.IsInvalidArgument, "hint: for the root file system of a container (export) use import"},
		"an archive of docker 1.9":     {bundle(t, entry{name: "repositories", body: []byte("{}")}), errdefs.IsInvalidArgument, "older than 1.10"},
		"cut in a layer":               {good[:700], errdefs.IsInvalidArgument, ""},
		"cut in the compression":       {zipped(t, good)[:200], errdefs.IsInvalidArgument, ""},
		"cut before the list":          {good[:len(good)-3000], errdefs.IsInvalidArgument, ""},
		"a list that is no JSON":       {bundle(t, entry{name: "manifest.json", body: []byte("<html>")}), errdefs.IsInvalidArgument, "manifest.json"},
		"no config":                    {bundle(t, entry{name: "l.tar", body: layer}, list(image)), errdefs.IsInvalidArgument, `no config "c.json"`},
		"a config outside":             {bundle(t, entry{name: "l.tar", body: layer}, list(with("Config", "../../../../etc/hostname"))), errdefs.IsInvalidArgument, "no config"},
		"a link outside":               {bundle(t, entry{name: "l.tar", body: layer}, entry{name: "c.json", link: "/etc/hostname"}, list(image)), errdefs.IsInvalidArgument, "no config"},
		"links in a circle":            {bundle(t, entry{name: "c.json", link: "d.json"}, entry{name: "d.json", link: "c.json"}, list(image)), errdefs.IsInvalidArgument, "no config"},
		"a config that is no JSON":     {bundle(t, entry{name: "c.json", body: []byte("{")}, list(image)), errdefs.IsInvalidArgument, "config of an image"},
		"a layer too few":              {bundle(t, entry{name: "c.json", body: config}, list(with("Layers", []string{}))), errdefs.IsInvalidArgument, "layers length mismatch: expected 0, got 1"},
		"a layer that is missing":      {bundle(t, entry{name: "c.json", body: config}, list(image)), errdefs.IsInvalidArgument, "is missing"},
		"another layer":                {bundle(t, entry{name: "l.tar", body: other}, entry{name: "c.json", body: config}, list(image)), errdefs.IsDataLoss, "invalid diffID"},
		"the later of two layers":      {bundle(t, entry{name: "l.tar", body: layer}, entry{name: "l.tar", body: other}, entry{name: "c.json", body: config}, list(image)), errdefs.IsDataLoss, "invalid diffID"},
		"a layer that is a device":     {bundle(t, entry{name: "l.tar", kind: tar.TypeBlock}, entry{name: "c.json", body: config}, list(image)), errdefs.IsInvalidArgument, "is missing"},
		"a broken layer":               {bundle(t, entry{name: "l.tar", body: layer[:514]}, entry{name: "c.json", body: config}, list(image)), errdefs.IsInvalidArgument, "failed to register layer"},
		"a bad name":                   {bundle(t, entry{name: "l.tar", body: layer}, entry{name: "c.json", body: config}, list(with("RepoTags", []string{"UPPER:1"}))), errdefs.IsInvalidArgument, `name "UPPER:1"`},
		"a digest for a name":          {bundle(t, entry{name: "l.tar", body: layer}, entry{name: "c.json", body: config}, list(with("RepoTags", []string{"a@sha256:" + sum(nil)}))), errdefs.IsInvalidArgument, "name"},
		"a diff id that is a path":     {bundle(t, entry{name: "c.json", body: []byte(`{"os":"linux","rootfs":{"type":"layers","diff_ids":["../../etc"]}}`)}, list(image)), errdefs.IsInvalidArgument, "diff id"},
		"an image for Windows":         {bundle(t, entry{name: "c.json", body: []byte(`{"os":"windows","rootfs":{"type":"layers","diff_ids":[]}}`)}, list(with("Layers", nil))), errdefs.IsInvalidArgument, "cannot load windows image on linux"},
		"a huge description":           {bundle(t, entry{name: "c.json", body: bytes.Repeat([]byte(" "), 17<<20)}, list(image)), errdefs.IsInvalidArgument, "too large"},
		"a blob with other content":    {bytes.Replace(layout, []byte(`"Cmd":["sh"]`), []byte(`"Cmd":["SH"]`), 2), errdefs.IsDataLoss, "holds something else"},
		"a manifest of another type":   {manifest("application/vnd.cncf.helm", ocispec.MediaTypeImageConfig), errdefs.IsInvalidArgument, "which is no image"},
		"a manifest of schema 1":       {manifest("application/vnd.docker.distribution.manifest.v1+json", ocispec.MediaTypeImageConfig), errdefs.IsInvalidArgument, "which is no image"},
		"a config of another type":     {manifest(ocispec.MediaTypeImageManifest, "application/vnd.cncf.helm.config.v1+json"), errdefs.IsInvalidArgument, "not a container image"},
		"indexes without end":          {nestedIndexes(t), errdefs.IsInvalidArgument, "nested too deeply"},
		"an index with a wrong digest": {bundle(t, entry{name: "index.json", body: []byte(`{"manifests":[{"digest":"sha256:x"}]}`)}), errdefs.IsInvalidArgument, "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			said, err := e.load(bytes.NewReader(c.archive))
			if err == nil || !c.class(err) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %q of the right class (said %q)", err, c.text, said)
			}
			images, err := e.List(context.Background(), backend.ImageList{All: true})
			if err != nil || len(images) > 0 {
				t.Errorf("images afterwards: %v (%v)", images, err)
			}
			noStaging(t, e)
			if _, err := e.load(bytes.NewReader(good)); err != nil {
				t.Errorf("a good archive afterwards: %v", err)
			}
		})
	}
}

func nestedIndexes(t *testing.T) []byte {
	var entries []entry
	inner := ocispec.Index{Manifests: []ocispec.Descriptor{}}
	for range 8 {
		raw := toJSON(t, inner)
		entries = append(entries, entry{name: "blobs/sha256/" + sum(raw), body: raw})
		inner = ocispec.Index{Manifests: []ocispec.Descriptor{
			{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(raw), Platform: &ocispec.Platform{OS: "linux", Architecture: "amd64"}},
		}}
	}
	return bundle(t, append(entries, entry{name: "index.json", body: toJSON(t, inner)})...)
}

// failingReader breaks in the middle, as the connection of a client that was killed.
type failingReader struct {
	io.Reader
	left int
}

var errBroken = errors.New("the client went away")

func (f *failingReader) Read(b []byte) (int, error) {
	if f.left <= 0 {
		return 0, errBroken
	}
	n, err := f.Reader.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}

func TestLoadBrokenOff(t *testing.T) {
	good := dockerArchive(t)
	e := newEngine(t)
	for at := 1; at < len(good); at += 900 {
		if said, err := e.load(&failingReader{bytes.NewReader(good), at}); err == nil || said != "" {
			t.Errorf("broken off after %d bytes: said %q, error %v", at, said, err)
		}
	}
	noStaging(t, e)
	list, err := e.List(context.Background(), backend.ImageList{All: true})
	if err != nil || len(list) > 0 {
		t.Errorf("images afterwards: %v (%v)", list, err)
	}
}

func TestSaveRefuses(t *testing.T) {
	e := newEngine(t)
	_, err := e.load(bytes.NewReader(dockerArchive(t)))
	must(t, err)
	save := func(opts backend.ImageSave) error {
		return e.Save(context.Background(), opts, func() (io.Writer, error) { return nil, fmt.Errorf("it was opened") })
	}
	wantError(t, save(backend.ImageSave{Names: []string{"old/a:1", "nope"}}), errdefs.IsNotFound, "No such image: nope:latest")
	err = save(backend.ImageSave{Names: []string{"old/a:1"}, Platforms: []ocispec.Platform{{OS: "linux", Architecture: "arm64"}}})
	if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "does not match the specified platform (linux/arm64)") {
		t.Errorf("another platform: %v", err)
	}
	// A layer whose files were changed behind our back is not passed on.
	root, err := e.Rootfs(context.Background(), "old/a:1", nil)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root.LowerDirs[0], "two"), []byte("TWO"), 0o644))
	err = e.Save(context.Background(), backend.ImageSave{Names: []string{"old/a:1"}}, func() (io.Writer, error) { return io.Discard, nil })
	if err == nil {
		t.Error("a damaged layer was saved")
	}
}

func TestSavedEvents(t *testing.T) {
	e := newEngine(t)
	_, err := e.load(bytes.NewReader(dockerArchive(t)))
	must(t, err)
	e.save(t, "old/a:1")
	id := e.id(t, "old/a:1")
	want := []string{"tag " + id + " old/a:1", "tag " + id + " old/a:2", "load " + id + " " + id}
	if !slices.Equal(e.events.all[:3], want) || !slices.Contains(e.events.all, "save "+id+" "+id) {
		t.Errorf("events %q", e.events.all)
	}
}
