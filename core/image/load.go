package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// Load takes the images out of an archive: docker's (docker save, podman save,
// skopeo's docker-archive), or an OCI layout as a tar; plain or packed with
// gzip, zstd, bzip2 or xz. The archive is read once, layers are unpacked while
// it comes. All images and names appear in one transaction, when everything is
// there. Errors are errdefs.ErrInvalidArgument and ErrDataLoss (the archive),
// ErrNotFound (no such platform in it) and ErrResourceExhausted (the disk).
func (s *Service) Load(ctx context.Context, from io.Reader, opts backend.ImageLoad) error {
	lease, err := s.locks.lease(ctx)
	if err != nil {
		return err
	}
	defer lease.release()
	layers, err := s.store.Layers()
	if err != nil {
		return err
	}
	report := &reporter{send: opts.Progress}
	m := &maker{Service: s, report: report}
	if opts.Quiet {
		m.report = &reporter{}
	}
	content, err := m.unbundle(ctx, layers, from)
	if err != nil {
		return translateStore(err)
	}
	loaded, err := m.enterBundle(ctx, layers, content, opts)
	if err = errors.Join(err, content.cleanUp(layers)); err != nil {
		return translateStore(err)
	}
	return s.announce(loaded, report)
}

// enterBundle makes layers and images of an archive's content.
func (m *maker) enterBundle(ctx context.Context, layers storage.Store, content *unbundled, opts backend.ImageLoad) ([]bundled, error) {
	images, err := content.describe(opts.Platforms)
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		if err := m.enterLayers(ctx, layers, content, img); err != nil {
			return nil, err
		}
	}
	err = m.change(ctx, func(tx *store.Tx) error {
		for i := range images {
			if err := recordBundled(ctx, tx, &images[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return images, err
}

// recordBundled puts an image and its names into the index, and notes which
// other images lose a name by that.
func recordBundled(ctx context.Context, tx *store.Tx, img *bundled) error {
	in := newImage{Config: img.config, Manifest: img.manifest, ManifestType: img.manifestType}
	if img.manifest != nil {
		in.ManifestDigest = digest.FromBytes(img.manifest)
	}
	id, err := addImage(ctx, tx, in)
	if err != nil {
		return err
	}
	for _, name := range img.names {
		before, err := lookup(ctx, tx, name)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read the image index: %w", err)
		}
		if before != "" && before != id {
			img.replaced = append(img.replaced, fmt.Sprintf("The image %s already exists, renaming the old one with ID %s to empty string\n", reference.FamiliarString(name), before))
		}
		if err := setName(ctx, tx, name, id); err != nil {
			return err
		}
	}
	return nil
}

// enterLayers brings an image's layers into the store, bottom first.
func (m *maker) enterLayers(ctx context.Context, layers storage.Store, content *unbundled, img bundled) error {
	diffIDs := img.spec.RootFS.DiffIDs
	for i, entry := range img.layers {
		l := stackOn(diffIDs[:i], diffIDs[i])
		if err := m.enterLayer(ctx, layers, content, content.resolve(entry), l); err != nil {
			return fmt.Errorf("layer %d of image %s: %w", i+1, shortID(digest.FromBytes(img.config)), err)
		}
	}
	return nil
}

// enterLayer takes what was unpacked, or what the store has elsewhere.
func (m *maker) enterLayer(ctx context.Context, layers storage.Store, content *unbundled, entry string, l remoteLayer) error {
	held, err := m.locks.layer(ctx, l.chain, nil)
	if err != nil {
		return err
	}
	defer held.release()
	work, unpacked := content.layers[entry]
	if unpacked && work.staged.UncompressedDigest != l.diffID {
		return errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("invalid diffID: expected %q, got %q", l.diffID, work.staged.UncompressedDigest))
	}
	if there, err := m.adopt(ctx, layers, l); there || err != nil {
		return err
	}
	if unpacked {
		delete(content.layers, entry) // entering consumes it
		return m.enter(ctx, layers, l, work.staged)
	}
	return m.copyLayer(ctx, layers, l)
}

// copyLayer makes a layer of one with the same content that lies on other ones.
func (m *maker) copyLayer(ctx context.Context, layers storage.Store, l remoteLayer) error {
	var chain digest.Digest
	err := m.store.DB.QueryRowContext(ctx, `SELECT chain FROM layers WHERE diff_id = ? LIMIT 1`, l.diffID.String()).Scan(&chain)
	if errors.Is(err, sql.ErrNoRows) {
		return invalidArchive("the content %s is missing", l.diffID)
	}
	if err != nil {
		return fmt.Errorf("read the image index: %w", err)
	}
	work, err := m.stage(ctx, layers, packed{name: shortID(l.diffID), doing: "Loading layer", size: -1, diffID: l.diffID,
		open: func(context.Context) (io.ReadCloser, error) { return openLayer(layers, chain) },
	})
	if err != nil {
		return err
	}
	return m.enter(ctx, layers, l, work.staged)
}

// openLayer reads a layer of the store as the tar that it was. Whoever closes
// it reads to the end first: the library's goroutine behind it must have come
// to its end.
func openLayer(layers storage.Store, chain digest.Digest) (io.ReadCloser, error) {
	plain := archive.Uncompressed
	diff, err := layers.Diff("", chain.Encoded(), &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return nil, fmt.Errorf("read layer %s: %w", shortID(chain), err)
	}
	return diff, nil
}

// announce says what was loaded, in docker's words.
func (s *Service) announce(images []bundled, report *reporter) error {
	for _, img := range images {
		id := digest.FromBytes(img.config)
		for _, text := range img.replaced {
			report.stream(text)
		}
		for _, name := range img.names {
			report.stream("Loaded image: " + reference.FamiliarString(name) + "\n")
			if err := s.emit(events.ActionTag, id.String(), reference.FamiliarString(name), img.spec.Config.Labels); err != nil {
				return err
			}
		}
		if len(img.names) == 0 {
			report.stream("Loaded image ID: " + id.String() + "\n")
		}
		if err := s.emit(events.ActionLoad, id.String(), id.String(), img.spec.Config.Labels); err != nil {
			return err
		}
	}
	return nil
}
