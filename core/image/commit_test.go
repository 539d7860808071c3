package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/tests/registry"
)

// tarOf is an archive of small files; a name that ends in a slash is a folder.
func tarOf(t *testing.T, files ...string) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range files {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(name)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") {
			h.Mode, h.Size, h.Typeflag = 0o755, 0, tar.TypeDir
		}
		must(t, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := w.Write([]byte(name))
			must(t, err)
		}
	}
	must(t, w.Close())
	return &buf
}

func named(t *testing.T, name string) reference.Named {
	t.Helper()
	ref, err := reference.ParseNormalizedNamed(name)
	must(t, err)
	return reference.TagNameOnly(ref)
}

func TestCommit(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 2, ""))
	e := newEngine(t)
	ctx := context.Background()
	name := r.Addr + "/library/demo"
	_, err := e.pull(name)
	must(t, err)
	parent, err := e.Inspect(ctx, name, nil)
	must(t, err)

	ran := &container.Config{
		Image: name, Cmd: []string{"sh", "-c", "work"}, Env: []string{"PATH=/bin", "A=old"}, Labels: map[string]string{"from": "container"},
		ExposedPorts: network.PortSet{network.MustParsePort("80/tcp"): {}},
	}
	id, err := e.Commit(ctx, tarOf(t, "etc/", "etc/new", "etc/.wh.file0"), backend.ImageCommit{
		Parent: parent.ID, ContainerID: "c1", Container: ran, Author: "An author", Comment: "what and why", Ref: named(t, "made:1"),
		Changes: []string{`ENV A="new value" B=$A`, "EXPOSE 90-91/udp", `LABEL x=y`, "WORKDIR /srv", "WORKDIR sub", `CMD ["run", "it"]`},
	})
	must(t, err)
	img, err := e.Inspect(ctx, "made:1", nil)
	must(t, err)
	if img.ID != id || img.Author != "An author" || img.Comment != "what and why" || len(img.RootFS.Layers) != 3 {
		t.Errorf("image %+v", img)
	}
	if want := []string{"PATH=/bin", "A=new value", "B=old"}; !slices.Equal(img.Config.Env, want) {
		t.Errorf("environment %q, want %q", img.Config.Env, want)
	}
	ports := img.Config.ExposedPorts
	if len(ports) != 3 || img.Config.Labels["from"] != "container" || img.Config.Labels["x"] != "y" || img.Config.WorkingDir != "/srv/sub" || !slices.Equal(img.Config.Cmd, []string{"run", "it"}) {
		t.Errorf("config %+v", img.Config)
	}
	history, err := e.History(ctx, id)
	must(t, err)
	if h := history[0]; len(history) != 3 || h.CreatedBy != "sh -c work" || h.Comment != "what and why" || h.Size != int64(len("etc/new")) || history[1].ID != parent.ID {
		t.Errorf("history %+v", history)
	}
	root, err := e.Rootfs(ctx, id, nil)
	must(t, err)
	if info, err := os.Lstat(filepath.Join(root.LowerDirs[0], "etc/file0")); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("the whiteout became %v (%v)", info, err)
	}

	// The same again is the same layer; without changes there is no layer.
	again, err := e.Commit(ctx, tarOf(t, "etc/", "etc/new", "etc/.wh.file0"), backend.ImageCommit{Parent: parent.ID, Container: ran})
	must(t, err)
	other, err := e.Inspect(ctx, again, nil)
	must(t, err)
	if other.RootFS.Layers[2] != img.RootFS.Layers[2] {
		t.Errorf("layers %v and %v", other.RootFS.Layers, img.RootFS.Layers)
	}
	unchanged, err := e.Commit(ctx, tarOf(t, "./"), backend.ImageCommit{Parent: parent.ID, Container: ran})
	must(t, err)
	if other, err = e.Inspect(ctx, unchanged, nil); err != nil || len(other.RootFS.Layers) != 2 {
		t.Errorf("layers without changes: %v (%v)", other.RootFS.Layers, err)
	}
	if history, err = e.History(ctx, unchanged); err != nil || len(history) != 3 || history[0].Size != 0 {
		t.Errorf("history without changes: %v (%v)", history, err)
	}
	noStaging(t, e)
}

func TestCommitRefuses(t *testing.T) {
	e := newEngine(t)
	ctx := context.Background()
	for _, c := range []struct {
		name  string
		tar   io.Reader
		opts  backend.ImageCommit
		class func(error) bool
		text  string
	}{
		{"a change that runs something", tarOf(t, "a"), backend.ImageCommit{Changes: []string{"RUN true"}}, errdefs.IsInvalidArgument, "RUN is not a valid change command"},
		{"a change that is broken", tarOf(t, "a"), backend.ImageCommit{Changes: []string{"ENV"}}, errdefs.IsInvalidArgument, "ENV"},
		{"a port that is none", tarOf(t, "a"), backend.ImageCommit{Changes: []string{"EXPOSE many"}}, errdefs.IsInvalidArgument, "invalid containerPort: many"},
		{"a parent that is not there", tarOf(t, "a"), backend.ImageCommit{Parent: "sha256:" + strings.Repeat("0", 64)}, errdefs.IsNotFound, "No such image"},
		{"no archive", strings.NewReader(strings.Repeat("no archive ", 100)), backend.ImageCommit{}, errdefs.IsInvalidArgument, "failed to register layer"},
	} {
		_, err := e.Commit(ctx, c.tar, c.opts)
		if err == nil || !c.class(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %q", c.name, err, c.text)
		}
	}
	list, err := e.List(ctx, backend.ImageList{All: true})
	if err != nil || len(list) != 0 {
		t.Errorf("images afterwards: %v (%v)", list, err)
	}
	noStaging(t, e)
}
