package image_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	apiregistry "github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/tests/registry"
)

// send pushes and returns the progress like pull does.
func (e *engine) send(name string, auth *apiregistry.AuthConfig) (lines []string, err error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, err
	}
	err = e.Push(context.Background(), backend.Push{Ref: ref, Auth: auth, Progress: func(m jsonstream.Message) {
		if !bar(m) && m.Status != "" {
			lines = append(lines, strings.TrimPrefix(m.ID+": "+m.Status, ": "))
		}
	}})
	return lines, err
}

// skopeo reads what a registry holds with somebody else's code.
func skopeo(t *testing.T, args ...string) (digest string, layers []string) {
	t.Helper()
	out, err := exec.Command("skopeo", append([]string{"inspect", "--tls-verify=false"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("skopeo inspect: %v\n%s", err, out)
	}
	var got struct {
		Digest string
		Layers []string
	}
	must(t, json.Unmarshal(out, &got))
	return got.Digest, got.Layers
}

// Within one registry nothing is sent: the layers are mounted and the digest stays.
func TestPushUnderAnotherNameOfTheSameRegistry(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	digest := push(t, r, "library/demo", "latest", small(t, 3, ""))
	e := newEngine(t)
	_, err := e.pull(r.Addr + "/library/demo")
	must(t, err)
	must(t, e.Tag(context.Background(), r.Addr+"/library/demo", r.Addr+"/team/copy", "v1"))

	lines, err := e.send(r.Addr+"/team/copy:v1", nil)
	must(t, err)
	if count(lines, ": Mounted from library/demo") != 3 || !strings.HasPrefix(lines[len(lines)-1], "v1: digest: "+digest+" size: ") {
		t.Errorf("progress:\n%s", strings.Join(lines, "\n"))
	}
	lines, err = e.send(r.Addr+"/team/copy:v1", nil)
	must(t, err)
	if count(lines, ": Layer already exists") != 3 {
		t.Errorf("the second push:\n%s", strings.Join(lines, "\n"))
	}
	if got, _ := skopeo(t, "docker://"+r.Addr+"/team/copy:v1"); got != digest {
		t.Errorf("skopeo sees digest %s, want %s", got, digest)
	}
}

// Another registry gets freshly packed layers; the image's id stays the same.
func TestPushToAnotherRegistry(t *testing.T) {
	from, to := startRegistry(t, registry.Options{}), startRegistry(t, registry.Options{User: "jane", Password: "secret"})
	push(t, from, "library/demo", "latest", small(t, 3, ""))
	e := newEngine(t)
	_, err := e.pull(from.Addr + "/library/demo")
	must(t, err)
	name := to.Addr + "/team/demo:1"
	must(t, e.Tag(context.Background(), from.Addr+"/library/demo", to.Addr+"/team/demo", "1"))

	if _, err := e.send(name, nil); err == nil || !strings.Contains(err.Error(), "no basic auth credentials") {
		t.Errorf("push without credentials: %v", err)
	}
	jane := &apiregistry.AuthConfig{Username: "jane", Password: "secret"}
	lines, err := e.send(name, jane)
	must(t, err)
	if count(lines, ": Pushed") != 3 {
		t.Errorf("progress:\n%s", strings.Join(lines, "\n"))
	}
	if _, layers := skopeo(t, "--creds", "jane:secret", "docker://"+name); len(layers) != 3 {
		t.Errorf("skopeo sees %d layers", len(layers))
	}
	other := newEngine(t)
	_, err = other.pull(name, func(p *backend.Pull) { p.Auth = jane })
	must(t, err)
	want, err := e.Inspect(context.Background(), name, nil)
	must(t, err)
	if got, err := other.Inspect(context.Background(), want.ID, nil); err != nil || len(got.RootFS.Layers) != 3 {
		t.Errorf("the pushed image comes back as %v (%v)", got.ID, err)
	}
}

// A registry may hold a layer packed in several ways. The way that the image's
// manifest names wins, so that the digest stays.
func TestPushPrefersItsOwnBlobs(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	img := small(t, 2, "")
	digest := push(t, r, "library/demo", "latest", img)
	repacked := img
	repacked.Layers = nil
	for _, l := range img.Layers {
		plain, err := gzip.NewReader(bytes.NewReader(l.Blob))
		must(t, err)
		var blob bytes.Buffer
		w, err := gzip.NewWriterLevel(&blob, gzip.NoCompression)
		must(t, err)
		_, err = io.Copy(w, plain)
		must(t, err)
		must(t, w.Close())
		repacked.Layers = append(repacked.Layers, registry.Layer{Blob: blob.Bytes(), DiffID: l.DiffID})
	}
	other := push(t, r, "a/other", "1", repacked)
	if other == digest {
		t.Fatal("the layers were not packed in another way")
	}
	e := newEngine(t)
	for _, name := range []string{"/library/demo", "/a/other:1"} {
		_, err := e.pull(r.Addr + name)
		must(t, err)
	}
	must(t, e.Tag(context.Background(), r.Addr+"/library/demo", r.Addr+"/team/copy", "v1"))
	lines, err := e.send(r.Addr+"/team/copy:v1", nil)
	must(t, err)
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "v1: digest: "+digest) {
		t.Errorf("pushed as %q, was %s", last, digest)
	}
}
