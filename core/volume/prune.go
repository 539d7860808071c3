package volume

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// VolumePrune removes the anonymous volumes that no container uses, with the
// filter all=true those with names too; further filters are label and label!.
// As in docker, volumes with driver options stay. It returns what went and the
// bytes that were in it.
func (v *Volumes) VolumePrune(ctx context.Context, filters filter.Args) (deleted []string, freed uint64, err error) {
	plan, err := v.prunable(ctx, filters, nil)
	if err != nil {
		return nil, 0, err
	}
	var gone []removed
	sizes := map[string]int64{}
	for _, r := range plan {
		if sizes[r.name], err = treeSize(ctx, v.mountpoint(r.name)); err != nil {
			return nil, 0, fmt.Errorf("size of volume %s: %w", r.name, err)
		}
	}
	err = v.transaction(ctx, func(tx *sql.Tx) error {
		for _, r := range plan {
			r, err := removable(ctx, tx, r.name)
			if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // gone or taken meanwhile
				continue
			}
			if err != nil {
				return err
			}
			one, err := v.remove(ctx, tx, r)
			if err != nil {
				return err
			}
			gone = append(gone, one)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for _, g := range gone {
		deleted, freed = append(deleted, g.name), freed+uint64(sizes[g.name])
	}
	err = v.finish(ctx, gone...)
	return deleted, freed, errors.Join(err, v.emitPrune(freed))
}

func (v *Volumes) emitPrune(freed uint64) error {
	if v.events == nil {
		return nil
	}
	return v.events.Append(events.Message{Type: events.VolumeEventType, Action: events.ActionPrune,
		Actor: events.Actor{Attributes: map[string]string{"reclaimed": strconv.FormatUint(freed, 10)}}})
}

// prunable lists what a prune takes. The containers in leaving count as gone.
func (v *Volumes) prunable(ctx context.Context, filters filter.Args, leaving map[string]bool) ([]record, error) {
	if err := filters.Validate("label", "label!", "all"); err != nil {
		return nil, err
	}
	named, err := filters.Bool("all", false)
	if err != nil {
		return nil, err
	}
	all, err := query(ctx, v.store.DB, "")
	if err != nil {
		return nil, err
	}
	var plan []record
	for _, r := range all {
		used := slices.ContainsFunc(r.users, func(user string) bool { return !leaving[user] })
		if !used && len(r.options) == 0 && (named || r.anonymous()) && filters.Labels(r.labels) {
			plan = append(plan, r)
		}
	}
	return plan, nil
}

func scanNames(rows *sql.Rows) (names []string, err error) {
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("read volumes: %w", err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// Plan says what removing the volumes would do.
func (v *Volumes) Plan(ctx context.Context, names []string, force bool) (plan backend.RemovalPlan, err error) {
	gone := map[string]bool{}
	for _, name := range names {
		r, err := removable(ctx, v.store.DB, name)
		if err == nil && gone[name] {
			err = errdefs.ErrNotFound.WithMessage(fmt.Sprintf("get %s: no such volume", name))
		}
		if force && errdefs.IsNotFound(err) {
			plan.Lines = append(plan.Lines, name) // as the removal itself would say
			continue
		}
		if err != nil {
			plan.Errors, plan.Failed = append(plan.Errors, err.Error()), true
			continue
		}
		gone[name] = true
		if err := v.planOne(ctx, &plan, r); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// PlanPrune is Plan for VolumePrune.
func (v *Volumes) PlanPrune(ctx context.Context, filters filter.Args, leaving map[string]bool) (plan backend.RemovalPlan, err error) {
	list, err := v.prunable(ctx, filters, leaving)
	if err != nil {
		return plan, err
	}
	for _, r := range list {
		if err := v.planOne(ctx, &plan, r); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// PlanRelease says which anonymous volumes go with containers.
func (v *Volumes) PlanRelease(ctx context.Context, leaving map[string]bool) (plan backend.RemovalPlan, err error) {
	all, err := query(ctx, v.store.DB, "")
	if err != nil {
		return plan, err
	}
	for _, r := range all {
		stays := slices.ContainsFunc(r.users, func(user string) bool { return !leaving[user] })
		if len(r.users) == 0 || stays || !r.anonymous() {
			continue
		}
		if err := v.planOne(ctx, &plan, r); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

func (v *Volumes) planOne(ctx context.Context, plan *backend.RemovalPlan, r record) error {
	plan.Lines = append(plan.Lines, r.name)
	if len(r.options) > 0 {
		return nil // its files lie elsewhere
	}
	size, err := treeSize(ctx, v.mountpoint(r.name))
	if err != nil {
		return fmt.Errorf("size of volume %s: %w", r.name, err)
	}
	plan.Bytes += uint64(size)
	return nil
}
