package image

import (
	"context"
	"database/sql"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
)

// Rootfs resolves an image for a container. A platform that the image does not
// have is errdefs.ErrNotFound, so that a client asks for a pull.
//
// Between Rootfs and the container's own record nothing protects the layers;
// a caller that creates a container holds a Lease over both.
func (s *Service) Rootfs(ctx context.Context, nameOrID string, platform *ocispec.Platform) (backend.Rootfs, error) {
	q := s.store.DB
	r, err := find(ctx, q, nameOrID)
	if err != nil {
		return backend.Rootfs{}, err
	}
	if err := matches(nameOrID, r, platform); err != nil {
		return backend.Rootfs{}, err
	}
	config, err := configOf(ctx, q, r.ID)
	if err != nil {
		return backend.Rootfs{}, err
	}
	layers, err := layersOf(ctx, q, r.ID)
	if err != nil {
		return backend.Rootfs{}, err
	}
	return backend.Rootfs{
		ImageID: r.ID.String(), Name: resolvedName(nameOrID, r.ID), Platform: config.Platform,
		Config: config.Config, LowerDirs: s.lowerDirs(layers),
	}, nil
}

// Lease keeps the layers of every image in place until it is closed: the
// collector waits. It costs two system calls.
func (s *Service) Lease(ctx context.Context) (io.Closer, error) {
	held, err := s.locks.lease(ctx)
	if err != nil {
		return nil, err
	}
	return held.f, nil
}

// resolvedName is the familiar form of a reference, or the id where an id was given.
func resolvedName(name string, id digest.Digest) string {
	if isIDPrefix(id, name) {
		return id.String()
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return id.String()
	}
	return reference.FamiliarString(reference.TagNameOnly(named))
}

// matches fails, in docker's words, when the image is not for the wanted platform.
func matches(name string, r record, want *ocispec.Platform) error {
	if want == nil || platforms.OnlyStrict(*want).Match(platforms.Normalize(r.Platform)) || platforms.Only(*want).Match(platforms.Normalize(r.Platform)) {
		return nil
	}
	return errdefs.ErrNotFound.WithMessage(fmt.Sprintf(
		"image with reference %s was found but its platform (%s) does not match the specified platform (%s)",
		name, platforms.FormatAll(r.Platform), platforms.FormatAll(*want)))
}

// ID gives the id of the image that a name or the beginning of an id means.
func (s *Service) ID(ctx context.Context, nameOrID string) (string, error) {
	r, err := find(ctx, s.store.DB, nameOrID)
	return r.ID.String(), err
}

// Descendants gives the id of an image and of all images that were made from it
// here, as docker's `ps --filter ancestor=` means it.
func (s *Service) Descendants(ctx context.Context, nameOrID string) ([]string, error) {
	r, err := find(ctx, s.store.DB, nameOrID)
	if err != nil {
		return nil, err
	}
	var ids []string
	err = each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `WITH RECURSIVE made(id) AS (VALUES (?) UNION SELECT i.id FROM images i JOIN made ON i.parent = made.id WHERE i.parent <> '' AND i.removed_at IS NULL)
		SELECT id FROM made`, r.ID.String())
	return ids, err
}
