package image_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
)

// importing imports and returns what was said; the last line is the id.
func (e *engine) importing(body io.Reader, opts backend.ImageImport) (said []string, err error) {
	opts.Progress = func(m jsonstream.Message) {
		if !bar(m) {
			said = append(said, m.Status)
		}
	}
	err = e.Import(context.Background(), body, opts)
	return said, err
}

func TestImport(t *testing.T) {
	e := newEngine(t)
	root := bytesOf(t, tarOf(t, "etc/", "etc/hostname"))
	said, err := e.importing(bytes.NewReader(zipped(t, root)), backend.ImageImport{
		Source: "-", Ref: named(t, "user/name:1.0"), Changes: []string{`CMD ["/bin/sh"]`, "ENV A=b"}, Platform: &ocispec.Platform{OS: "linux", Architecture: "aarch64"},
	})
	must(t, err)
	img, err := e.Inspect(context.Background(), "user/name:1.0", nil)
	must(t, err)
	if !slices.Equal(said, []string{img.ID}) || img.Comment != "Imported from -" || img.Architecture != "arm64" {
		t.Errorf("said %q, image %+v", said, img)
	}
	if !slices.Equal(img.Config.Cmd, []string{"/bin/sh"}) || !slices.Equal(img.Config.Env, []string{"A=b"}) || img.RootFS.Layers[0] != "sha256:"+sum(root) {
		t.Errorf("config %+v, layers %v", img.Config, img.RootFS.Layers)
	}
	fsroot, err := e.Rootfs(context.Background(), "user/name:1.0", nil)
	must(t, err)
	if text, err := os.ReadFile(filepath.Join(fsroot.LowerDirs[0], "etc/hostname")); err != nil || string(text) != "etc/hostname" {
		t.Errorf("the file holds %q (%v)", text, err)
	}
}

func TestImportFromURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/root.tar" {
			http.NotFound(w, r)
			return
		}
		io.Copy(w, tarOf(t, "file"))
	}))
	t.Cleanup(server.Close)
	e := newEngine(t)
	said, err := e.importing(nil, backend.ImageImport{Source: server.URL + "/root.tar", Message: "from afar"})
	must(t, err)
	if len(said) != 2 || said[0] != "Downloading from "+server.URL+"/root.tar" {
		t.Errorf("said %q", said)
	}
	if img, err := e.Inspect(context.Background(), said[1], nil); err != nil || img.Comment != "from afar" {
		t.Errorf("image %+v (%v)", img, err)
	}
	_, err = e.importing(nil, backend.ImageImport{Source: server.URL + "/nope"})
	wantError(t, err, errdefs.IsUnavailable, "failed to GET "+server.URL+"/nope with status 404 Not Found")
	addr := strings.TrimPrefix(server.URL, "http://")
	if _, err = e.importing(nil, backend.ImageImport{Source: addr + "/root.tar"}); err != nil {
		t.Errorf("without a scheme: %v", err)
	}
	for _, bad := range []string{"file:///etc/passwd", "ftp://host/x", "http://"} {
		if _, err := e.importing(nil, backend.ImageImport{Source: bad}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	e := newEngine(t)
	for name, c := range map[string]struct {
		body string
		opts backend.ImageImport
		text string
	}{
		"no archive":        {strings.Repeat("no archive ", 100), backend.ImageImport{Source: "-"}, "failed to register layer"},
		"half an archive":   {string(bytesOf(t, tarOf(t, "file"))[:514]), backend.ImageImport{Source: "-"}, "failed to register layer"},
		"a bad change":      {"", backend.ImageImport{Source: "-", Changes: []string{"FROM x"}}, "FROM is not a valid change command"},
		"another operating": {"", backend.ImageImport{Source: "-", Platform: &ocispec.Platform{OS: "windows", Architecture: "amd64"}}, "operating system is not supported: windows"},
	} {
		if _, err := e.importing(strings.NewReader(c.body), c.opts); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %q", name, err, c.text)
		}
	}
	noStaging(t, e)
}
