package volume

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/moby/api/types/volume"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/trash"
)

func all(backend.TrashItem) bool { return true }

// withTrash is a store whose removed volumes wait.
func withTrash(t *testing.T) *Volumes {
	t.Helper()
	v := newVolumes(t)
	v.settings = &trash.File{Path: v.store.Paths.TrashSettings()}
	return v
}

func TestRemovedVolumesComeBack(t *testing.T) {
	v := withTrash(t)
	made, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "db", Labels: map[string]string{"team": "a"}})
	check(t, err)
	file := filepath.Join(made.Mountpoint, "row")
	check(t, os.WriteFile(file, []byte("1"), 0o600))
	check(t, v.VolumeRemove(t.Context(), "db", false))
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the removed volume's files are still in place: %v", err)
	}
	check(t, v.TrashMeasure(t.Context()))
	items, err := v.TrashItems(t.Context())
	if err != nil || len(items) != 1 || items[0].ID != "db" || items[0].Bytes != 1 {
		t.Fatalf("trash: %+v, %v", items, err)
	}

	// The name is free at once, and then taken.
	_, err = v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "db"})
	check(t, err)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a new volume holds the removed one's files")
	}
	done, err := v.TrashRestore(t.Context(), all)
	if err != nil || len(done) != 1 || done[0].Back || done[0].Note == "" {
		t.Errorf("restore over a new volume: %+v, %v", done, err)
	}
	check(t, v.VolumeRemove(t.Context(), "db", false))
	check(t, v.TrashErase(t.Context(), func(i backend.TrashItem) bool { return i.RemovedAt.After(items[0].RemovedAt) }))

	done, err = v.TrashRestore(t.Context(), all)
	if err != nil || len(done) != 1 || !done[0].Back {
		t.Fatalf("restore: %+v, %v", done, err)
	}
	if raw, err := os.ReadFile(file); err != nil || string(raw) != "1" {
		t.Errorf("the file came back as %q, %v", raw, err)
	}
	if back, err := v.VolumeInspect(t.Context(), "db"); err != nil || back.Labels["team"] != "a" || back.CreatedAt != made.CreatedAt {
		t.Errorf("came back as %+v, %v", back, err)
	}
}

// A removal that dies right after its transaction has left the files in
// place; neither a new volume of that name nor an undo may mix them up.
func TestARemovalThatWasKilledIsFinished(t *testing.T) {
	for name, next := range map[string]func(*testing.T, *Volumes){
		"by a new volume": func(t *testing.T, v *Volumes) {
			made, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "db"})
			check(t, err)
			if left, err := os.ReadDir(made.Mountpoint); err != nil || len(left) > 0 {
				t.Errorf("the new volume holds %v, %v", left, err)
			}
			check(t, v.VolumeRemove(t.Context(), "db", false))
			check(t, v.TrashErase(t.Context(), all))
			if left, err := os.ReadDir(v.store.Paths.Volumes()); err != nil || len(left) > 0 {
				t.Errorf("left after all was erased: %v, %v", left, err)
			}
		},
		"by an undo": func(t *testing.T, v *Volumes) {
			done, err := v.TrashRestore(t.Context(), all)
			if err != nil || len(done) != 1 || !done[0].Back {
				t.Fatalf("restore: %+v, %v", done, err)
			}
			if _, err := os.Stat(filepath.Join(v.mountpoint("db"), "row")); err != nil {
				t.Error(err)
			}
		},
		"by the collector": func(t *testing.T, v *Volumes) {
			check(t, v.TrashErase(t.Context(), all))
			if left, err := os.ReadDir(v.store.Paths.Volumes()); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
			if list := names(t, v, filter.Args{}); len(list) > 0 {
				t.Errorf("volumes left: %v", list)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := withTrash(t)
			made, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "db"})
			check(t, err)
			check(t, os.WriteFile(filepath.Join(made.Mountpoint, "row"), nil, 0o600))
			check(t, v.transaction(t.Context(), func(tx *sql.Tx) error {
				r, err := removable(t.Context(), tx, "db")
				check(t, err)
				_, err = v.remove(t.Context(), tx, r)
				return err
			}))
			next(t, v)
		})
	}
}
