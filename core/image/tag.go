package image

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/store"
)

// Tag gives an image another name. An empty tag means latest.
func (s *Service) Tag(ctx context.Context, source, repo, tag string) error {
	named, err := reference.ParseNormalizedNamed(repo)
	if err != nil {
		return errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	if _, ok := named.(reference.Digested); ok {
		return errdefs.ErrInvalidArgument.WithMessage("refusing to create a tag with a digest reference")
	}
	if tag != "" {
		if named, err = reference.WithTag(reference.TrimNamed(named), tag); err != nil {
			return errdefs.ErrInvalidArgument.WithMessage(err.Error())
		}
	}
	named = reference.TagNameOnly(named)
	if reference.FamiliarName(named) == "sha256" {
		return errdefs.ErrInvalidArgument.WithMessage("refusing to create an ambiguous tag using digest algorithm as name")
	}
	var r record
	err = s.change(ctx, func(tx *store.Tx) error {
		if r, err = find(ctx, tx, source); err != nil {
			return err
		}
		return setName(ctx, tx, named, r.ID)
	})
	if err != nil {
		return err
	}
	if err := s.emit(events.ActionTag, r.ID.String(), reference.FamiliarString(named), r.Labels); err != nil {
		return fmt.Errorf("tag %s: %w", source, err)
	}
	return nil
}
