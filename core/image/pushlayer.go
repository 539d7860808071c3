package image

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/image/v5/types"
)

// noCache: what a registry holds is asked of it, or known from the index.
var noCache = none.NoCache

// knownBlob is a packed form of a layer that a repository is known to have had.
type knownBlob struct {
	repo string
	ocispec.Descriptor
}

// knownBlobs lists the packed forms of a layer on the registry that we push
// to, the best first: the form that the image's own manifest names, so that the
// digest stays, then those of the very repository.
func (p *push) knownBlobs(ctx context.Context, diffID digest.Digest, own map[digest.Digest]bool) ([]knownBlob, error) {
	var all []knownBlob
	err := each(ctx, p.store.DB, func(rows *sql.Rows) error {
		var b knownBlob
		if err := rows.Scan(&b.repo, &b.Digest, &b.Size, &b.MediaType); err != nil {
			return err
		}
		named, err := reference.ParseNormalizedNamed(b.repo)
		if err == nil && reference.Domain(named) == reference.Domain(p.ref) {
			all = append(all, b)
		}
		return err
	}, `SELECT repo, digest, size, media_type FROM blobs WHERE diff_id = ? ORDER BY repo, digest`, diffID.String())
	rank := func(b knownBlob) int {
		switch here := b.repo == p.ref.Name(); {
		case own[b.Digest] && here:
			return 0
		case own[b.Digest]:
			return 1
		case here:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(all, func(a, b knownBlob) int { return rank(a) - rank(b) })
	return all, err
}

// ownBlobs are the layers that an image's manifest names.
func ownBlobs(image *stored) map[digest.Digest]bool {
	own := map[digest.Digest]bool{}
	original, err := manifest.FromBlob(image.Manifest, image.ManifestType)
	if err != nil {
		return own // an image that was made here has none
	}
	for _, info := range original.LayerInfos() {
		own[info.Digest] = true
	}
	return own
}

// sendLayer brings one layer to the registry by the cheapest way there is.
func (p *push) sendLayer(ctx context.Context, dest types.ImageDestination, l layer, own map[digest.Digest]bool) (ocispec.Descriptor, error) {
	name := shortID(l.DiffID)
	known, err := p.knownBlobs(ctx, l.DiffID, own)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, b := range known {
		info := types.BlobInfo{Digest: b.Digest, Size: b.Size, MediaType: b.MediaType}
		if there, err := p.exists(ctx, dest, info); err != nil {
			return ocispec.Descriptor{}, err
		} else if there {
			p.report.status(name, "Layer already exists")
			return b.Descriptor, nil
		}
		if b.repo == p.ref.Name() {
			continue // it was there once
		}
		from, err := reference.ParseNormalizedNamed(b.repo)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		// That it cannot be mounted, whyever, only means that it must be sent.
		if mounted, err := p.mount(ctx, from, b.Digest); err == nil && mounted {
			p.report.status(name, "Mounted from "+reference.Path(from))
			return b.Descriptor, nil
		}
	}
	return p.upload(ctx, dest, l)
}

// exists says whether the repository has a blob already.
func (p *push) exists(ctx context.Context, dest types.ImageDestination, info types.BlobInfo) (bool, error) {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	ok, _, err := dest.TryReusingBlob(ctx, info, noCache, false)
	if err != nil {
		return false, because(ctx, err)
	}
	return ok, nil
}

// upload packs a layer and sends it while it is packed.
func (p *push) upload(ctx context.Context, dest types.ImageDestination, l layer) (ocispec.Descriptor, error) {
	name := shortID(l.DiffID)
	store, err := p.store.Layers()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	diff, err := openLayer(store, l.Chain)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	check := l.DiffID.Verifier()
	bar := &progressReader{Reader: io.TeeReader(diff, check), report: p.report, id: name, text: "Pushing", total: l.Size}
	packed := pack(bar, diff)
	defer packed.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := time.AfterFunc(p.opts.Limits.Idle, func() { cancel(errSilent) })
	defer clock.Stop()
	info, err := dest.PutBlob(ctx, &takenReader{packed, clock, p.opts.Limits.Idle}, types.BlobInfo{Size: -1, MediaType: manifest.DockerV2Schema2LayerMediaType}, noCache, false)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("send layer %s: %w", name, because(ctx, err))
	}
	if !check.Verified() {
		return ocispec.Descriptor{}, damaged(l)
	}
	p.report.status(name, "Pushed")
	return ocispec.Descriptor{MediaType: manifest.DockerV2Schema2LayerMediaType, Digest: info.Digest, Size: info.Size}, nil
}

// pack compresses what it reads and closes the source at the end; closing the
// result ends it early.
func pack(plain io.Reader, source io.ReadCloser) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(compress(w, plain))
		// The library's goroutine behind the source must have come to its end
		// before the source is closed. This is nobody's critical path.
		io.Copy(io.Discard, source)
		source.Close()
	}()
	return r
}

func compress(to io.Writer, plain io.Reader) error {
	zip, err := compression.CompressStream(to, compression.Gzip, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(zip, plain); err != nil {
		zip.Close()
		return err
	}
	return zip.Close()
}

// takenReader restarts the clock whenever the registry takes bytes.
type takenReader struct {
	io.Reader
	clock *time.Timer
	idle  time.Duration
}

func (t *takenReader) Read(b []byte) (int, error) {
	t.clock.Stop() // packing takes as long as it takes
	n, err := t.Reader.Read(b)
	t.clock.Reset(t.idle)
	return n, err
}
