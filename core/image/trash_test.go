package image_test

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
	images "github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/trash"
	"github.com/nacre-sh/nacre/tests/registry"
)

func everything(backend.TrashItem) bool { return true }

// withTrash is an engine whose removed images wait, with two images that share layers.
func withTrash(t *testing.T) (*engine, string) {
	t.Helper()
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 3, ""))
	push(t, r, "library/demo", "other", small(t, 3, "other"))
	settings := t.TempDir() + "/trash.json"
	e := newEngine(t, func(o *images.Options) { o.Settings = &trash.File{Path: settings} })
	name := r.Addr + "/library/demo"
	for _, tag := range []string{":latest", ":other"} {
		_, err := e.pull(name + tag)
		must(t, err)
	}
	return e, name
}

func TestRemovedImagesComeBack(t *testing.T) {
	ctx := context.Background()
	e, name := withTrash(t)
	before, err := e.Inspect(ctx, name, nil)
	must(t, err)
	_, err = e.Remove(ctx, name, backend.ImageRemove{})
	must(t, err)
	collect(t, e, 0)
	items, err := e.TrashItems(ctx)
	must(t, err)
	if len(items) != 1 || items[0].ID != before.ID || items[0].Bytes == 0 || items[0].Bytes >= before.Size {
		t.Fatalf("trash: %+v of an image of %d bytes that shares layers", items, before.Size)
	}
	if size, err := e.TrashBytes(ctx); err != nil || size != items[0].Bytes {
		t.Errorf("trash of %d bytes, %v, want %d", size, err, items[0].Bytes)
	}
	done, err := e.TrashRestore(ctx, everything)
	must(t, err)
	if len(done) != 1 || !done[0].Back || done[0].Note != "" {
		t.Errorf("restored: %+v", done)
	}
	after, err := e.Inspect(ctx, name, nil)
	must(t, err)
	if after.ID != before.ID || !slices.Equal(after.RepoTags, before.RepoTags) || !slices.Equal(after.RepoDigests, before.RepoDigests) {
		t.Errorf("came back as %+v, was %+v", after, before)
	}
	if items, err := e.TrashItems(ctx); err != nil || len(items) > 0 {
		t.Errorf("left in the trash: %+v, %v", items, err)
	}
}

func TestErasedImagesAreFreed(t *testing.T) {
	ctx := context.Background()
	e, name := withTrash(t)
	root, err := e.Rootfs(ctx, name, nil)
	must(t, err)
	_, err = e.Remove(ctx, name, backend.ImageRemove{})
	must(t, err)
	must(t, e.TrashErase(ctx, everything))
	if done, err := e.TrashRestore(ctx, everything); err != nil || len(done) > 0 {
		t.Errorf("restored what is erased: %+v, %v", done, err)
	}
	collect(t, e, 1)
	if _, err := os.Stat(root.LowerDirs[0]); !os.IsNotExist(err) {
		t.Errorf("the erased image's own layer is still there: %v", err)
	}
	if some, err := e.Pending(ctx); err != nil || some {
		t.Errorf("something is left to free: %v, %v", some, err)
	}
	if _, err := e.pull(name); err != nil {
		t.Error(err)
	}
	_, err = e.Remove(backend.WithoutTrash(ctx), name, backend.ImageRemove{})
	must(t, err)
	if items, err := e.TrashItems(ctx); err != nil || len(items) > 0 {
		t.Errorf("waits although it was not to: %+v, %v", items, err)
	}
}

// A layer whose files have been freed while the layer store still has it on
// record is made anew by the next pull.
func TestAStaleRecordIsNoLayer(t *testing.T) {
	ctx := context.Background()
	e, name := withTrash(t)
	root, err := e.Rootfs(ctx, name, nil)
	must(t, err)
	_, err = e.Remove(backend.WithoutTrash(ctx), name, backend.ImageRemove{})
	must(t, err)
	stopped, cancel := context.WithCancel(ctx)
	cancel() // after the files, before the records
	if _, err := e.Collect(stopped, 0); err != nil && stopped.Err() == nil {
		t.Fatal(err)
	}
	_, err = e.Collect(ctx, 1)
	must(t, err)
	_, err = e.pull(name)
	must(t, err)
	if _, err := os.Stat(root.LowerDirs[0]); err != nil {
		t.Errorf("the layer that was pulled again: %v", err)
	}
	_, err = e.Collect(ctx, 0)
	must(t, err)
	if _, err := os.Stat(root.LowerDirs[0]); err != nil {
		t.Errorf("the collector took the new layer for the old one: %v", err)
	}
}

func TestPlansSayWhatRemovalsDo(t *testing.T) {
	ctx := context.Background()
	e, name := withTrash(t)
	plan, err := e.Plan(ctx, []string{name, name + ":other", name}, backend.ImageRemove{Force: true})
	must(t, err)
	if len(plan.Errors) != 1 || plan.Failed {
		t.Errorf("the third name is gone by then, and force takes that lightly: %+v", plan)
	}
	all, err := e.LayersSize(ctx)
	must(t, err)
	if plan.Bytes != uint64(all) {
		t.Errorf("would free %d bytes, all layers have %d", plan.Bytes, all)
	}
	pruned, err := e.PlanPrune(ctx, filter.Args{"dangling": {"false"}}, nil)
	must(t, err)
	if pruned.Bytes != plan.Bytes {
		t.Errorf("prune would free %d bytes, want %d", pruned.Bytes, plan.Bytes)
	}
	if _, err := e.Inspect(ctx, name, nil); err != nil {
		t.Errorf("a plan removed something: %v", err)
	}
	done, err := e.RemoveMany(ctx, []string{name, "nope", name + ":other"}, backend.ImageRemove{})
	must(t, err)
	var lines []string
	for _, one := range done {
		for _, d := range one.Items {
			if d.Untagged != "" {
				lines = append(lines, "Untagged: "+d.Untagged)
			} else {
				lines = append(lines, "Deleted: "+d.Deleted)
			}
		}
	}
	if !slices.Equal(lines, plan.Lines) {
		t.Errorf("removed\n%v\nplanned\n%v", lines, plan.Lines)
	}
	if !errdefs.IsNotFound(done[1].Err) {
		t.Errorf("an unknown name: %v", done[1].Err)
	}
}
