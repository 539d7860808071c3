package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/store"
)

// Plan says what removing the names, one after the other, would do: it does it
// in a transaction that is never committed. Containers in leaving count as gone.
func (s *Service) Plan(ctx context.Context, names []string, opts backend.ImageRemove) (plan backend.RemovalPlan, err error) {
	w, err := s.newRemoval(ctx, opts)
	if err != nil {
		return plan, err
	}
	failed := false
	plan, err = s.rehearse(ctx, func(tx *store.Tx) (list []image.DeleteResponse, refused []error, err error) {
		if w.users, err = s.allUsers(ctx, nil); err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			one, err := w.step(ctx, tx, func(one *removal) error { return one.remove(ctx, tx, name) })
			if err != nil {
				refused = append(refused, err)
				failed = failed || !opts.Force || !errdefs.IsNotFound(err)
				continue
			}
			list = append(list, one.records...)
		}
		return list, refused, nil
	})
	plan.Failed = failed
	return plan, err
}

// RemoveMany is Remove for one name after the other in one transaction: for
// those who remove a thousand. What one name's removal says is in its place of
// the answer; a refusal there does not keep the others.
func (s *Service) RemoveMany(ctx context.Context, names []string, opts backend.ImageRemove) (all []backend.ImageRemoved, err error) {
	w, err := s.newRemoval(ctx, opts)
	if err != nil {
		return nil, err
	}
	var happened []imageEvent
	err = s.change(ctx, func(tx *store.Tx) (err error) {
		if w.users, err = s.allUsers(ctx, nil); err != nil { // while nobody else can make a container
			return err
		}
		for _, name := range names {
			one, err := w.step(ctx, tx, func(one *removal) error { return one.remove(ctx, tx, name) })
			if err != nil {
				all = append(all, backend.ImageRemoved{Err: err})
				continue
			}
			all, happened = append(all, backend.ImageRemoved{Items: one.records}), append(happened, one.events...)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	s.Kick()
	return all, s.emitAll(happened)
}

// PlanPrune is Plan for Prune.
func (s *Service) PlanPrune(ctx context.Context, filters filter.Args, leaving map[string]bool) (backend.RemovalPlan, error) {
	p, err := s.newPruning(ctx, filters)
	if err != nil {
		return backend.RemovalPlan{}, err
	}
	return s.rehearse(ctx, func(tx *store.Tx) ([]image.DeleteResponse, []error, error) {
		p.tx = tx
		list, err := p.run(ctx, leaving)
		return list, nil, err
	})
}

func (s *Service) rehearse(ctx context.Context, do func(*store.Tx) ([]image.DeleteResponse, []error, error)) (plan backend.RemovalPlan, err error) {
	sizes, err := s.layerSizes(ctx)
	if err != nil {
		return plan, err
	}
	errRehearsed := errors.New("rehearsed")
	err = s.change(ctx, func(tx *store.Tx) error {
		list, refused, err := do(tx)
		if err != nil {
			return err
		}
		for _, d := range list {
			if d.Untagged != "" {
				plan.Lines = append(plan.Lines, "Untagged: "+d.Untagged)
				continue
			}
			plan.Lines = append(plan.Lines, "Deleted: "+d.Deleted)
			plan.Bytes += uint64(sizes[digest.Digest(d.Deleted)])
		}
		for _, err := range refused {
			plan.Errors = append(plan.Errors, err.Error())
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		err = nil
	}
	return plan, err
}

// within runs a step of a transaction that leaves nothing when it fails.
func within(ctx context.Context, tx *store.Tx, step func() error) error {
	if err := exec(ctx, tx, `SAVEPOINT step`); err != nil {
		return err
	}
	err := step()
	if err != nil {
		if undone := exec(ctx, tx, `ROLLBACK TO step`); undone != nil {
			return fmt.Errorf("%w: %w", err, undone)
		}
	}
	return errors.Join(err, exec(ctx, tx, `RELEASE step`))
}
