package image_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	images "github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/tests/registry"
)

// containers stands for the module that knows containers.
type containers map[string][]images.User

func (c containers) ImageUsers(_ context.Context, id string) ([]images.User, error) {
	return c[id], nil
}

func (c containers) AllImageUsers(context.Context) (map[string][]images.User, error) { return c, nil }

func words(records []image.DeleteResponse) string {
	var out []string
	for _, r := range records {
		if r.Untagged != "" {
			out = append(out, "Untagged: "+r.Untagged)
		} else {
			out = append(out, "Deleted: "+r.Deleted)
		}
	}
	return strings.Join(out, "\n")
}

func TestRemove(t *testing.T) {
	ctx := context.Background()
	r := startRegistry(t, registry.Options{})
	digest := push(t, r, "library/demo", "latest", small(t, 3, ""))
	push(t, r, "library/demo", "other", small(t, 3, "other"))
	users := containers{}
	e := newEngine(t, func(o *images.Options) { o.Users = users })
	name := r.Addr + "/library/demo"
	for _, tag := range []string{":latest", ":other"} {
		_, err := e.pull(name + tag)
		must(t, err)
	}
	got, err := e.Inspect(ctx, name, nil)
	must(t, err)
	id := got.ID
	short := strings.TrimPrefix(id, "sha256:")[:12]
	must(t, e.Tag(ctx, name, "copy", ""))

	_, err = e.Remove(ctx, short, backend.ImageRemove{})
	wantError(t, err, errdefs.IsConflict, "conflict: unable to delete "+short+" (must be forced) - image is referenced in multiple repositories")

	removed, err := e.Remove(ctx, "copy", backend.ImageRemove{})
	must(t, err)
	if words(removed) != "Untagged: copy:latest" {
		t.Errorf("a further name: %s", words(removed))
	}

	users[id] = []images.User{{ID: "0123456789abcdef"}}
	_, err = e.Remove(ctx, name, backend.ImageRemove{})
	wantError(t, err, errdefs.IsConflict, `conflict: unable to remove repository reference "`+name+`" (must force) - container 0123456789ab is using its referenced image `+short)
	_, err = e.Remove(ctx, short, backend.ImageRemove{})
	wantError(t, err, errdefs.IsConflict, "conflict: unable to delete "+short+" (must be forced) - image is being used by stopped container 0123456789ab")
	users[id][0].Running = true
	_, err = e.Remove(ctx, short, backend.ImageRemove{Force: true})
	wantError(t, err, errdefs.IsConflict, "conflict: unable to delete "+short+" (cannot be forced) - image is being used by running container 0123456789ab")
	delete(users, id)

	removed, err = e.Remove(ctx, name, backend.ImageRemove{})
	must(t, err)
	want := "Untagged: " + name + ":latest\nUntagged: " + name + "@" + digest + "\nDeleted: " + id + "\nDeleted: sha256:"
	if got := words(removed); !strings.HasPrefix(got, want) || strings.Count(got, "Deleted") != 2 {
		t.Errorf("the last name:\n%s\nwant it to begin with\n%s", got, want)
	}
	_, err = e.Remove(ctx, name, backend.ImageRemove{Force: true})
	wantError(t, err, errdefs.IsNotFound, "No such image: "+name+":latest")
	_, err = e.Remove(ctx, short, backend.ImageRemove{Force: true})
	wantError(t, err, errdefs.IsNotFound, "No such image: "+short+":latest")
}

func TestCollectFreesOnlyWhatNobodyNeeds(t *testing.T) {
	ctx := context.Background()
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 3, ""))
	push(t, r, "library/demo", "other", small(t, 3, "other"))
	users := containers{}
	e := newEngine(t, func(o *images.Options) { o.Users = users })
	name := r.Addr + "/library/demo"
	for _, tag := range []string{":latest", ":other"} {
		_, err := e.pull(name + tag)
		must(t, err)
	}
	root, err := e.Rootfs(ctx, name, nil)
	must(t, err)
	_, err = e.Remove(ctx, name, backend.ImageRemove{})
	must(t, err)

	users[root.ImageID] = []images.User{{ID: "stopped"}}
	collect(t, e, 0) // a container was made from it
	delete(users, root.ImageID)
	lease, err := e.Lease(ctx)
	must(t, err)
	collect(t, e, 0) // one may be made right now
	must(t, lease.Close())
	collect(t, e, 1) // two of three layers are the other image's

	if _, err := os.Stat(root.LowerDirs[0]); !os.IsNotExist(err) {
		t.Errorf("the removed image's own layer is still there: %v", err)
	}
	other, err := e.Rootfs(ctx, name+":other", nil)
	must(t, err)
	for i, dir := range other.LowerDirs {
		if _, err := os.Stat(filepath.Join(dir, "etc")); err != nil {
			t.Errorf("layer %d of the other image: %v", i, err)
		}
	}
	_, err = e.pull(name)
	must(t, err)
}

func collect(t *testing.T, e *engine, want int) {
	t.Helper()
	n, err := e.Collect(context.Background(), 0)
	must(t, err)
	if n != want {
		t.Errorf("collected %d layers, want %d", n, want)
	}
}

func wantError(t *testing.T, err error, class func(error) bool, text string) {
	t.Helper()
	if err == nil || err.Error() != text || !class(err) {
		t.Errorf("error %q (%T), want %q of the right class", err, err, text)
	}
}

// A platform that is asked for must be the image's, for removing as for looking.
func TestRemoveOfAPlatform(t *testing.T) {
	ctx := context.Background()
	e := newEngine(t)
	_, err := e.load(bytes.NewReader(dockerArchive(t)))
	must(t, err)
	arm := []ocispec.Platform{{OS: "linux", Architecture: "arm64"}}
	_, err = e.Remove(ctx, "old/a:1", backend.ImageRemove{Platforms: arm})
	if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "does not match the specified platform (linux/arm64)") {
		t.Errorf("another platform: %v", err)
	}
	e.id(t, "old/a:1")
	removed, err := e.Remove(ctx, "old/a:1", backend.ImageRemove{Platforms: append(arm, ocispec.Platform{OS: "linux", Architecture: "amd64"})})
	if err != nil || words(removed) != "Untagged: old/a:1" {
		t.Errorf("removed %v (%v)", removed, err)
	}
}
