package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// List lists images, newest first; see docker's GET /images/json. Filters are
// dangling, label, label!, before, since, until and reference.
func (s *Service) List(ctx context.Context, opts backend.ImageList) ([]image.Summary, error) {
	if err := opts.Filters.Validate("dangling", "label", "label!", "before", "since", "until", "reference"); err != nil {
		return nil, err
	}
	sel, err := s.newSelection(ctx, opts)
	if err != nil {
		return nil, err
	}
	all, err := s.lists.Get(ctx, s.store, func() (listed, error) { return readListed(ctx, s.store.DB) })
	if err != nil {
		return nil, err
	}
	out := make([]image.Summary, 0, len(all.records)) // grown step by step, ten thousand would be copied again and again
	for _, r := range all.records {
		if summary, ok := sel.summary(r, all.names[r.ID], all.parents[r.ID]); ok {
			out = append(out, summary)
		}
	}
	if opts.SharedSize {
		err = s.fillSharedSizes(ctx, out)
	}
	return out, err
}

// listed is what a list is made of. Lists share it and change nothing in it.
type listed struct {
	records []record
	names   map[digest.Digest]refs
	parents map[digest.Digest]bool
}

func readListed(ctx context.Context, q queryer) (l listed, err error) {
	if l.records, err = listedRecords(ctx, q); err != nil {
		return l, err
	}
	if l.names, err = allRefs(ctx, q, ""); err != nil {
		return l, err
	}
	l.parents = map[digest.Digest]bool{}
	for _, r := range l.records {
		l.parents[r.Parent] = true
	}
	return l, nil
}

// listedRecords are those of records with no more in them than lists show: with
// ten thousand images each column counts.
func listedRecords(ctx context.Context, q queryer) ([]record, error) {
	var out []record
	err := each(ctx, q, func(rows *sql.Rows) error {
		var r record
		var created int64
		var labels string
		if err := rows.Scan(&r.ID, &r.Parent, &created, &labels, &r.Size); err != nil {
			return err
		}
		err := r.fill(created, labels)
		out = append(out, r)
		return err
	}, `SELECT id, parent, created_at, labels, size FROM images WHERE removed_at IS NULL ORDER BY created_at DESC, id`)
	return out, err
}

// records reads all live images, newest first.
func records(ctx context.Context, q queryer) ([]record, error) {
	var out []record
	err := each(ctx, q, func(rows *sql.Rows) error {
		r, err := scanRecord(rows)
		out = append(out, r)
		return err
	}, `SELECT `+recordColumns+` FROM images WHERE removed_at IS NULL ORDER BY created_at DESC, id`)
	return out, err
}

// selection decides which images a list shows.
type selection struct {
	all           bool
	filters       filter.Args
	dangling      *bool
	before, since time.Time // of the images named; zero: not asked for
	until         time.Time
}

func (s *Service) newSelection(ctx context.Context, opts backend.ImageList) (*selection, error) {
	sel := &selection{all: opts.All, filters: opts.Filters}
	if opts.Filters.Has("dangling") {
		only, err := opts.Filters.Bool("dangling", false)
		if err != nil {
			return nil, err
		}
		sel.dangling = &only
	}
	for key, bound := range map[string]*time.Time{"before": &sel.before, "since": &sel.since} {
		for _, name := range opts.Filters[key] {
			r, err := find(ctx, s.store.DB, name)
			if err != nil {
				return nil, err
			}
			*bound = r.Created
		}
	}
	for _, value := range opts.Filters["until"] {
		until, err := parseTime(value)
		if err != nil {
			return nil, err
		}
		sel.until = until
	}
	return sel, nil
}

// parseTime reads docker's times: Unix seconds with an optional fraction, RFC
// 3339 and its beginnings, or a duration into the past.
func parseTime(value string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return time.Unix(0, int64(seconds*1e9)), nil
	}
	if ago, err := time.ParseDuration(value); err == nil {
		return time.Now().Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, value, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid filter 'until=%s': neither a time nor a duration", value))
}

func (sel *selection) summary(r record, names refs, hasChildren bool) (image.Summary, bool) {
	switch {
	case !sel.before.IsZero() && !r.Created.Before(sel.before),
		!sel.since.IsZero() && !r.Created.After(sel.since),
		!sel.until.IsZero() && r.Created.After(sel.until),
		!sel.filters.Labels(r.Labels):
		return image.Summary{}, false
	}
	danglingOnly := sel.dangling != nil && *sel.dangling
	if danglingOnly && hasChildren {
		return image.Summary{}, false
	}
	shown := sel.named(names)
	tags, digests := shown.tags(), shown.digests()
	switch {
	case len(tags) > 0 && danglingOnly:
		return image.Summary{}, false
	case len(tags) == 0 && len(digests) == 0:
		hidden := hasChildren && !sel.all || sel.dangling != nil && !danglingOnly || sel.filters.Has("reference")
		if hidden {
			return image.Summary{}, false
		}
	}
	out := image.Summary{
		ID: r.ID.String(), ParentID: r.Parent.String(), RepoTags: tags, RepoDigests: digests,
		Size: r.Size, SharedSize: -1, Containers: -1, Labels: r.Labels,
	}
	if !r.Created.IsZero() {
		out.Created = r.Created.Unix()
	}
	return out, true
}

// named keeps the names that match one of the reference patterns asked for.
func (sel *selection) named(names refs) refs {
	if !sel.filters.Has("reference") {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(r ref) bool {
		return !sel.filters.Any("reference", func(pattern string) bool {
			named, err := r.named()
			if err != nil {
				return false
			}
			ok, err := reference.FamiliarMatch(pattern, named)
			return err == nil && ok // a bad pattern matches nothing, as in docker
		})
	})
}

// fillSharedSizes sets, for every image, the bytes of the layers that it
// shares with another image of the store.
func (s *Service) fillSharedSizes(ctx context.Context, list []image.Summary) error {
	shared := map[string]int64{}
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var id string
		var size int64
		err := rows.Scan(&id, &size)
		shared[id] = size
		return err
	}, `SELECT i.image, sum(l.size) FROM image_layers i JOIN layers l ON l.chain = i.chain
		WHERE i.chain IN (
			SELECT il.chain FROM image_layers il JOIN images im ON im.id = il.image
			WHERE im.removed_at IS NULL GROUP BY il.chain HAVING count(DISTINCT il.image) > 1)
		GROUP BY i.image`)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].SharedSize = shared[list[i].ID]
	}
	return nil
}

// Count is the number of images, for info.
func (s *Service) Count(ctx context.Context) (int, error) {
	var n int
	err := s.store.DB.QueryRowContext(ctx, `SELECT count(*) FROM images WHERE removed_at IS NULL`).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("count the images: %w", err)
	}
	return n, nil
}
