package image

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
)

// buildManifest is the image's own manifest when its layers are in the
// registry as it says, else a new one. Data holds the bytes.
func buildManifest(image *stored, layers []ocispec.Descriptor) (ocispec.Descriptor, error) {
	if sameLayers(image, layers) {
		return ocispec.Descriptor{MediaType: image.ManifestType, Digest: digest.FromBytes(image.Manifest), Size: int64(len(image.Manifest)), Data: image.Manifest}, nil
	}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: manifest.DockerV2Schema2MediaType,
		Config: ocispec.Descriptor{MediaType: manifest.DockerV2Schema2ConfigMediaType, Digest: image.ID, Size: int64(len(image.Config))},
		Layers: layers,
	}
	if needsOCI(layers) {
		m.MediaType, m.Config.MediaType = ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig
		m.Layers = nil
		for _, l := range layers {
			l.MediaType = ociType(l.MediaType)
			m.Layers = append(m.Layers, l)
		}
	}
	if m.Layers == nil {
		m.Layers = []ocispec.Descriptor{}
	}
	raw, err := json.MarshalIndent(m, "", "   ")
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw)), Data: raw}, nil
}

// sameLayers says whether the original manifest describes exactly these blobs.
func sameLayers(image *stored, layers []ocispec.Descriptor) bool {
	original, err := manifest.FromBlob(image.Manifest, image.ManifestType)
	if err != nil {
		return false // an image that was made here has none
	}
	infos := original.LayerInfos()
	if len(infos) != len(layers) {
		return false
	}
	for i, info := range infos {
		if info.Digest != layers[i].Digest {
			return false
		}
	}
	return true
}

// needsOCI: docker's schema 2 has no word for some forms of layers.
func needsOCI(layers []ocispec.Descriptor) bool {
	for _, l := range layers {
		if l.MediaType != manifest.DockerV2Schema2LayerMediaType {
			return true
		}
	}
	return false
}

func ociType(mediaType string) string {
	if mediaType == manifest.DockerV2Schema2LayerMediaType {
		return ocispec.MediaTypeImageLayerGzip
	}
	return mediaType
}

func (p *push) sendManifest(ctx context.Context, dest types.ImageDestination, m ocispec.Descriptor) error {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	if err := dest.PutManifest(ctx, m.Data, nil); err != nil {
		return fmt.Errorf("send the manifest: %w", because(ctx, err))
	}
	return dest.Commit(ctx, nil)
}
