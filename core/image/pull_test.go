package image_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/jsonstream"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/tests/registry"
)

func TestPullListInspectRun(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	digest := push(t, r, "library/demo", "latest", small(t, 3, ""))
	e := newEngine(t)
	name := r.Addr + "/library/demo"

	lines, err := e.pull(name)
	must(t, err)
	if lines[0] != "latest: Pulling from library/demo" || count(lines, ": Pull complete") != 3 {
		t.Errorf("progress:\n%s", strings.Join(lines, "\n"))
	}
	want := []string{"Digest: " + digest, "Status: Downloaded newer image for " + name + ":latest"}
	if got := lines[len(lines)-2:]; !slices.Equal(got, want) {
		t.Errorf("the end of the progress is %q, want %q", got, want)
	}

	list, err := e.List(context.Background(), backend.ImageList{})
	must(t, err)
	if len(list) != 1 || !slices.Equal(list[0].RepoTags, []string{name + ":latest"}) || !slices.Equal(list[0].RepoDigests, []string{name + "@" + digest}) {
		t.Fatalf("list: %+v", list)
	}
	root, err := e.Rootfs(context.Background(), name, nil)
	must(t, err)
	if len(root.LowerDirs) != 3 || root.ImageID != list[0].ID || !slices.Equal(root.Config.Cmd, []string{"sh"}) {
		t.Errorf("rootfs: %+v", root)
	}
	content, err := os.ReadFile(filepath.Join(root.LowerDirs[0], "etc/file2"))
	if string(content) != "layer 2" {
		t.Errorf("the top layer holds %q (%v)", content, err)
	}

	lines, err = e.pull(name)
	must(t, err)
	if got := lines[len(lines)-1]; got != "Status: Image is up to date for "+name+":latest" {
		t.Errorf("the second pull ended with %q", got)
	}
}

// TestLayersKeepTheirLine: docker's client writes a layer's status over its line
// when it comes with progress, be it empty; all else is a line of its own.
func TestLayersKeepTheirLine(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 3, ""))
	layers := 0
	_, err := newEngine(t).pull(r.Addr+"/library/demo", func(p *backend.Pull) {
		p.Progress = func(m jsonstream.Message) {
			layer := m.ID != "" && m.ID != "latest"
			if layer != (m.Progress != nil) {
				t.Errorf("%+v", m)
			}
			if layer {
				layers++
			}
		}
	})
	must(t, err)
	if layers < 6 {
		t.Errorf("only %d messages of three layers", layers)
	}
}
