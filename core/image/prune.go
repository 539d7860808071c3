package image

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/store"
)

// Prune removes the images that no container uses and no tag names; with the
// filter dangling=false those with tags too. Further filters are label, label!
// and until. It returns what went and the bytes of the layers that are free to go.
func (s *Service) Prune(ctx context.Context, filters filter.Args) ([]image.DeleteResponse, uint64, error) {
	p, err := s.newPruning(ctx, filters)
	if err != nil {
		return nil, 0, err
	}
	// Now, because the collector forgets layers as soon as they are free to go.
	sizes, err := s.layerSizes(ctx)
	if err != nil {
		return nil, 0, err
	}
	var out []image.DeleteResponse
	err = s.change(ctx, func(tx *store.Tx) (err error) {
		p.tx = tx
		out, err = p.run(ctx, nil)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	s.Kick()
	var freed uint64
	for _, d := range out {
		freed += uint64(sizes[digest.Digest(d.Deleted)])
	}
	err = s.emitAll(p.events)
	return out, freed, errors.Join(err, s.emit(events.ActionPrune, "", "", map[string]string{"reclaimed": strconv.FormatUint(freed, 10)}))
}

// pruning is one request's work, all of it in one transaction.
type pruning struct {
	*Service
	removal  *removal // what all have in common
	sel      *selection
	dangling bool // only images without a tag
	tx       *store.Tx
	events   []imageEvent
}

func (s *Service) newPruning(ctx context.Context, filters filter.Args) (*pruning, error) {
	if err := filters.Validate("dangling", "label", "label!", "until"); err != nil {
		return nil, err
	}
	dangling, err := filters.Bool("dangling", true)
	if err != nil {
		return nil, err
	}
	w, err := s.newRemoval(ctx, backend.ImageRemove{})
	if err != nil {
		return nil, err
	}
	sel, err := s.newSelection(ctx, backend.ImageList{All: true, Filters: filter.Args{"until": filters["until"], "label": filters["label"], "label!": filters["label!"]}})
	return &pruning{Service: s, removal: w, sel: sel, dangling: dangling}, err
}

// run does the work; containers in leaving do not count.
func (p *pruning) run(ctx context.Context, leaving map[string]bool) (out []image.DeleteResponse, err error) {
	if p.removal.users, err = p.allUsers(ctx, leaving); err != nil { // while nobody else can make a container
		return nil, err
	}
	candidates, err := records(ctx, p.tx)
	if err != nil {
		return nil, err
	}
	names, err := allRefs(ctx, p.tx, "")
	if err != nil {
		return nil, err
	}
	out = []image.DeleteResponse{}
	for _, r := range candidates {
		removed, err := p.one(ctx, r, names[r.ID])
		if err != nil {
			return out, err
		}
		out = append(out, removed...)
	}
	return out, ctx.Err()
}

func (p *pruning) one(ctx context.Context, r record, names refs) ([]image.DeleteResponse, error) {
	if !p.sel.until.IsZero() && r.Created.After(p.sel.until) || !p.sel.filters.Labels(r.Labels) {
		return nil, nil
	}
	if len(p.removal.users[r.ID]) > 0 || p.dangling && len(names.tags()) > 0 {
		return nil, nil
	}
	switch len(names) {
	case 0: // it may have gone with an image that was made of it
		return p.removeIfFree(ctx, func(w *removal) error { return w.remove(ctx, p.tx, r.ID.String()) })
	case 1:
		return p.removeIfFree(ctx, func(w *removal) error { return w.removeFound(ctx, p.tx, names[0].familiar(), r, names) })
	}
	var out []image.DeleteResponse
	for _, n := range append(names.tags(), names.digests()...) {
		removed, err := p.removeIfFree(ctx, func(w *removal) error { return w.remove(ctx, p.tx, n) })
		if err != nil {
			return out, err
		}
		out = append(out, removed...)
	}
	return out, nil
}

// removeIfFree removes a name; that it is gone already or in use is no error here.
func (p *pruning) removeIfFree(ctx context.Context, remove func(*removal) error) ([]image.DeleteResponse, error) {
	w, err := p.removal.step(ctx, p.tx, remove)
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil, nil
	}
	if err == nil {
		p.events = append(p.events, w.events...)
	}
	return w.records, err
}

func (s *Service) layerSizes(ctx context.Context) (map[digest.Digest]int64, error) {
	sizes := map[digest.Digest]int64{}
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var chain digest.Digest
		var size int64
		err := rows.Scan(&chain, &size)
		sizes[chain] = size
		return err
	}, `SELECT chain, size FROM layers`)
	return sizes, err
}
