package image

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// The parsers of what comes from outside: they may refuse anything, but not
// fall over, and what they let through must hold what the rest relies on. The
// seeds run with every test; `go test -fuzz NAME` looks for more.

func FuzzDescribeArchive(f *testing.F) {
	config := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}`
	for _, seed := range []struct{ name, document string }{
		{"manifest.json", `[{"Config":"c.json","RepoTags":["a:1","b/c:2"],"Layers":["l.tar"]}]`},
		{"manifest.json", `[{"Config":"../../c.json","RepoTags":["UPPER"],"Layers":null}]`},
		{"manifest.json", `[{}]`}, {"manifest.json", `null`}, {"manifest.json", `[null,null]`},
		{"index.json", `{"manifests":[{"digest":"sha256:x","mediaType":"application/vnd.oci.image.manifest.v1+json"}]}`},
		{"index.json", `{"manifests":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","annotations":{"io.containerd.image.name":"a"}}]}`},
		{"index.json", `{"manifests":null}`}, {"repositories", `{}`},
	} {
		f.Add(seed.name, seed.document, config, "c.json", "l.tar")
	}
	f.Fuzz(func(t *testing.T, name, document, config, configName, link string) {
		d := &documents{files: map[string][]byte{cleanEntry(name): []byte(document), cleanEntry(configName): []byte(config)}, links: map[string]string{"l.tar": cleanEntry(link)}}
		images, err := d.describe(nil)
		if err != nil {
			return
		}
		for _, img := range images {
			if len(img.layers) != len(img.spec.RootFS.DiffIDs) {
				t.Errorf("%d layers, %d diff ids", len(img.layers), len(img.spec.RootFS.DiffIDs))
			}
			for i, id := range img.spec.RootFS.DiffIDs {
				if id.Validate() != nil {
					t.Errorf("diff id %q", id)
				}
				stackOn(img.spec.RootFS.DiffIDs[:i], id)
			}
			for _, n := range img.names {
				if n.Tag() == "" || strings.Contains(n.String(), "@") {
					t.Errorf("name %s", n)
				}
			}
		}
	})
}

func FuzzCleanEntry(f *testing.F) {
	for _, seed := range []string{"a/b", "/etc/passwd", "../../x", "./a/../..//b/", "", ".", "..", "a\x00b", "blobs/sha256/../../x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean := cleanEntry(name)
		if strings.HasPrefix(clean, "/") || clean == ".." || strings.HasPrefix(clean, "../") || cleanEntry(clean) != clean {
			t.Errorf("%q became %q", name, clean)
		}
	})
}

func FuzzLayerKind(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte(`{"schemaVersion":2}`))
	f.Add(make([]byte, 1024))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Add(append(bytes.Repeat([]byte{'a'}, 148), []byte("0007777\x00")...))
	f.Fuzz(func(t *testing.T, content []byte) {
		in := bufio.NewReaderSize(bytes.NewReader(content), 64<<10)
		layerKind(in)
		// Looking must not consume anything.
		var rest bytes.Buffer
		if _, err := rest.ReadFrom(in); err != nil || !bytes.Equal(rest.Bytes(), content) {
			t.Errorf("%d bytes are left of %d (%v)", rest.Len(), len(content), err)
		}
	})
}

func FuzzReadLayers(f *testing.F) {
	f.Add([]byte(`{"rootfs":{"type":"layers","diff_ids":[]}}`))
	f.Add([]byte(`{"rootfs":{"diff_ids":["sha256:../../etc"]}}`))
	f.Add([]byte(`{"rootfs":null,"config":{"ExposedPorts":{"x":{}}}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, config []byte) {
		r := &remoteImage{config: config}
		if r.readLayers(nil) == nil && len(r.layers) != 0 {
			t.Errorf("%d layers of none", len(r.layers))
		}
	})
}

func FuzzChanges(f *testing.F) {
	for _, seed := range []string{
		`ENV A="b c" D=$A`, `CMD ["a", "b"]`, "EXPOSE 80 90-91/udp", "LABEL a=b", "VOLUME /x", "WORKDIR a", "HEALTHCHECK NONE", "# escape=`\nENV A=b`", "ENV A=\\", "STOPSIGNAL $X", "ONBUILD RUN x", "<<EOF",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, change string) {
		config, err := applyChanges(dockerspec.DockerOCIImageConfig{}, []string{change})
		if err == nil {
			fillUp(config, config)
		}
	})
}

func FuzzReference(f *testing.F) {
	for _, seed := range []string{"busybox", "a/b:1", "host:5000/a@sha256:" + strings.Repeat("0", 64), "docker.io/library/x:y", "UPPER", ":", "a:b@sha256:" + strings.Repeat("f", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		named, err := bundledName(name)
		if err != nil {
			return
		}
		// The index cuts names itself; it must agree with the library.
		r := ref{full: named.String()}
		again, err := r.named()
		if err != nil || again.String() != r.full || r.repo() != named.Name() {
			t.Errorf("%q is %q of %q (%v)", name, r.full, r.repo(), err)
		}
	})
}
