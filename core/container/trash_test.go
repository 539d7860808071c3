package container

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/trash"
)

func everything(backend.TrashItem) bool { return true }

// openWithTrash is open with removed containers that wait.
func (b *bench) openWithTrash() *Module {
	m := b.open()
	m.settings = &trash.File{Path: filepath.Join(b.TempDir(), "trash.json")}
	return m
}

func TestRemovedContainersComeBack(t *testing.T) {
	b := newBench(t)
	m := b.openWithTrash()
	id := b.create(m, "web", nil, "sh", "-c", "echo kept >/file; exit 3")
	ended, err := m.Wait(t.Context(), id, container.WaitConditionNextExit) // before the start: it may end at once
	b.must(err)
	b.must(m.Start(t.Context(), id, ""))
	b.result(ended)
	b.must(m.Remove(t.Context(), "web", backend.ContainerRemove{}))
	if _, err := m.find(t.Context(), id); !errdefs.IsNotFound(err) {
		t.Errorf("a removed container is found: %v", err)
	}
	if uses, err := m.ImageUsers(t.Context(), "sha256:"); err != nil || len(uses) > 0 {
		t.Errorf("a removed container uses its image: %v, %v", uses, err)
	}
	b.must(m.TrashMeasure(t.Context()))
	items, err := m.TrashItems(t.Context())
	if err != nil || len(items) != 1 || items[0].ID != id || items[0].Names[0] != "web" || items[0].Bytes <= 0 {
		t.Fatalf("trash: %+v, %v", items, err)
	}
	m.sweep()                                // finishes only what does not wait
	other := b.create(m, "web", nil, "true") // the name is free

	done, err := m.TrashRestore(t.Context(), everything)
	if err != nil || len(done) != 1 || !done[0].Back || done[0].Note == "" {
		t.Fatalf("restore: %+v, %v", done, err)
	}
	l, err := m.lookUp(t.Context(), "web-undone")
	b.must(err)
	if l.ID != id || l.now != exited || l.ExitCode != 3 {
		t.Errorf("came back as %s, %s with %d", l.ID, l.now, l.ExitCode)
	}
	if content, err := os.ReadFile(filepath.Join(m.paths.Container(id), upperDir, "file")); err != nil || string(content) != "kept\n" {
		t.Errorf("what it had written: %q, %v", content, err)
	}
	b.must(m.Start(t.Context(), id, ""))
	b.must(m.Remove(t.Context(), other, backend.ContainerRemove{}))
	b.must(m.Remove(t.Context(), id, backend.ContainerRemove{Force: true}))
	b.must(m.TrashErase(t.Context(), everything))
	if left, err := os.ReadDir(m.paths.Containers()); err != nil || len(left) > 0 {
		t.Errorf("folders left after all was erased: %v, %v", left, err)
	}
}

func TestWhatDoesNotWait(t *testing.T) {
	b := newBench(t)
	m := b.openWithTrash()
	b.must(m.Remove(t.Context(), b.create(m, "brief", &container.HostConfig{AutoRemove: true}, "true"), backend.ContainerRemove{}))
	b.must(m.Remove(backend.WithoutTrash(t.Context()), b.create(m, "now", nil, "true"), backend.ContainerRemove{}))
	b.must(m.settings.Save(trash.Settings{Size: "10%"}))
	b.must(m.Remove(t.Context(), b.create(m, "off", nil, "true"), backend.ContainerRemove{}))
	if items, err := m.TrashItems(t.Context()); err != nil || len(items) > 0 {
		t.Errorf("trash: %+v, %v", items, err)
	}
}

// A removal that dies after its mark has its volumes let go of by the next sweep.
func TestAKilledRemovalLetsGoOfItsVolumes(t *testing.T) {
	b := newBench(t)
	m := b.openWithTrash()
	id := b.create(m, "half", &container.HostConfig{Binds: []string{"data:/data"}}, "true")
	r, err := m.byID(t.Context(), id)
	b.must(err)
	l := &leaving{record: r, waits: true, held: true}
	if err := m.markRemoving(t.Context(), l); err != nil || !l.marked {
		t.Fatal(l.marked, err)
	}
	if len(b.volumes.users["data"]) != 1 {
		t.Fatalf("users before the sweep: %v", b.volumes.users)
	}
	b.open().sweep()
	if len(b.volumes.users["data"]) != 0 {
		t.Errorf("users after the sweep: %v", b.volumes.users)
	}
	done, err := m.TrashRestore(context.Background(), everything)
	if err != nil || len(done) != 1 || !done[0].Back {
		t.Errorf("restore: %+v, %v", done, err)
	}
}

func TestPlansOfContainers(t *testing.T) {
	b := newBench(t)
	m := b.open()
	b.run(m, "busy", nil, "sleep", "1000")
	b.create(m, "idle", nil, "true")
	plan, leaving, err := m.Plan(t.Context(), []string{"idle", "busy", "idle", "nope"}, backend.ContainerRemove{})
	if err != nil || len(plan.Lines) != 1 || len(leaving) != 1 || len(plan.Errors) != 3 || !plan.Failed {
		t.Errorf("plan: %+v, %v", plan, err)
	}
	plan, _, err = m.Plan(t.Context(), []string{"busy", "nope"}, backend.ContainerRemove{Force: true})
	if err != nil || len(plan.Lines) != 1 || plan.Failed {
		t.Errorf("forced plan: %+v, %v", plan, err)
	}
	if plan, leaving, err = m.PlanPrune(t.Context(), nil); err != nil || len(plan.Lines) != 1 || len(leaving) != 1 {
		t.Errorf("prune: %+v, %v", plan, err)
	}
	if list, err := m.List(t.Context(), backend.ContainerList{All: true}); err != nil || len(list) != 2 {
		t.Errorf("a plan removed something: %v, %v", list, err)
	}
}
