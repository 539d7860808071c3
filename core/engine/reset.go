package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/api"
	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// reset empties an engine: the last use of a store before its folders go.
type reset struct {
	backends api.Backends
	collect  func(context.Context) error // empties the trash and frees the layers
	teardown func(context.Context) error // removes bridge and packet rules
}

// Reset removes all containers, running ones too, then images, volumes and the
// bridge. It goes on after a failure and reports all of them; settings stay.
func (r reset) Reset(ctx context.Context) error {
	return errors.Join(
		r.containers(ctx), r.images(ctx), r.volumes(ctx), r.collect(ctx), r.teardown(ctx),
	)
}

func (r reset) containers(ctx context.Context) error {
	list, err := r.backends.Containers.List(ctx, backend.ContainerList{All: true})
	if err != nil {
		return fmt.Errorf("remove all containers: %w", err)
	}
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	var errs []error
	for _, done := range r.backends.Containers.RemoveMany(ctx, ids, backend.ContainerRemove{Force: true, Volumes: true}) {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

func (r reset) images(ctx context.Context) error {
	list, err := r.backends.Images.List(ctx, backend.ImageList{All: true})
	if err != nil {
		return fmt.Errorf("remove all images: %w", err)
	}
	ids := make([]string, len(list))
	for i, image := range list {
		ids[i] = image.ID
	}
	removed, err := r.backends.Images.RemoveMany(ctx, ids, backend.ImageRemove{Force: true})
	errs := []error{err}
	for _, one := range removed {
		if !errdefs.IsNotFound(one.Err) { // with a child went its parents, too
			errs = append(errs, one.Err)
		}
	}
	return errors.Join(errs...)
}

func (r reset) volumes(ctx context.Context) error {
	list, err := r.backends.Volumes.VolumeList(ctx, filter.Args{})
	if err != nil {
		return fmt.Errorf("remove all volumes: %w", err)
	}
	var errs []error
	for _, v := range list {
		errs = append(errs, r.backends.Volumes.VolumeRemove(ctx, v.Name, true))
	}
	return errors.Join(errs...)
}
