package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container"
	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/network"
	"github.com/nacre-sh/nacre/core/trash"
	"github.com/nacre-sh/nacre/core/volume"
)

// removals is what the engine knows of removing across its modules: plans,
// and the trash. It implements api.Trash.
type removals struct {
	collector  collector
	bin        *trash.Bin
	images     *image.Service
	containers *container.Module
	volumes    *volume.Volumes
	networks   *network.Networks
}

func (r removals) TrashLook(ctx context.Context) (backend.Trash, error) { return r.bin.Look(ctx) }

func (r removals) Undo(ctx context.Context, names []string) ([]backend.Restored, error) {
	return r.bin.Undo(ctx, names)
}

func (r removals) TrashEmpty(ctx context.Context, operation string) error {
	return r.bin.Empty(ctx, operation)
}

func (r removals) Collect(ctx context.Context) error { return r.collector.Collect(ctx) }

// TrashSet changes what is given.
func (r removals) TrashSet(ctx context.Context, keep *time.Duration, size *string) error {
	s, err := r.bin.Settings.Load()
	if err != nil {
		return err
	}
	if keep != nil {
		s.Keep = *keep
	}
	if size != nil {
		s.Size = *size
	}
	if err := r.bin.Settings.Save(s); err != nil {
		return err
	}
	_, err = r.bin.Expire(ctx)
	return err
}

// RemovalPlan says what a removing command would do.
func (r removals) RemovalPlan(ctx context.Context, req backend.Removal) (plan backend.RemovalPlan, err error) {
	filters := filter.Args(req.Filters)
	if filters == nil {
		filters = filter.Args{}
	}
	switch req.Command {
	case "image rm":
		return r.images.Plan(ctx, req.Names, backend.ImageRemove{Force: req.Force, NoPrune: req.NoPrune})
	case "image prune":
		return titled("Deleted Images:", filters, func(f filter.Args) (backend.RemovalPlan, error) {
			f["dangling"] = []string{fmt.Sprint(!req.All)}
			return r.images.PlanPrune(ctx, f, nil)
		})
	case "volume rm":
		return r.volumes.Plan(ctx, req.Names, req.Force)
	case "volume prune":
		return titled("Deleted Volumes:", filters, func(f filter.Args) (backend.RemovalPlan, error) {
			if req.All {
				f["all"] = []string{"true"}
			}
			return r.volumes.PlanPrune(ctx, f, nil)
		})
	case "network rm":
		return r.networks.PlanRemove(ctx, req.Names, req.Force)
	case "network prune":
		return titled("Deleted Networks:", filters, func(f filter.Args) (backend.RemovalPlan, error) { return r.networks.PlanPrune(ctx, f) })
	case "container rm":
		return r.planContainers(ctx, req)
	case "container prune":
		return titled("Deleted Containers:", filters, func(f filter.Args) (backend.RemovalPlan, error) {
			plan, _, err := r.containers.PlanPrune(ctx, f)
			return plan, err
		})
	case "system prune":
		return r.planSystem(ctx, req, filters)
	}
	return plan, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("plan a removal: unknown command %q", req.Command))
}

func (r removals) planContainers(ctx context.Context, req backend.Removal) (backend.RemovalPlan, error) {
	plan, leaving, err := r.containers.Plan(ctx, req.Names, backend.ContainerRemove{Force: req.Force, Volumes: req.Volumes})
	if err != nil || !req.Volumes {
		return plan, err
	}
	with, err := r.volumes.PlanRelease(ctx, leaving)
	for _, name := range with.Lines {
		plan.Lines = append(plan.Lines, "Volume: "+name)
	}
	plan.Bytes += with.Bytes
	return plan, err
}

// planSystem plans in the order in which docker's system prune goes.
func (r removals) planSystem(ctx context.Context, req backend.Removal, filters filter.Args) (all backend.RemovalPlan, err error) {
	var leaving map[string]bool
	steps := []struct {
		title string
		plan  func(filter.Args) (backend.RemovalPlan, error)
	}{
		{"Deleted Containers:", func(f filter.Args) (plan backend.RemovalPlan, err error) {
			plan, leaving, err = r.containers.PlanPrune(ctx, f)
			return plan, err
		}},
		{"Deleted Networks:", func(f filter.Args) (backend.RemovalPlan, error) { return r.networks.PlanPrune(ctx, f) }},
		{"Deleted Volumes:", func(f filter.Args) (backend.RemovalPlan, error) {
			if !req.Volumes {
				return backend.RemovalPlan{}, nil
			}
			return r.volumes.PlanPrune(ctx, f, leaving)
		}},
		{"Deleted Images:", func(f filter.Args) (backend.RemovalPlan, error) {
			f["dangling"] = []string{fmt.Sprint(!req.All)}
			return r.images.PlanPrune(ctx, f, leaving)
		}},
	}
	for _, s := range steps {
		one, err := titled(s.title, filters, s.plan)
		if err != nil {
			return all, err
		}
		all.Lines, all.Errors, all.Bytes = append(all.Lines, one.Lines...), append(all.Errors, one.Errors...), all.Bytes+one.Bytes
		all.Failed = all.Failed || one.Failed
	}
	return all, nil
}

// titled puts docker's heading over what a prune takes, where it takes something.
func titled(title string, filters filter.Args, plan func(filter.Args) (backend.RemovalPlan, error)) (backend.RemovalPlan, error) {
	own := filter.Args{}
	for key, values := range filters {
		own[key] = values
	}
	p, err := plan(own)
	if len(p.Lines) > 0 {
		p.Lines = append([]string{title}, append(p.Lines, "")...)
	}
	return p, err
}
