package trash

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
)

func TestSettings(t *testing.T) {
	f := &File{Path: filepath.Join(t.TempDir(), "trash.json")}
	if s, err := f.Load(); err != nil || s != Default {
		t.Errorf("without a file: %+v, %v", s, err)
	}
	want := Settings{Keep: time.Hour, Size: "2GB"}
	if err := f.Save(want); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Load(); err != nil || s != want || s.Limit(5) != 2e9 {
		t.Errorf("saved: %+v, %v", s, err)
	}
	if got := (Settings{Size: "12.5%"}).Limit(800); got != 100 {
		t.Errorf("an eighth of 800 bytes is %d", got)
	}
	for _, off := range []Settings{{Size: "10%"}, {Keep: time.Hour, Size: "0"}} {
		if !off.Off() {
			t.Errorf("%+v is not off", off)
		}
	}
	for _, bad := range []Settings{{Keep: -1, Size: "1"}, {Size: "lots"}, {Size: "101%"}, {Size: "NaN%"}, {Size: "-1%"}, {Size: ""}} {
		if err := f.Save(bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := os.WriteFile(f.Path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Load(); err == nil {
		t.Errorf("a broken file counts as %+v", s)
	}
}

// shelf is a part that remembers.
type shelf struct {
	items []backend.TrashItem
	log   *[]string
}

func (s *shelf) TrashItems(context.Context) ([]backend.TrashItem, error) { return s.items, nil }
func (s *shelf) TrashWaits(context.Context) (bool, error)                { return len(s.items) > 0, nil }
func (s *shelf) TrashMeasure(context.Context) error                      { return nil }

func (s *shelf) TrashRestore(_ context.Context, pick func(backend.TrashItem) bool) (done []backend.Restored, err error) {
	s.items = slices.DeleteFunc(s.items, func(i backend.TrashItem) bool {
		if pick(i) {
			*s.log = append(*s.log, "restore "+i.ID)
			done = append(done, backend.Restored{Item: i, Back: true})
		}
		return pick(i)
	})
	return done, nil
}

func (s *shelf) TrashErase(_ context.Context, pick func(backend.TrashItem) bool) error {
	s.items = slices.DeleteFunc(s.items, func(i backend.TrashItem) bool {
		if pick(i) {
			*s.log = append(*s.log, "erase "+i.ID)
		}
		return pick(i)
	})
	return nil
}

func bin(t *testing.T, keep time.Duration, size string, parts ...Part) *Bin {
	t.Helper()
	f := &File{Path: filepath.Join(t.TempDir(), "trash.json")}
	if err := f.Save(Settings{Keep: keep, Size: size}); err != nil {
		t.Fatal(err)
	}
	return &Bin{Settings: f, Dir: t.TempDir(), Parts: parts, Shared: func(context.Context) (int64, error) { return 0, nil }, Kick: func() {}}
}

func item(id, operation string, age time.Duration, size int64) backend.TrashItem {
	return backend.TrashItem{Kind: backend.TrashVolume, ID: id, Names: []string{id}, Operation: operation, RemovedAt: time.Now().Add(-age), Bytes: size}
}

func TestUndoTakesBackOneCommandAcrossParts(t *testing.T) {
	var log []string
	volumes := &shelf{log: &log, items: []backend.TrashItem{item("v-old", "first", time.Minute, 1), item("v-new", "second", time.Second, 1)}}
	containers := &shelf{log: &log, items: []backend.TrashItem{item("c-new", "second", 2*time.Second, 1)}}
	b := bin(t, time.Hour, "1GB", volumes, containers)
	for _, want := range [][]string{{"restore v-new", "restore c-new"}, {"restore v-old"}} {
		log = nil
		if _, err := b.Undo(t.Context(), nil); err != nil || !slices.Equal(log, want) {
			t.Errorf("undo: %v, %v, want %v", log, err, want)
		}
	}
	if _, err := b.Undo(t.Context(), nil); !errdefs.IsNotFound(err) {
		t.Errorf("an empty trash: %v", err)
	}
}

// After the clock was set back, what was removed before has a time that is still to come.
func TestClockSetBack(t *testing.T) {
	var log []string
	s := &shelf{log: &log, items: []backend.TrashItem{item("before", "first", -time.Hour, 30), item("since", "second", time.Second, 30), item("overdue", "third", 2*time.Hour, 30)}}
	b := bin(t, time.Hour, "40B", s)
	if _, err := b.Undo(t.Context(), nil); err != nil || !slices.Equal(log, []string{"restore since"}) {
		t.Errorf("undo: %v, %v", log, err)
	}
	log = nil
	s.items = append(s.items, item("since", "second", time.Second, 30))
	if _, err := b.Expire(t.Context()); err != nil || !slices.Equal(log, []string{"erase overdue", "erase before"}) {
		t.Errorf("erased %v, %v", log, err)
	}
}

func TestUndoByName(t *testing.T) {
	var log []string
	s := &shelf{log: &log, items: []backend.TrashItem{item("one", "a", time.Minute, 1), item("two", "b", time.Second, 1)}}
	b := bin(t, time.Hour, "1GB", s)
	if _, err := b.Undo(t.Context(), []string{"one", "three"}); !errdefs.IsNotFound(err) || len(log) > 0 {
		t.Errorf("one that is not there: %v, %v", err, log)
	}
	if _, err := b.Undo(t.Context(), []string{"one"}); err != nil || !slices.Equal(log, []string{"restore one"}) {
		t.Errorf("undo one: %v, %v", log, err)
	}
}

func TestExpire(t *testing.T) {
	for name, c := range map[string]struct {
		keep time.Duration
		size string
		want []string
	}{
		"nothing is due":                  {time.Hour, "100B", nil},
		"what has waited long enough":     {5 * time.Minute, "100B", []string{"erase c", "erase old"}},
		"the oldest command for the size": {time.Hour, "40B", []string{"erase c", "erase old"}},
		"everything":                      {time.Hour, "5B", []string{"erase c", "erase old", "erase new"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log []string
			volumes := &shelf{log: &log, items: []backend.TrashItem{item("old", "first", 10*time.Minute, 30), item("new", "second", time.Second, 30)}}
			containers := &shelf{log: &log, items: []backend.TrashItem{item("c", "first", 10*time.Minute, 30)}}
			b := bin(t, c.keep, c.size, volumes, containers)
			next, err := b.Expire(t.Context())
			if err != nil || !slices.Equal(log, c.want) {
				t.Errorf("erased %v, %v, want %v", log, err, c.want)
			}
			if left := len(volumes.items) + len(containers.items); next.IsZero() != (left == 0) {
				t.Errorf("%d items left, next look at %v", left, next)
			}
		})
	}
}
