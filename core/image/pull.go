package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// Pull fetches one image, or every tag of a repository, and names it. The
// progress is docker's: per layer Pulling fs layer, Waiting, Downloading,
// Verifying Checksum, Download complete, Extracting, Pull complete, or Already
// exists. Errors are errdefs.ErrNotFound (no such repository, tag or
// platform), ErrUnauthenticated, ErrUnavailable (registry out of reach) and
// ErrDataLoss (content that is not what its digest says). Whatever happens,
// names change only when an image is complete.
func (s *Service) Pull(ctx context.Context, opts backend.Pull) error {
	// The pulled layers belong to no image until the very end.
	lease, err := s.locks.lease(ctx)
	if err != nil {
		return err
	}
	defer lease.release()

	way, err := s.openWay(ctx, opts.Ref, opts.Auth, opts.Platform)
	if err != nil {
		return translatePull(err, opts.Ref, opts.Auth)
	}
	defer way.close()
	wanted := []reference.Named{opts.Ref}
	if opts.AllTags {
		if wanted, err = s.tagsOf(ctx, way, opts.Ref); err != nil {
			return translatePull(way.explain(err), opts.Ref, opts.Auth)
		}
	}
	p := &pull{maker: &maker{Service: s, report: &reporter{send: opts.Progress}}, way: way, platform: opts.Platform}
	fresh := false
	for _, ref := range wanted {
		changed, err := p.one(ctx, ref)
		if err != nil {
			return translatePull(way.explain(err), ref, opts.Auth)
		}
		fresh = fresh || changed
	}
	p.report.status("", closing(fresh, opts.Ref, opts.AllTags))
	if served := way.served(); served != "" {
		p.report.status("", "Served by mirror "+served)
	}
	return nil
}

func closing(fresh bool, ref reference.Named, all bool) string {
	name := reference.FamiliarString(ref)
	if all {
		name = reference.FamiliarName(ref)
	}
	if fresh {
		return "Status: Downloaded newer image for " + name
	}
	return "Status: Image is up to date for " + name
}

// tagsOf lists a repository's tags as references.
func (s *Service) tagsOf(ctx context.Context, way *way, repo reference.Named) ([]reference.Named, error) {
	repo = reference.TrimNamed(repo)
	ref, err := docker.NewReference(reference.TagNameOnly(repo))
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.patience(ctx)
	defer cancel()
	tags, err := docker.GetRepositoryTags(ctx, way.sys, ref)
	if err != nil {
		return nil, because(ctx, err)
	}
	var out []reference.Named
	for _, tag := range tags {
		tagged, err := reference.WithTag(repo, tag)
		if err != nil {
			return nil, fmt.Errorf("list the tags of %s: %w", reference.FamiliarName(repo), err)
		}
		out = append(out, tagged)
	}
	return out, nil
}

// pull is one request's work.
type pull struct {
	*maker
	way      *way
	platform *ocispec.Platform
}

// one fetches one reference and says whether the local image changed by it.
func (p *pull) one(ctx context.Context, ref reference.Named) (bool, error) {
	remote, src, err := p.openRemote(ctx, ref)
	if err != nil {
		return false, err
	}
	defer src.Close()
	p.report.heading(tagOrDigest(ref), "Pulling from "+reference.Path(ref))
	// An image that is here has its layers already: only names may change.
	_, err = get(ctx, p.store.DB, digest.FromBytes(remote.config))
	if errors.Is(err, sql.ErrNoRows) {
		err = p.ensureLayers(ctx, src, remote.layers)
	}
	if err != nil {
		return false, err
	}
	changed, labels, err := p.record(ctx, ref, remote)
	if err != nil {
		return false, err
	}
	p.report.status("", "Digest: "+remote.topDigest.String())
	if err := matches(reference.FamiliarString(ref), record{Platform: remote.spec.Platform}, p.platform); err != nil {
		p.report.status("", "WARNING: "+err.Error())
	}
	return changed, p.emit(events.ActionPull, reference.FamiliarString(ref), reference.FamiliarName(ref), labels)
}

// record puts the image and its names into the index, in one transaction.
func (p *pull) record(ctx context.Context, ref reference.Named, remote *remoteImage) (changed bool, labels map[string]string, err error) {
	err = p.change(ctx, func(tx *store.Tx) error {
		before, err := lookup(ctx, tx, ref)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read the image index: %w", err)
		}
		id, err := addImage(ctx, tx, newImage{
			Config: remote.config, Manifest: remote.manifest, ManifestType: remote.manifestType, ManifestDigest: digest.FromBytes(remote.manifest),
		})
		if err != nil {
			return err
		}
		changed = before != id
		for _, l := range remote.layers {
			if len(l.blob.URLs) > 0 {
				continue // lies elsewhere: the registry does not have it
			}
			if err := addBlob(ctx, tx, ref.Name(), l.diffID, ocispec.Descriptor{MediaType: l.blob.MediaType, Digest: l.blob.Digest, Size: l.blob.Size}); err != nil {
				return err
			}
		}
		if err := nameIt(ctx, tx, ref, remote.topDigest, id, changed); err != nil {
			return err
		}
		r, err := get(ctx, tx, id)
		labels = r.Labels
		return err
	})
	return changed, labels, err
}

// nameIt gives a pulled image the name that was asked for: a tag moves, and so
// does a digest that was asked for itself.
func nameIt(ctx context.Context, tx queryer, ref reference.Named, top, id digest.Digest, changed bool) error {
	if _, byDigest := ref.(reference.Digested); byDigest {
		return setRepoDigest(ctx, tx, ref.Name(), top, id)
	}
	if err := addRepoDigest(ctx, tx, ref.Name(), top, id); err != nil || !changed {
		return err
	}
	return setName(ctx, tx, ref, id)
}

// addBlob remembers that a repository holds a packed form of a layer.
func addBlob(ctx context.Context, q queryer, repo string, diffID digest.Digest, d ocispec.Descriptor) error {
	return exec(ctx, q, `INSERT INTO blobs (diff_id, repo, digest, size, media_type) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		diffID.String(), repo, d.Digest.String(), d.Size, d.MediaType)
}

// tagOrDigest is what docker shows before "Pulling from".
func tagOrDigest(ref reference.Named) string {
	if _, ok := ref.(reference.Digested); ok {
		return ref.String()
	}
	if t, ok := ref.(reference.Tagged); ok {
		return t.Tag()
	}
	return ""
}
