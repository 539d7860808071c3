package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/moby/api/types/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
)

// Inspect says what a registry knows about a reference, without pulling a
// layer. Errors are errdefs.ErrNotFound and those of every registry.
func (s *Service) Inspect(ctx context.Context, ref string, auth *registry.AuthConfig) (backend.RemoteImage, error) {
	named, err := parse(ref)
	if err != nil {
		return backend.RemoteImage{}, err
	}
	named = reference.TagNameOnly(named)
	host := reference.Domain(named)
	ctx, cancel := s.patience(ctx, host)
	defer cancel()
	c, err := s.open(ctx, host, auth)
	if err != nil {
		return backend.RemoteImage{}, err
	}
	defer c.close()
	image, err := c.inspect(named)
	return image, explain(ctx, "inspect "+reference.FamiliarString(named), host, err)
}

func (c *session) inspect(named reference.Named) (backend.RemoteImage, error) {
	out := backend.RemoteImage{Name: reference.FamiliarString(named)}
	target, err := c.manifest(named)
	if err != nil {
		return out, err
	}
	top, err := remote.Get(target, c.options...)
	if err != nil {
		return out, err
	}
	if !json.Valid(top.Manifest) {
		return out, errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("the registry answered with something that is no manifest (media type %q)", top.MediaType))
	}
	out.Digest, out.MediaType, out.Manifest = top.Digest.String(), string(top.MediaType), top.Manifest
	if out.Platforms, err = c.platforms(target.Context(), top); err != nil {
		return out, err
	}
	out.Referrers, err = c.referrers(target.Context(), top.Digest)
	return out, err
}

// platforms reads the image, or all images of an index.
func (c *session) platforms(repo name.Repository, top *remote.Descriptor) ([]backend.RemotePlatform, error) {
	if !top.MediaType.IsIndex() {
		return c.platform(top, nil)
	}
	var index ocispec.Index
	if err := json.Unmarshal(top.Manifest, &index); err != nil {
		return nil, err
	}
	var all []backend.RemotePlatform
	for _, entry := range index.Manifests {
		if entry.Platform != nil && entry.Platform.OS == "unknown" { // attestations, which build tools put into the index
			continue
		}
		if err := entry.Digest.Validate(); err != nil {
			return nil, errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("the index lists a manifest %q: %s", entry.Digest, err))
		}
		image, err := remote.Get(repo.Digest(entry.Digest.String()), c.options...)
		if isStatus(err, 404) { // a copy of some platforms only
			continue
		}
		if err != nil {
			return nil, err
		}
		some, err := c.platform(image, entry.Platform)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// platform reads one image; an artifact that is no image has no platform.
func (c *session) platform(image *remote.Descriptor, listed *ocispec.Platform) ([]backend.RemotePlatform, error) {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(image.Manifest, &manifest); err != nil {
		return nil, err
	}
	switch types.MediaType(manifest.Config.MediaType) {
	case types.DockerConfigJSON, types.OCIConfigJSON:
	default:
		return nil, nil
	}
	config, err := c.config(image)
	if err != nil {
		return nil, err
	}
	out := backend.RemotePlatform{Digest: image.Digest.String(), Size: manifest.Config.Size, Config: config}
	for _, l := range manifest.Layers {
		out.Size += l.Size
		out.Layers = append(out.Layers, backend.RemoteLayer{Digest: l.Digest.String(), MediaType: l.MediaType, Size: l.Size})
	}
	var read ocispec.Image
	if err := json.Unmarshal(config, &read); err != nil {
		return nil, err
	}
	out.Created = read.Created
	p := read.Platform
	if listed != nil {
		p = *listed
	}
	out.Platform = platformName(p)
	return []backend.RemotePlatform{out}, nil
}

func (c *session) config(image *remote.Descriptor) ([]byte, error) {
	img, err := image.Image()
	if err != nil {
		return nil, err
	}
	return img.RawConfigFile()
}

func platformName(p ocispec.Platform) string {
	text := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		text += "/" + p.Variant
	}
	return text
}

// cosignSuffixes are the tags that cosign derives from an image's digest.
var cosignSuffixes = []string{".sig", ".att", ".sbom"}

// referrers lists what refers to a digest.
func (c *session) referrers(repo name.Repository, digest v1.Hash) ([]backend.RemoteReferrer, error) {
	var all []backend.RemoteReferrer
	index, err := remote.Referrers(repo.Digest(digest.String()), c.options...)
	if err != nil {
		return nil, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range list.Manifests {
		all = append(all, backend.RemoteReferrer{ArtifactType: d.ArtifactType, Digest: d.Digest.String(), Size: d.Size})
	}
	for _, suffix := range cosignSuffixes {
		tag := strings.Replace(digest.String(), ":", "-", 1) + suffix
		head, err := remote.Head(repo.Tag(tag), c.options...)
		switch {
		case err == nil:
			all = append(all, backend.RemoteReferrer{ArtifactType: "cosign " + strings.TrimPrefix(suffix, "."), Digest: head.Digest.String(), Tag: tag, Size: head.Size})
		case !isStatus(err, 404, 403, 401):
			return nil, err
		}
	}
	return all, nil
}
