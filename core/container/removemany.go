package container

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
)

// Hundreds of containers are removed together: those that do not run are marked
// in one transaction, with the locks of all of them held. A container whose
// lock somebody else holds, that runs, or that is asked for twice is removed by
// itself, afterwards; so nobody waits for a lock while holding others.
const (
	batch    = 256 // containers whose locks, a descriptor each, are held at once
	together = 50  // containers that are removed by themselves at once, as docker's command does
)

// RemoveMany is Remove for many names. What became of each comes from the
// channel in its place: one error or nil, in whichever order they are done.
func (m *Module) RemoveMany(ctx context.Context, names []string, opts backend.ContainerRemove) []<-chan error {
	ctx = backend.WithOperation(ctx, backend.Operation(ctx)) // the same for all
	results := make([]chan error, len(names))
	answer := make([]<-chan error, len(names))
	for i := range results {
		results[i] = make(chan error, 1)
		answer[i] = results[i]
	}
	var alone []int
	for i, err := range m.removeIdle(ctx, names, opts) {
		if err == errAlone {
			alone = append(alone, i)
		} else {
			results[i] <- err
		}
	}
	free := make(chan struct{}, together)
	m.tasks.Go(func() {
		var work sync.WaitGroup
		for _, i := range alone {
			free <- struct{}{}
			work.Go(func() {
				results[i] <- m.Remove(ctx, names[i], opts)
				<-free
			})
		}
		work.Wait()
	})
	return answer
}

// errAlone stands for a container that has to be removed by itself.
var errAlone = errdefs.ErrUnavailable.WithMessage("not removed together with others")

// removeIdle removes what does not run.
func (m *Module) removeIdle(ctx context.Context, names []string, opts backend.ContainerRemove) []error {
	errs := make([]error, len(names))
	for i := range errs {
		errs[i] = errAlone
	}
	ids, err := m.resolveAll(ctx, names)
	if err != nil || opts.Link {
		return errs // each will say why
	}
	at := map[string]int{}
	var list []string
	for i, id := range ids {
		if _, twice := at[id]; id != "" && !twice {
			at[id], list = i, append(list, id)
		}
	}
	for part := range slices.Chunk(list, batch) {
		for id, err := range m.removeBatch(ctx, part, removeOptions{volumes: opts.Volumes}) {
			errs[at[id]] = err
		}
	}
	return errs
}

// removeBatch removes those of the containers that do not run and that nobody
// else is changing, and says of these how it went.
func (m *Module) removeBatch(ctx context.Context, ids []string, o removeOptions) map[string]error {
	var locked []string
	for _, id := range ids {
		unlock, err := m.tryLock(id)
		if err != nil || unlock == nil {
			continue
		}
		defer unlock()
		locked = append(locked, id)
	}
	done := map[string]error{}
	which, err := json.Marshal(locked)
	if err != nil {
		return done
	}
	records, err := m.query(ctx, `WHERE id IN (SELECT value FROM json_each(?)) AND status IN ('created', 'exited', 'dead')`, string(which))
	if err != nil {
		return done // each will say why
	}
	place := map[string]int{}
	for i, id := range ids {
		place[id] = i
	}
	slices.SortFunc(records, func(a, b *record) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	for i, err := range m.removeAllLocked(ctx, records, o) {
		done[records[i].ID] = err
	}
	return done
}

// resolveAll resolves names as find does, with one look at all names; where
// find has an error, the id is empty.
func (m *Module) resolveAll(ctx context.Context, names []string) ([]string, error) {
	rows, err := m.db.QueryContext(ctx, `SELECT id, name FROM containers WHERE name IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("look up containers: %w", err)
	}
	defer rows.Close()
	var all []string
	named := map[string]string{}
	for rows.Next() {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, fmt.Errorf("look up containers: %w", err)
		}
		all, named[name] = append(all, id), id
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look up containers: %w", err)
	}
	slices.Sort(all)
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i] = pickID(all, named, strings.TrimPrefix(name, "/"))
	}
	return ids, nil
}

// pickID finds a full id, a name, or the only id that begins so. All is sorted.
func pickID(all []string, named map[string]string, name string) string {
	i, full := slices.BinarySearch(all, name)
	switch {
	case name == "":
		return ""
	case full:
		return name
	case named[name] != "":
		return named[name]
	case i == len(all) || !strings.HasPrefix(all[i], name):
		return ""
	case i+1 < len(all) && strings.HasPrefix(all[i+1], name):
		return ""
	}
	return all[i]
}
