package image

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
)

// Distribution asks a registry what a name stands for, without pulling: the
// descriptor of the list or manifest and the platforms that there are. Errors
// are those of Pull.
func (s *Service) Distribution(ctx context.Context, ref reference.Named, auth *registry.AuthConfig) (registry.DistributionInspect, error) {
	var out registry.DistributionInspect
	way, err := s.openWay(ctx, ref, auth, nil)
	if err != nil {
		return out, translatePull(err, ref, auth)
	}
	defer way.close()
	p := &pull{maker: &maker{Service: s, report: &reporter{}}, way: way}
	src, err := s.openSource(ctx, way, ref)
	if err == nil {
		defer src.Close()
		err = p.describeRemote(ctx, src, &out)
	}
	return out, translatePull(way.explain(err), ref, auth)
}

func (p *pull) describeRemote(ctx context.Context, src types.ImageSource, out *registry.DistributionInspect) error {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	top := image.UnparsedInstance(src, nil)
	raw, mime, err := top.Manifest(ctx)
	if err != nil {
		return because(ctx, err)
	}
	d, err := manifest.Digest(raw)
	if err != nil {
		return err
	}
	out.Descriptor = ocispec.Descriptor{MediaType: mime, Digest: d, Size: int64(len(raw))}
	if manifest.MIMETypeIsMultiImage(mime) {
		out.Platforms, err = listPlatforms(raw)
		return err
	}
	if err := supported(mime); err != nil {
		return err
	}
	platform, err := p.configPlatform(ctx, src, raw, mime)
	out.Platforms = []ocispec.Platform{platform}
	return because(ctx, err)
}

// listPlatforms reads the platforms of a list; attestations have none.
func listPlatforms(raw []byte) ([]ocispec.Platform, error) {
	var list struct {
		Manifests []struct {
			Digest   digest.Digest
			Platform *ocispec.Platform
		}
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read the list of platforms: %w", err)
	}
	var out []ocispec.Platform
	for _, m := range list.Manifests {
		if m.Platform != nil && m.Platform.OS != "unknown" {
			out = append(out, *m.Platform)
		}
	}
	return out, nil
}

func (p *pull) configPlatform(ctx context.Context, src types.ImageSource, raw []byte, mime string) (ocispec.Platform, error) {
	var platform ocispec.Platform
	m, err := manifest.FromBlob(raw, mime)
	if err != nil {
		return platform, err
	}
	config, err := p.readConfig(ctx, src, m.ConfigInfo())
	if err != nil {
		return platform, err
	}
	if err := json.Unmarshal(config, &platform); err != nil {
		return platform, fmt.Errorf("read the image's config: %w", err)
	}
	return platform, nil
}
