package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/mirror"
	"github.com/nacre-sh/nacre/tests/registry"
)

// A registry that nobody can reach is pulled from through its mirror, which
// speaks plain HTTP, and the name of the image stays the registry's.
func TestPullThroughAMirror(t *testing.T) {
	r, err := registry.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	content, err := registry.Pack(registry.Text("hello", "world"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Push(t.Context(), r.Addr, "team/app", "1", registry.New("amd64", content)); err != nil {
		t.Fatal(err)
	}
	e := open(t, Options{})
	mirrors := &mirror.Mirrors{File: mirror.File{Path: e.store.Paths.Mirrors()}, TempDir: e.store.Paths.Temp()}
	if err := mirrors.MirrorAdd(t.Context(), backend.Mirror{Registry: "registry.invalid", URL: "http://" + r.Addr, Name: "near", Enabled: true}); err != nil {
		t.Fatal(err)
	}
	c := memoryClient(t, e)
	const name = "registry.invalid/team/app:1"
	var said []string
	answer, err := c.ImagePull(t.Context(), name, client.ImagePullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for m, err := range answer.JSONMessages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, statusOf(m))
	}
	if !slices.Contains(said, "Served by mirror near") {
		t.Errorf("the pull said:\n%s", strings.Join(said, "\n"))
	}
	list, err := c.ImageList(t.Context(), client.ImageListOptions{})
	if err != nil || len(list.Items) != 1 || !slices.Equal(list.Items[0].RepoTags, []string{name}) {
		t.Errorf("images: %+v (%v)", list.Items, err)
	}
}

func statusOf(m jsonstream.Message) string { return m.Status }
