package image

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// Prune removes the images that no container uses and no tag names; with the
// filter dangling=false those with tags too. Further filters are label, label!
// and until. It returns what went and the bytes of the layers that are free to go.
func (s *Service) Prune(ctx context.Context, filters filter.Args) ([]image.DeleteResponse, uint64, error) {
	if err := filters.Validate("dangling", "label", "label!", "until"); err != nil {
		return nil, 0, err
	}
	danglingOnly, err := filters.Bool("dangling", true)
	if err != nil {
		return nil, 0, err
	}
	sel, err := s.newSelection(ctx, backend.ImageList{All: true, Filters: filter.Args{"until": filters["until"], "label": filters["label"], "label!": filters["label!"]}})
	if err != nil {
		return nil, 0, err
	}
	candidates, err := records(ctx, s.store.DB)
	if err != nil {
		return nil, 0, err
	}
	// Now, because the collector forgets layers as soon as they are free to go.
	sizes, err := s.layerSizes(ctx)
	if err != nil {
		return nil, 0, err
	}
	out := []image.DeleteResponse{}
	var freed uint64
	for _, r := range candidates {
		removed, err := s.pruneOne(ctx, sel, r, danglingOnly)
		if err != nil {
			return out, freed, err
		}
		out = append(out, removed...)
		for _, d := range removed {
			freed += uint64(sizes[digest.Digest(d.Deleted)])
		}
	}
	return out, freed, s.emit(events.ActionPrune, "", "", map[string]string{"reclaimed": strconv.FormatUint(freed, 10)})
}

func (s *Service) pruneOne(ctx context.Context, sel *selection, r record, danglingOnly bool) ([]image.DeleteResponse, error) {
	if !sel.until.IsZero() && r.Created.After(sel.until) || !sel.filters.Labels(r.Labels) {
		return nil, nil
	}
	users, err := s.users(ctx, r.ID)
	if err != nil || len(users) > 0 {
		return nil, err
	}
	names, err := refsOf(ctx, s.store.DB, r.ID)
	if err != nil {
		return nil, err
	}
	if danglingOnly && len(names.tags()) > 0 {
		return nil, nil
	}
	if len(names) == 0 {
		return s.removeIfFree(ctx, r.ID.String())
	}
	var out []image.DeleteResponse
	for _, n := range append(names.tags(), names.digests()...) {
		removed, err := s.removeIfFree(ctx, n)
		if err != nil {
			return out, err
		}
		out = append(out, removed...)
	}
	return out, nil
}

// removeIfFree removes a name; that it is gone already or in use is no error here.
func (s *Service) removeIfFree(ctx context.Context, name string) ([]image.DeleteResponse, error) {
	removed, err := s.Remove(ctx, name, backend.ImageRemove{})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil, nil
	}
	return removed, err
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
