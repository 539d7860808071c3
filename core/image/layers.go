package image

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	drivers "go.podman.io/storage/drivers"
	"golang.org/x/sync/errgroup"
)

// parallelLayers is how many layers of one pull or push are on their way at the
// same time unless the configuration says otherwise; docker's are 3 and 5.
const parallelLayers = 4

// traffic is what the configuration says of layers on their way.
type traffic struct{ downloads, uploads, attempts int }

func (s *Service) traffic() (traffic, error) {
	cfg, err := s.opts.Ways.Config.Load()
	return traffic{
		downloads: cmp.Or(cfg.MaxConcurrentDownloads, parallelLayers),
		uploads:   cmp.Or(cfg.MaxConcurrentUploads, parallelLayers),
		attempts:  cmp.Or(cfg.MaxDownloadAttempts, s.opts.Limits.Attempts),
	}, err
}

// maker brings layers into the store, wherever their archives come from.
type maker struct {
	*Service
	report *reporter
}

// layerJob is the making of one layer. Fetching and unpacking runs beside the
// other layers'; entering the store waits for the parent's made.
type layerJob struct {
	remoteLayer
	name   string // what docker shows: the beginning of the blob's digest
	parent *layerJob
	made   chan struct{} // closed when the layer is in the store and in the index
}

// packed is the job's archive as a registry gives it.
func (p *pull) packed(src types.ImageSource, job *layerJob, part *partial) packed {
	return packed{
		name: job.name, doing: "Downloading", digest: job.blob.Digest, size: job.blob.Size, diffID: job.diffID,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			rest := func(offset int64) (io.ReadCloser, error) { return p.getBlob(ctx, src, job.blob, offset) }
			return &keptBody{partial: part, size: job.blob.Size, rest: rest}, nil
		},
		verifying: func() { p.report.status(job.name, "Verifying Checksum") },
		done: func() {
			p.report.status(job.name, "Download complete")
			p.report.progress(job.name, "Extracting", job.blob.Size, job.blob.Size)
		},
	}
}

// ensureLayers brings every layer that is not there yet into the store.
func (p *pull) ensureLayers(ctx context.Context, src types.ImageSource, layers []remoteLayer) error {
	var missing []*layerJob
	var below *layerJob
	for _, l := range layers {
		job := &layerJob{remoteLayer: l, name: shortID(l.blob.Digest), parent: below, made: make(chan struct{})}
		below = job
		switch _, err := layerOf(ctx, p.store.DB, l.chain); {
		case err == nil:
			close(job.made)
			p.report.status(job.name, "Already exists")
		case errors.Is(err, sql.ErrNoRows):
			missing = append(missing, job)
			p.report.status(job.name, "Pulling fs layer")
		default:
			return fmt.Errorf("read the image index: %w", err)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	store, err := p.store.Layers()
	if err != nil {
		return err
	}
	traffic, err := p.traffic()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, traffic.downloads)
	for i, job := range missing {
		if i >= traffic.downloads {
			p.report.status(job.name, "Waiting")
		}
		slots <- struct{}{} // in order, so that the lower layers come first
		group.Go(func() error { return p.makeLayer(ctx, store, src, job, func() { <-slots }) })
	}
	return group.Wait()
}

// makeLayer makes one layer unless another pull, here or in another process,
// does so first. It gives its slot back when it only waits.
func (p *pull) makeLayer(ctx context.Context, store storage.Store, src types.ImageSource, job *layerJob, releaseSlot func()) error {
	free := sync.OnceFunc(releaseSlot)
	defer free()
	held, err := p.locks.layer(ctx, job.chain, func() { p.report.status(job.name, "Waiting") })
	if err != nil {
		return err
	}
	defer held.release()
	switch found, err := p.adopt(ctx, store, job.remoteLayer); {
	case err != nil:
		return err
	case found:
		p.report.status(job.name, "Already exists")
		close(job.made)
		return nil
	}
	staged, err := p.fetch(ctx, store, src, job)
	if err != nil {
		return err
	}
	free()
	if err := job.waitForParent(ctx); err != nil {
		return errors.Join(err, store.CleanupStagedLayer(staged))
	}
	if err := p.enter(ctx, store, job.remoteLayer, staged); err != nil {
		return fmt.Errorf("store layer %s: %w", job.name, err)
	}
	p.report.status(job.name, "Pull complete")
	close(job.made)
	return nil
}

// waitForParent ends when the layer below is in the store.
func (j *layerJob) waitForParent(ctx context.Context) error {
	if j.parent == nil {
		return nil
	}
	select {
	case <-j.parent.made:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter makes the unpacked files a layer of the store, on top of its parent.
// What was staged is gone afterwards, also after an error.
func (s *Service) enter(ctx context.Context, store storage.Store, l remoteLayer, staged *drivers.DriverWithDifferOutput) error {
	options := &storage.LayerOptions{UncompressedDigest: l.diffID}
	if l.blob.Digest != "" {
		options.OriginalDigest, options.OriginalSize = l.blob.Digest, &l.blob.Size
	}
	_, err := store.ApplyStagedLayer(storage.ApplyStagedLayerOptions{
		ID: l.chain.Encoded(), ParentLayer: encoded(l.parent), LayerOptions: options,
		DiffOutput: staged, DiffOptions: &drivers.ApplyDiffWithDifferOpts{},
	})
	// After a success too: the library leaves the empty folder around the files.
	if err = errors.Join(err, store.CleanupStagedLayer(staged)); err != nil {
		return err
	}
	var info layerInfo
	if err := json.Unmarshal([]byte(staged.Metadata), &info); err != nil {
		return err
	}
	return s.recordLayer(ctx, store, l, info)
}

func encoded(d digest.Digest) string {
	if d == "" {
		return ""
	}
	return d.Encoded()
}

// layerInfo is kept with the layer in the store, for the case that a crash
// came between the layer and its row in the index.
type layerInfo struct {
	Size int64 `json:"size"` // of the files, as docker counts: no folders, hard links once
}

// adopt says whether the layer is there; one that the store has and the index
// has not, after a crash, is entered into the index.
func (s *Service) adopt(ctx context.Context, store storage.Store, l remoteLayer) (bool, error) {
	_, err := layerOf(ctx, s.store.DB, l.chain)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return err == nil, err
	}
	existing, err := store.Layer(l.chain.Encoded())
	if errors.Is(err, storage.ErrLayerUnknown) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for layer %s: %w", shortID(l.chain), err)
	}
	files, err := s.hasFiles(store, existing.ID)
	if err != nil {
		return false, err
	}
	var info layerInfo
	if !files || json.Unmarshal([]byte(existing.Metadata), &info) != nil || existing.UncompressedDigest != l.diffID {
		return false, deleteLayer(store, existing.ID) // freed, or nothing of ours
	}
	return true, s.recordLayer(ctx, store, l, info)
}

// recordLayer writes the index row of a layer that the store holds.
func (s *Service) recordLayer(ctx context.Context, store storage.Store, l remoteLayer, info layerInfo) error {
	driver, err := store.GraphDriver()
	if err != nil {
		return err
	}
	where, err := driver.Metadata(l.chain.Encoded())
	if err != nil {
		return fmt.Errorf("find layer %s: %w", shortID(l.chain), err)
	}
	folder, err := filepath.Rel(s.store.Paths.Layers(), where["UpperDir"])
	if err != nil {
		return fmt.Errorf("find layer %s: %w", shortID(l.chain), err)
	}
	return addLayer(ctx, s.store.DB, layer{Chain: l.chain, Parent: l.parent, DiffID: l.diffID, Folder: folder, Size: info.Size})
}

// fetch downloads and unpacks a layer beside the store. It tries again when
// the connection failed, from the byte where it stopped, and once more from the
// beginning when what an earlier pull had kept does not fit.
func (p *pull) fetch(ctx context.Context, store storage.Store, src types.ImageSource, job *layerJob) (*drivers.DriverWithDifferOutput, error) {
	traffic, err := p.traffic()
	if err != nil {
		return nil, err
	}
	part, err := p.openPartial(job.blob)
	if err != nil {
		return nil, err
	}
	defer part.close()
	for attempt := 1; ; attempt++ {
		work, err := p.stage(ctx, store, p.packed(src, job, part))
		switch {
		case err == nil, work.bad, noSpace(err):
			return work.staged, errors.Join(err, part.drop())
		case ctx.Err() != nil:
			return nil, err
		case !work.retry && part.start > 0:
			if err := part.clear(); err != nil {
				return nil, err
			}
			attempt-- // it was not the registry's fault
			continue
		case !work.retry:
			return nil, errors.Join(err, part.drop())
		case attempt >= traffic.attempts:
			return nil, err
		}
		if err := p.pause(ctx, job.name, time.Duration(attempt)*p.opts.Limits.Delay); err != nil {
			return nil, err
		}
		if err := part.next(job.blob.Size); err != nil {
			return nil, err
		}
	}
}

// stage unpacks an archive beside the store. The caller enters the result or
// cleans it up; after an error nothing is left.
func (m *maker) stage(ctx context.Context, store storage.Store, in packed) (*extraction, error) {
	work := &extraction{maker: m, ctx: ctx, in: in}
	staged, err := store.PrepareStagedLayer(&drivers.ApplyDiffWithDifferOpts{}, work)
	if err == nil {
		work.staged = staged
		return work, nil
	}
	if staged != nil && staged.Target != "" {
		err = errors.Join(err, store.CleanupStagedLayer(staged))
	}
	return work, err
}

// pause counts the seconds down to the next attempt, as docker does.
func (p *pull) pause(ctx context.Context, name string, delay time.Duration) error {
	for left := delay; left > 0; left -= time.Second {
		unit := "seconds"
		if left <= time.Second {
			unit = "second"
		}
		p.report.status(name, fmt.Sprintf("Retrying in %d %s", int((left+time.Second-1)/time.Second), unit))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(left, time.Second)):
		}
	}
	return nil
}
