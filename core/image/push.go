package image

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
	"golang.org/x/sync/errgroup"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// Push sends one image, or every tag of a repository, to the registry that its
// name says. Layers that the registry has are not sent again, those that
// another of its repositories has are mounted. When everything is there in its
// original form the original manifest is pushed, so that the digest stays;
// else layers are packed anew and a manifest is made for them. The config, and
// with it the image's id, never changes.
func (s *Service) Push(ctx context.Context, opts backend.Push) error {
	lease, err := s.locks.lease(ctx)
	if err != nil {
		return err
	}
	defer lease.release()
	report := &reporter{send: opts.Progress}
	wanted, err := s.pushedNames(ctx, opts.Ref)
	if err != nil {
		return err
	}
	report.status("", fmt.Sprintf("The push refers to repository [%s]", opts.Ref.Name()))
	for _, ref := range wanted {
		sys, err := s.systemContext(ref, opts.Auth)
		if err != nil {
			return err
		}
		p := &push{Service: s, ref: ref, report: report, sys: sys}
		if err := p.run(ctx, opts.Platform); err != nil {
			return translatePush(err, ref, opts.Auth)
		}
	}
	return nil
}

// pushedNames are the local names that a push means.
func (s *Service) pushedNames(ctx context.Context, ref reference.Named) ([]reference.Named, error) {
	if _, ok := ref.(reference.Digested); ok {
		return nil, errdefs.ErrInvalidArgument.WithMessage("cannot push a digest reference")
	}
	out, err := s.repoTags(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case len(out) == 0:
		return nil, errdefs.ErrNotFound.WithMessage("An image does not exist locally with the tag: " + reference.FamiliarName(ref))
	case reference.IsNameOnly(ref):
		return out, nil
	}
	for _, n := range out {
		if n.String() == ref.String() {
			return []reference.Named{n}, nil
		}
	}
	return nil, errdefs.ErrNotFound.WithMessage("tag does not exist: " + reference.FamiliarString(ref))
}

// repoTags are the names that images have in a repository.
func (s *Service) repoTags(ctx context.Context, ref reference.Named) ([]reference.Named, error) {
	var out []reference.Named
	repo := ref.Name()
	err := each(ctx, s.store.DB, func(rows *sql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		named, err := reference.ParseNormalizedNamed(name)
		out = append(out, named)
		return err
	}, `SELECT name FROM names WHERE name > ? AND name < ? ORDER BY name`, repo+":", repo+";") // ; follows : in ASCII
	return out, err
}

// push is the sending of one name.
type push struct {
	*Service
	ref    reference.Named
	report *reporter
	sys    *types.SystemContext
}

// stored is what the index has of an image to be sent or saved.
type stored struct {
	record
	newImage
	layers []layer
}

func (p *push) run(ctx context.Context, platform *ocispec.Platform) error {
	image, err := p.load(ctx, platform)
	if err != nil {
		return err
	}
	dest, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer dest.Close()
	sent, err := p.sendLayers(ctx, dest, image)
	if err != nil {
		return err
	}
	if _, err := dest.PutBlob(ctx, bytes.NewReader(image.Config), types.BlobInfo{Digest: image.ID, Size: int64(len(image.Config))}, noCache, true); err != nil {
		return fmt.Errorf("send the config: %w", err)
	}
	manifest, err := buildManifest(image, sent)
	if err != nil {
		return err
	}
	if err := p.sendManifest(ctx, dest, manifest); err != nil {
		return err
	}
	return p.finish(ctx, image, sent, manifest)
}

func (p *push) load(ctx context.Context, platform *ocispec.Platform) (*stored, error) {
	out, err := p.loadStored(ctx, p.ref.String())
	if err != nil {
		return nil, err
	}
	return out, matches(reference.FamiliarString(p.ref), out.record, platform)
}

// loadStored reads all that the index has of an image.
func (s *Service) loadStored(ctx context.Context, name string) (*stored, error) {
	q := s.store.DB
	r, err := find(ctx, q, name)
	if err != nil {
		return nil, err
	}
	out := &stored{record: r}
	err = q.QueryRowContext(ctx, `SELECT config, manifest, manifest_type, manifest_digest FROM images WHERE id = ?`, r.ID.String()).
		Scan(&out.Config, &out.Manifest, &out.ManifestType, &out.ManifestDigest)
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w", shortID(r.ID), err)
	}
	out.layers, err = layersOf(ctx, q, r.ID)
	return out, err
}

func (p *push) open(ctx context.Context) (types.ImageDestination, error) {
	target, err := docker.NewReference(p.ref)
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.patience(ctx)
	defer cancel()
	dest, err := target.NewImageDestination(ctx, p.sys)
	if err != nil {
		return nil, because(ctx, err)
	}
	return dest, nil
}

// sendLayers brings every layer to the registry and returns its packed forms, bottom first.
func (p *push) sendLayers(ctx context.Context, dest types.ImageDestination, image *stored) ([]ocispec.Descriptor, error) {
	layers, own := image.layers, ownBlobs(image)
	sent := make([]ocispec.Descriptor, len(layers))
	for _, l := range slices.Backward(layers) { // as docker lists them
		p.report.status(shortID(l.DiffID), "Preparing")
	}
	traffic, err := p.traffic()
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(traffic.uploads)
	for i, l := range layers {
		if i >= traffic.uploads {
			p.report.status(shortID(l.DiffID), "Waiting")
		}
		group.Go(func() error {
			d, err := p.sendLayer(ctx, dest, l, own)
			sent[i] = d
			return err
		})
	}
	return sent, group.Wait()
}

// finish remembers what the registry now holds, and tells.
func (p *push) finish(ctx context.Context, image *stored, sent []ocispec.Descriptor, manifest ocispec.Descriptor) error {
	err := p.change(ctx, func(tx *store.Tx) error {
		for i, l := range image.layers {
			if err := addBlob(ctx, tx, p.ref.Name(), l.DiffID, sent[i]); err != nil {
				return err
			}
		}
		if _, err := get(ctx, tx, image.ID); errors.Is(err, sql.ErrNoRows) {
			return nil // removed meanwhile
		}
		return setRepoDigest(ctx, tx, p.ref.Name(), manifest.Digest, image.ID)
	})
	if err != nil {
		return err
	}
	tag := tagOrDigest(p.ref)
	p.report.status("", fmt.Sprintf("%s: digest: %s size: %d", tag, manifest.Digest, manifest.Size))
	if err := p.report.aux(pushed{Tag: tag, Digest: manifest.Digest, Size: manifest.Size}); err != nil {
		return err
	}
	return p.emit(events.ActionPush, reference.FamiliarString(p.ref), reference.FamiliarName(p.ref), image.Labels)
}

// pushed is what programs read at the end of a push.
type pushed struct {
	Tag    string
	Digest digest.Digest
	Size   int64
}
