package trash

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
)

// Part is one module's share of the trash. Each of its methods may be called
// by many processes at once and after a crash at any step.
type Part interface {
	// TrashItems lists what waits. Measured items have their bytes.
	TrashItems(ctx context.Context) ([]backend.TrashItem, error)
	// TrashWaits says whether anything waits, for whoever wants no list.
	TrashWaits(ctx context.Context) (bool, error)
	// TrashMeasure measures what has not been measured, in the background.
	TrashMeasure(ctx context.Context) error
	// TrashRestore brings the items that are picked back, or says why not.
	TrashRestore(ctx context.Context, pick func(backend.TrashItem) bool) ([]backend.Restored, error)
	// TrashErase ends the waiting of the items that are picked.
	TrashErase(ctx context.Context, pick func(backend.TrashItem) bool) error
}

// Bin is the trash of one engine. Parts are restored in their order, erased in
// the reverse: a container needs its volumes and its image.
type Bin struct {
	Settings *File
	Dir      string // on the disk whose free space counts
	Parts    []Part
	Shared   func(ctx context.Context) (int64, error) // bytes of all waiting images, shared layers once
	Kick     func()                                   // wakes whoever frees what was erased
}

// Look lists what waits, the newest first.
func (b *Bin) Look(ctx context.Context) (t backend.Trash, err error) {
	s, err := b.Settings.Load()
	if err != nil {
		return t, err
	}
	free, err := FreeSpace(b.Dir)
	if err != nil {
		return t, err
	}
	t.Keep, t.Size, t.Limit = s.Keep, s.Size, s.Limit(free)
	for _, p := range b.Parts {
		items, err := p.TrashItems(ctx)
		if err != nil {
			return t, err
		}
		t.Items = append(t.Items, items...)
	}
	sortNewestFirst(t.Items, time.Now())
	if t.Bytes, err = b.Shared(ctx); err != nil {
		return t, err
	}
	for _, item := range t.Items {
		if item.Kind == backend.TrashContainer || item.Kind == backend.TrashVolume {
			t.Bytes += max(item.Bytes, 0)
		}
		if end := item.RemovedAt.Add(s.Keep); t.Expire.IsZero() || end.Before(t.Expire) {
			t.Expire = end
		}
	}
	return t, nil
}

// sortNewestFirst sorts by when items were removed. What was removed at a time
// that is still to come was removed before the clock was set back: it is older
// than all that was removed since.
func sortNewestFirst(items []backend.TrashItem, now time.Time) {
	slices.SortStableFunc(items, func(a, b backend.TrashItem) int {
		if early, other := a.RemovedAt.After(now), b.RemovedAt.After(now); early != other {
			if early {
				return 1
			}
			return -1
		}
		return b.RemovedAt.Compare(a.RemovedAt)
	})
}

// Waits says whether anything waits.
func (b *Bin) Waits(ctx context.Context) (bool, error) {
	for _, p := range b.Parts {
		if some, err := p.TrashWaits(ctx); err != nil || some {
			return some, err
		}
	}
	return false, nil
}

// Undo brings back what the last removing command took, or the items with the
// names that are given. errdefs.ErrNotFound: nothing is there to bring back.
func (b *Bin) Undo(ctx context.Context, names []string) ([]backend.Restored, error) {
	t, err := b.Look(ctx)
	if err != nil {
		return nil, err
	}
	if len(t.Items) == 0 {
		return nil, errdefs.ErrNotFound.WithMessage("nothing to undo: the trash is empty")
	}
	pick := func(item backend.TrashItem) bool { return item.Operation == t.Items[0].Operation }
	if len(names) > 0 {
		if err := known(t.Items, names); err != nil {
			return nil, err
		}
		pick = func(item backend.TrashItem) bool {
			return slices.ContainsFunc(names, func(name string) bool { return named(item, name) })
		}
	}
	var all []backend.Restored
	for _, p := range b.Parts {
		done, err := p.TrashRestore(ctx, pick)
		all = append(all, done...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func known(items []backend.TrashItem, names []string) error {
	var errs []error
	for _, name := range names {
		if !slices.ContainsFunc(items, func(item backend.TrashItem) bool { return named(item, name) }) {
			errs = append(errs, errdefs.ErrNotFound.WithMessage("not in the trash: "+name))
		}
	}
	return errors.Join(errs...)
}

// minPrefix is how much of an id names an item.
const minPrefix = 4

func named(item backend.TrashItem, name string) bool {
	if slices.Contains(item.Names, name) || slices.Contains(item.Names, name+":latest") || item.ID == name {
		return true
	}
	if item.Kind == backend.TrashVolume || len(name) < minPrefix {
		return false
	}
	return hasPrefix(item.ID, name) || hasPrefix(item.ID, "sha256:"+name)
}

func hasPrefix(id, prefix string) bool { return len(id) >= len(prefix) && id[:len(prefix)] == prefix }

// Empty ends the waiting of everything, or of one command's items.
func (b *Bin) Empty(ctx context.Context, operation string) error {
	return b.erase(ctx, func(item backend.TrashItem) bool { return operation == "" || item.Operation == operation })
}

// Expire ends the waiting of what has waited long enough, and of the oldest
// things as long as all of them take too much of the disk. It tells when to
// come again; zero: nothing waits.
func (b *Bin) Expire(ctx context.Context) (next time.Time, err error) {
	for _, p := range b.Parts {
		if err := p.TrashMeasure(ctx); err != nil {
			return next, err
		}
	}
	for {
		t, err := b.Look(ctx)
		if err != nil || len(t.Items) == 0 {
			return next, err
		}
		due := time.Now().Add(-t.Keep)
		old := oldest(t.Items)
		if old.RemovedAt.After(due) { // and so are all
			if t.Bytes <= t.Limit {
				return t.Expire, nil
			}
			old = t.Items[len(t.Items)-1]
		}
		err = b.erase(ctx, func(item backend.TrashItem) bool {
			return item.Operation == old.Operation || !item.RemovedAt.After(due)
		})
		if err != nil {
			return next, err
		}
	}
}

func oldest(items []backend.TrashItem) backend.TrashItem {
	return slices.MinFunc(items, func(a, b backend.TrashItem) int {
		return cmp.Or(a.RemovedAt.Compare(b.RemovedAt), cmp.Compare(a.ID, b.ID))
	})
}

func (b *Bin) erase(ctx context.Context, pick func(backend.TrashItem) bool) error {
	var errs []error
	for _, p := range slices.Backward(b.Parts) {
		errs = append(errs, p.TrashErase(ctx, pick))
	}
	b.Kick()
	return errors.Join(errs...)
}
