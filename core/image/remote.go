package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
)

// remoteImage is one platform's image as a registry describes it.
type remoteImage struct {
	topDigest    digest.Digest // of what the reference names: a list of platforms or the manifest
	manifest     []byte
	manifestType string
	config       []byte
	spec         dockerspec.DockerOCIImage
	layers       []remoteLayer // bottom first
}

// remoteLayer is one layer as the manifest and the config describe it.
type remoteLayer struct {
	blob          types.BlobInfo // packed
	diffID        digest.Digest  // of the tar inside
	chain, parent digest.Digest  // parent is empty for the lowest
}

// attemptsForAnswer is how often a registry with an error of its own (5xx) is
// asked for what an image consists of.
const attemptsForAnswer = 3

// openRemote reads what the registry says about a reference; every document is
// checked against its digest. The caller closes the source.
func (p *pull) openRemote(ctx context.Context, ref reference.Named) (*remoteImage, types.ImageSource, error) {
	for attempt := 1; ; attempt++ {
		remote, src, err := p.tryRemote(ctx, ref)
		// Behind a gateway all sources have been asked already.
		if err == nil || attempt == attemptsForAnswer || p.way.session != nil || !failing(err) {
			return remote, src, err
		}
		if err := p.pause(ctx, tagOrDigest(ref), time.Duration(attempt)*p.opts.Limits.Delay/5); err != nil {
			return nil, nil, err
		}
	}
}

// failing says whether a registry is there and has trouble.
func failing(err error) bool {
	var status docker.UnexpectedHTTPStatusError
	return errors.As(err, &status) && status.StatusCode >= http.StatusInternalServerError && status.StatusCode != http.StatusNotImplemented
}

func (p *pull) tryRemote(ctx context.Context, ref reference.Named) (*remoteImage, types.ImageSource, error) {
	src, err := p.openSource(ctx, p.way, ref)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := p.patience(ctx)
	defer cancel()
	remote, err := p.readRemote(ctx, src)
	if err != nil {
		src.Close()
		return nil, nil, because(ctx, err)
	}
	return remote, src, nil
}

func (p *pull) readRemote(ctx context.Context, src types.ImageSource) (*remoteImage, error) {
	top := image.UnparsedInstance(src, nil)
	raw, mime, err := top.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	out := &remoteImage{}
	if out.topDigest, err = manifest.Digest(raw); err != nil {
		return nil, err
	}
	instance := top
	if manifest.MIMETypeIsMultiImage(mime) {
		if instance, err = p.choose(src, raw, mime); err != nil {
			return nil, err
		}
	}
	if err := p.allowed(ctx, p.way.sys, top, instance); err != nil {
		return nil, err
	}
	if out.manifest, out.manifestType, err = instance.Manifest(ctx); err != nil {
		return nil, err
	}
	if err := supported(out.manifestType); err != nil {
		return nil, err
	}
	img, err := image.FromUnparsedImage(ctx, p.way.sys, instance)
	if err != nil {
		return nil, err
	}
	if err := runnable(img.ConfigInfo().MediaType); err != nil {
		return nil, err
	}
	if out.config, err = p.readConfig(ctx, src, img.ConfigInfo()); err != nil {
		return nil, err
	}
	return out, out.readLayers(img.LayerInfos())
}

// maxConfig bounds what is read into memory on a registry's word.
const maxConfig = 16 << 20

func (p *pull) readConfig(ctx context.Context, src types.ImageSource, info types.BlobInfo) ([]byte, error) {
	if err := info.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("config digest %q: %w: %w", info.Digest, err, errdefs.ErrDataLoss)
	}
	body, err := p.getBlob(ctx, src, info, 0)
	if err != nil {
		return nil, fmt.Errorf("download the config: %w", err)
	}
	defer body.Close()
	checked := &verifiedReader{Reader: io.LimitReader(body, maxConfig), verifier: info.Digest.Verifier(), size: info.Size}
	raw, err := io.ReadAll(checked)
	if err != nil {
		return nil, fmt.Errorf("download the config: %w", err)
	}
	if !checked.ok() {
		return nil, errdefs.ErrDataLoss.WithMessage("image config verification failed for digest " + info.Digest.String())
	}
	return raw, nil
}

// choose finds the wanted platform's image in a list.
func (p *pull) choose(src types.ImageSource, raw []byte, mime string) (*image.UnparsedImage, error) {
	list, err := manifest.ListFromBlob(raw, mime)
	if err != nil {
		return nil, err
	}
	sys := p.way.sys
	d, err := list.ChooseInstance(sys)
	if err != nil {
		want := ocispec.Platform{OS: sys.OSChoice, Architecture: sys.ArchitectureChoice, Variant: sys.VariantChoice}
		return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("no matching manifest for %s in the manifest list entries", platforms.Format(want)))
	}
	return image.UnparsedInstance(src, &d), nil
}

func supported(manifestType string) error {
	switch manifestType {
	case manifest.DockerV2Schema2MediaType, ocispec.MediaTypeImageManifest:
		return nil
	case manifest.DockerV2Schema1MediaType, manifest.DockerV2Schema1SignedMediaType:
		return errdefs.ErrInvalidArgument.WithMessage("Docker Image manifest version 2, schema 1 is not supported: the image must be rebuilt with schema 2 or OCI")
	}
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("the registry answered with something that is no image manifest (media type %q)", manifestType))
}

// runnable refuses artifacts that are no images: charts, signatures, plugins.
func runnable(configType string) error {
	switch configType {
	case manifest.DockerV2Schema2ConfigMediaType, ocispec.MediaTypeImageConfig:
		return nil
	}
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("not a container image: its config has the media type %q", configType))
}

// readLayers pairs the manifest's blobs with the config's diff IDs.
func (r *remoteImage) readLayers(blobs []types.BlobInfo) error {
	if err := json.Unmarshal(r.config, &r.spec); err != nil {
		return fmt.Errorf("read the image's config: %w: %w", err, errdefs.ErrDataLoss)
	}
	diffIDs := r.spec.RootFS.DiffIDs
	if len(diffIDs) != len(blobs) {
		return errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("layers from manifest don't match image configuration: %d layers, %d diff ids", len(blobs), len(diffIDs)))
	}
	for _, d := range diffIDs {
		if err := d.Validate(); err != nil {
			return fmt.Errorf("read the image's config: diff id %q: %w: %w", d, err, errdefs.ErrDataLoss)
		}
	}
	var parent digest.Digest
	for i, chain := range chainIDs(diffIDs) {
		if err := blobs[i].Digest.Validate(); err != nil {
			return fmt.Errorf("read the image's manifest: layer digest %q: %w: %w", blobs[i].Digest, err, errdefs.ErrDataLoss)
		}
		r.layers = append(r.layers, remoteLayer{blob: blobs[i], diffID: diffIDs[i], chain: chain, parent: parent})
		parent = chain
	}
	return nil
}
