package image

import (
	"archive/tar"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/storage"

	"github.com/nacre-sh/nacre/core/backend"
)

// Save writes images as docker does since 25: one tar that is an OCI layout
// and docker's archive at once, layers unpacked. The descriptions come first,
// so that a reader knows what the layers are for; equal images give equal
// bytes. open is called when nothing can be refused any more; errors before it
// are errdefs.ErrNotFound (no such image or platform) and ErrInvalidArgument.
func (s *Service) Save(ctx context.Context, opts backend.ImageSave, open func() (io.Writer, error)) error {
	lease, err := s.locks.lease(ctx)
	if err != nil {
		return err
	}
	defer lease.release()
	images, err := s.chosen(ctx, opts)
	if err != nil {
		return err
	}
	store, err := s.store.Layers()
	if err != nil {
		return err
	}
	out := &saved{ctx: ctx, store: store, sizes: map[digest.Digest]int64{}}
	for _, img := range images {
		if err := out.measure(img.layers); err != nil {
			return err
		}
	}
	to, err := open()
	if err != nil {
		return err
	}
	out.tar = tar.NewWriter(to)
	if err := out.write(images); err != nil {
		return err
	}
	for _, img := range images {
		if err := s.emit(events.ActionSave, img.ID.String(), img.ID.String(), img.Labels); err != nil {
			return err
		}
	}
	return nil
}

// chosenImage is an image and the names that it is saved under.
type chosenImage struct {
	*stored
	tags []reference.NamedTagged
}

// chosen finds what the names mean, every image once, in the order asked for.
func (s *Service) chosen(ctx context.Context, opts backend.ImageSave) ([]*chosenImage, error) {
	var out []*chosenImage
	for _, name := range opts.Names {
		tags, err := s.tagsMeant(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(tags) == 0 {
			if out, err = s.choose(ctx, out, name, nil, opts.Platforms); err != nil {
				return nil, err
			}
		}
		for _, tag := range tags {
			if out, err = s.choose(ctx, out, tag.String(), tag, opts.Platforms); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// tagsMeant are the tags that a name selects; none for an id or a digest.
func (s *Service) tagsMeant(ctx context.Context, name string) ([]reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, nil // an id, or nothing: resolving it tells
	}
	if reference.IsNameOnly(named) {
		repo, err := s.repoTags(ctx, named)
		var out []reference.NamedTagged
		for _, n := range repo {
			out = append(out, n.(reference.NamedTagged))
		}
		return out, err
	}
	tagged, ok := named.(reference.NamedTagged)
	if _, digested := named.(reference.Digested); digested || !ok {
		return nil, nil
	}
	switch _, err := lookup(ctx, s.store.DB, tagged); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil // sha256:… looks like a tag too
	case err != nil:
		return nil, fmt.Errorf("read the image index: %w", err)
	}
	return []reference.NamedTagged{tagged}, nil
}

func (s *Service) choose(ctx context.Context, out []*chosenImage, name string, tag reference.NamedTagged, wanted []ocispec.Platform) ([]*chosenImage, error) {
	img, err := s.loadStored(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(wanted) > 0 && !anyPlatform(img.Platform, wanted) {
		return nil, matches(name, img.record, &wanted[0])
	}
	at := slices.IndexFunc(out, func(c *chosenImage) bool { return c.ID == img.ID })
	if at < 0 {
		at = len(out)
		out = append(out, &chosenImage{stored: img})
	}
	if tag != nil && !slices.ContainsFunc(out[at].tags, func(t reference.NamedTagged) bool { return t.String() == tag.String() }) {
		out[at].tags = append(out[at].tags, tag)
	}
	return out, nil
}

// saved is an archive being written.
type saved struct {
	ctx   context.Context
	store storage.Store
	sizes map[digest.Digest]int64 // of the layers' tars, by diff ID
	tar   *tar.Writer
	done  map[string]bool
}

// measure finds out how long the layers' tars are: a tar says so in advance.
func (a *saved) measure(layers []layer) error {
	for _, l := range layers {
		if _, ok := a.sizes[l.DiffID]; ok {
			continue
		}
		known, err := a.store.Layer(l.Chain.Encoded())
		if err != nil {
			return fmt.Errorf("read layer %s: %w", shortID(l.Chain), err)
		}
		a.sizes[l.DiffID] = known.UncompressedSize
	}
	return nil
}

func (a *saved) write(images []*chosenImage) error {
	a.done = map[string]bool{}
	if err := a.writeDescriptions(images); err != nil {
		return err
	}
	for _, img := range images {
		for _, l := range img.layers {
			if err := a.layer(l); err != nil {
				return err
			}
		}
	}
	if err := a.tar.Close(); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

// dockerEntry is one image in docker's manifest.json.
type dockerEntry struct {
	Config       string
	RepoTags     []string
	Layers       []string
	LayerSources map[digest.Digest]ocispec.Descriptor `json:",omitempty"`
}

func (a *saved) writeDescriptions(images []*chosenImage) error {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	entries := []dockerEntry{}
	blobs := map[string][]byte{}
	for _, img := range images {
		m, raw, err := a.manifest(img)
		if err != nil {
			return err
		}
		desc := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw)), Platform: &img.Platform}
		blobs[blobEntry(desc.Digest)], blobs[blobEntry(img.ID)] = raw, img.Config
		index.Manifests = append(index.Manifests, named(desc, img.tags)...)
		entries = append(entries, dockerEntryOf(img, m))
	}
	files := map[string]any{"index.json": index, "manifest.json": entries, "oci-layout": ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}}
	for name, value := range files {
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		blobs[name] = raw
	}
	return a.files(blobs)
}

// named gives a descriptor every tag's annotations.
func named(desc ocispec.Descriptor, tags []reference.NamedTagged) []ocispec.Descriptor {
	if len(tags) == 0 {
		return []ocispec.Descriptor{desc}
	}
	var out []ocispec.Descriptor
	for _, t := range tags {
		desc.Annotations = map[string]string{"io.containerd.image.name": t.String(), ocispec.AnnotationRefName: t.Tag()}
		out = append(out, desc)
	}
	return out
}

func dockerEntryOf(img *chosenImage, m ocispec.Manifest) dockerEntry {
	entry := dockerEntry{Config: blobEntry(img.ID), Layers: []string{}, LayerSources: map[digest.Digest]ocispec.Descriptor{}}
	for _, t := range img.tags {
		entry.RepoTags = append(entry.RepoTags, reference.FamiliarString(t))
	}
	for _, l := range m.Layers {
		entry.Layers = append(entry.Layers, blobEntry(l.Digest))
		entry.LayerSources[l.Digest] = l
	}
	return entry
}

// manifest describes an image with its layers as the archive holds them.
func (a *saved) manifest(img *chosenImage) (ocispec.Manifest, []byte, error) {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{},
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: img.ID, Size: int64(len(img.Config))},
	}
	for _, l := range img.layers {
		m.Layers = append(m.Layers, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: l.DiffID, Size: a.sizes[l.DiffID]})
	}
	raw, err := json.Marshal(m)
	return m, raw, err
}

// files writes the small files; folders first, because some readers want them.
func (a *saved) files(files map[string][]byte) error {
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := a.header(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return err
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	// The layout's own files first, then blobs: - sorts before every digit.
	slices.SortFunc(names, func(x, y string) int {
		return strings.Compare(strings.Replace(x, "blobs/", "~", 1), strings.Replace(y, "blobs/", "~", 1))
	})
	for _, name := range names {
		if err := a.header(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			return err
		}
		if _, err := a.tar.Write(files[name]); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
		a.done[name] = true
	}
	return nil
}

func (a *saved) header(h *tar.Header) error {
	h.ModTime = time.Unix(0, 0)
	if err := a.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

// layer writes a layer's tar, and fails when it is not what it was.
func (a *saved) layer(l layer) error {
	name := blobEntry(l.DiffID)
	if a.done[name] {
		return nil
	}
	a.done[name] = true
	diff, err := openLayer(a.store, l.Chain)
	if err != nil {
		return err
	}
	err = a.copyLayer(name, l, diff)
	_, drainErr := io.Copy(io.Discard, diff) // see openLayer
	return errors.Join(err, drainErr, diff.Close())
}

func (a *saved) copyLayer(name string, l layer, diff io.Reader) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if err := a.header(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: a.sizes[l.DiffID]}); err != nil {
		return err
	}
	check := l.DiffID.Verifier()
	if _, err := io.Copy(a.tar, io.TeeReader(diff, check)); err != nil {
		return fmt.Errorf("write layer %s: %w", shortID(l.DiffID), err)
	}
	if !check.Verified() {
		return damaged(l)
	}
	return nil
}

// damaged is the error for a layer whose files were changed behind our back.
func damaged(l layer) error {
	return errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("layer %s in the store was damaged: its content is not %s any more", shortID(l.DiffID), l.DiffID))
}
