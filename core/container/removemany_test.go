package container

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
)

func TestRemoveMany(t *testing.T) {
	for _, name := range []string{"with trash", "without"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			m := b.open()
			if name == "with trash" {
				m = b.openWithTrash()
			}
			b.create(m, "first", nil, "true")
			second := b.create(m, "second", nil, "true")
			third := b.create(m, "third", nil, "true")
			locked := b.create(m, "locked", nil, "true")
			b.run(m, "busy", nil, "sleep", "1000")

			unlock, err := m.tryLock(locked)
			b.must(err)
			if again, err := m.tryLock(locked); err != nil || again != nil {
				t.Fatalf("a lock was taken twice: %v", err)
			}
			names := []string{"/first", second[:12], "nope", third, "busy", third, "locked"}
			results := m.RemoveMany(t.Context(), names, backend.ContainerRemove{})
			unlock() // its removal has been waiting for that, those of the others have not
			for i, refused := range []func(error) bool{isNil, isNil, errdefs.IsNotFound, isNil, errdefs.IsConflict, errdefs.IsNotFound, isNil} {
				if err := <-results[i]; !refused(err) {
					t.Errorf("removing %s: %v", names[i], err)
				}
			}
			for _, gone := range []string{"first", second, third, "locked"} {
				if _, err := m.find(t.Context(), gone); !errdefs.IsNotFound(err) {
					t.Errorf("%s is there: %v", gone, err)
				}
			}
			for i, err := range m.RemoveMany(t.Context(), []string{"busy", "busy"}, backend.ContainerRemove{Force: true}) {
				if err := <-err; err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
					t.Errorf("removing it by force, %d: %v", i, err)
				}
			}
			if _, err := m.find(t.Context(), "busy"); !errdefs.IsNotFound(err) {
				t.Errorf("the running one is there: %v", err)
			}
			if n := strings.Count(strings.Join(b.events.seen, " "), "destroy"); n != 5 {
				t.Errorf("%d containers were destroyed", n)
			}

			items, err := m.TrashItems(t.Context())
			b.must(err)
			if name == "without" {
				if len(items) != 0 {
					t.Errorf("in the trash: %+v", items)
				}
				return
			}
			operations := map[string]int{}
			for _, item := range items {
				operations[item.Operation]++
			}
			if len(items) != 5 || len(operations) != 2 {
				t.Errorf("in the trash: %+v", items)
			}
			done, err := m.TrashRestore(t.Context(), everything)
			if err != nil || len(done) != 5 {
				t.Errorf("restored %+v, %v", done, err)
			}
			deleted, _, err := m.Prune(t.Context(), nil)
			if err != nil || len(deleted) != 5 {
				t.Errorf("pruned %v, %v", deleted, err)
			}
		})
	}
}

func isNil(err error) bool { return err == nil }

func TestPickID(t *testing.T) {
	all := []string{"aa11", "ab22", "ab23", "cc"}
	named := map[string]string{"web": "cc", "aa": "ab22"}
	for name, want := range map[string]string{"aa11": "aa11", "web": "cc", "aa": "ab22", "aa1": "aa11", "ab2": "", "ab23": "ab23", "": "", "x": "", "c": "cc", "d": ""} {
		if got := pickID(all, named, name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// joined are networks that only one container has addresses of; who was let go is remembered.
type joined struct {
	Networks
	id   string
	left []string
}

func (j *joined) Connected(context.Context) (map[string]bool, error) {
	return map[string]bool{j.id: true}, nil
}

func (j *joined) Disconnect(_ context.Context, id string) error {
	j.left = append(j.left, id)
	return nil
}

// Only a container with addresses has to let go of them, and until it has, the trash says so.
func TestOnlyWhatIsConnectedIsDisconnected(t *testing.T) {
	b := newBench(t)
	m := b.openWithTrash()
	ids := []string{b.create(m, "idle", nil, "true"), b.create(m, "connected", nil, "true"), b.create(m, "other", nil, "true")}
	m.tasks.Wait() // the sweep looks at the networks, too
	nets := &joined{Networks: m.networks, id: ids[1]}
	m.networks = nets
	for i, err := range m.RemoveMany(t.Context(), ids, backend.ContainerRemove{}) {
		if err := <-err; err != nil {
			t.Error(ids[i], err)
		}
	}
	if !slices.Equal(nets.left, ids[1:2]) {
		t.Errorf("disconnected %q, want %q", nets.left, ids[1:2])
	}
	var held int
	b.must(b.st.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM container_trash WHERE aside = 0`).Scan(&held))
	if held != 0 {
		t.Errorf("%d containers still hold something", held)
	}
}
