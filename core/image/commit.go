package image

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/storage"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// Commit makes an image of a parent and one more layer: changes is the layer's
// tar, whiteouts and all, packed or not. It returns the id of the image. An
// archive without entries makes no layer. Errors are errdefs.ErrNotFound (no
// such parent), ErrInvalidArgument (a change that is none) and ErrDataLoss (no
// archive); after an error there is no new image and no new name.
func (s *Service) Commit(ctx context.Context, changes io.Reader, opts backend.ImageCommit) (string, error) {
	config, err := committedConfig(opts)
	if err != nil {
		return "", err
	}
	lease, err := s.locks.lease(ctx)
	if err != nil {
		return "", err
	}
	defer lease.release()
	base, err := s.base(ctx, opts)
	if err != nil {
		return "", err
	}
	m := &maker{Service: s, report: &reporter{}}
	made, err := m.layerOn(ctx, base.RootFS.DiffIDs, packed{
		name: "of the changes", size: -1, open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(changes), nil },
	})
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	step := ocispec.History{Created: &now, Author: opts.Author, Comment: opts.Comment, EmptyLayer: made == ""}
	if opts.Container != nil {
		step.CreatedBy = strings.Join(opts.Container.Cmd, " ")
	}
	next := grow(base, made, step)
	next.Created, next.Author, next.Config = &now, opts.Author, config
	return s.add(ctx, next, digest.Digest(opts.Parent), opts.Ref, "")
}

// base is the parent's description, or that of an image without layers.
func (s *Service) base(ctx context.Context, opts backend.ImageCommit) (dockerspec.DockerOCIImage, error) {
	var base dockerspec.DockerOCIImage
	if opts.Parent != "" {
		// Also from the trash: a container outlives the removal of its image.
		var err error
		base, err = configOf(ctx, s.store.DB, digest.Digest(opts.Parent))
		if errors.Is(err, sql.ErrNoRows) {
			return base, errdefs.ErrNotFound.WithMessage("No such image: " + opts.Parent)
		}
		if err != nil {
			return base, err
		}
	}
	if opts.Platform.OS != "" {
		base.Platform = opts.Platform
	}
	if base.OS == "" {
		base.Platform = ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	return base, nil
}

// grow puts a layer on top of an image's description; an empty one only adds
// the step to its history.
func grow(base dockerspec.DockerOCIImage, layer digest.Digest, step ocispec.History) dockerspec.DockerOCIImage {
	base.RootFS.Type = "layers"
	base.RootFS.DiffIDs = slices.Clone(base.RootFS.DiffIDs)
	if layer != "" {
		base.RootFS.DiffIDs = append(base.RootFS.DiffIDs, layer)
	}
	if base.RootFS.DiffIDs == nil {
		base.RootFS.DiffIDs = []digest.Digest{}
	}
	base.History = append(slices.Clone(base.History), step)
	return base
}

// layerOn unpacks a layer on top of those below and returns its diff ID; empty
// when the archive has no entries.
func (m *maker) layerOn(ctx context.Context, below []digest.Digest, in packed) (digest.Digest, error) {
	store, err := m.store.Layers()
	if err != nil {
		return "", err
	}
	work, err := m.stage(ctx, store, in)
	if err != nil && work.bad && !classified(err) {
		err = &worded{text: err.Error(), class: errdefs.ErrInvalidArgument, cause: err}
	}
	if err != nil {
		return "", translateStore(err)
	}
	if work.entries == 0 {
		return "", store.CleanupStagedLayer(work.staged)
	}
	diffID := work.staged.UncompressedDigest
	return diffID, translateStore(m.enterNew(ctx, store, stackOn(below, diffID), work))
}

// stackOn says where a layer comes to lie.
func stackOn(below []digest.Digest, diffID digest.Digest) remoteLayer {
	chains := chainIDs(append(slices.Clone(below), diffID))
	l := remoteLayer{diffID: diffID, chain: chains[len(chains)-1]}
	if len(chains) > 1 {
		l.parent = chains[len(chains)-2]
	}
	return l
}

// enterNew makes a layer of what was unpacked, unless the store has it already.
func (m *maker) enterNew(ctx context.Context, store storage.Store, l remoteLayer, work *extraction) error {
	held, err := m.locks.layer(ctx, l.chain, nil)
	if err != nil {
		return errors.Join(err, store.CleanupStagedLayer(work.staged))
	}
	defer held.release()
	there, err := m.adopt(ctx, store, l)
	if there || err != nil {
		return errors.Join(err, store.CleanupStagedLayer(work.staged))
	}
	if err := m.enter(ctx, store, l, work.staged); err != nil {
		return fmt.Errorf("store layer %s: %w", shortID(l.diffID), err)
	}
	return nil
}

// add puts an image whose layers are in the store into the index under a name,
// if there is one, and tells of the action where that is not empty.
func (s *Service) add(ctx context.Context, spec dockerspec.DockerOCIImage, parent digest.Digest, ref reference.Named, action events.Action) (string, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	var id digest.Digest
	err = s.change(ctx, func(tx *store.Tx) error {
		if id, err = addImage(ctx, tx, newImage{Config: raw, Parent: parent}); err != nil || ref == nil {
			return err
		}
		return setName(ctx, tx, ref, id)
	})
	if err != nil {
		return "", err
	}
	if action != "" {
		err = s.emit(action, id.String(), id.String(), spec.Config.Labels)
	}
	if ref != nil && err == nil {
		err = s.emit(events.ActionTag, id.String(), reference.FamiliarString(ref), spec.Config.Labels)
	}
	return id.String(), err
}

// committedConfig is the new image's config: what the request asks for, its
// changes, and what the container had where they say nothing.
func committedConfig(opts backend.ImageCommit) (dockerspec.DockerOCIImageConfig, error) {
	asked := opts.Config
	if asked == nil {
		asked = opts.Container
	}
	config, err := applyChanges(imageConfig(asked), opts.Changes)
	if err != nil {
		return config, err
	}
	return fillUp(config, imageConfig(opts.Container)), nil
}

// imageConfig is the part of a container's config that images have.
func imageConfig(c *container.Config) dockerspec.DockerOCIImageConfig {
	if c == nil {
		return dockerspec.DockerOCIImageConfig{}
	}
	var ports map[string]struct{}
	for p := range c.ExposedPorts {
		if ports == nil {
			ports = map[string]struct{}{}
		}
		ports[p.String()] = struct{}{}
	}
	return dockerspec.DockerOCIImageConfig{
		ImageConfig: ocispec.ImageConfig{
			User: c.User, ExposedPorts: ports, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, Volumes: c.Volumes,
			WorkingDir: c.WorkingDir, Labels: c.Labels, StopSignal: c.StopSignal,
		},
		DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{Healthcheck: c.Healthcheck, OnBuild: c.OnBuild, Shell: c.Shell},
	}
}
