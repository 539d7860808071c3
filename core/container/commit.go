package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/files"
)

// Commit makes an image of what a container has changed, without what is
// mounted in it. A running one is held still meanwhile, unless asked not to.
func (m *Module) Commit(ctx context.Context, name string, opts backend.ContainerCommit) (string, error) {
	id, err := m.resolve(ctx, name)
	if err != nil {
		return "", err
	}
	unlock, err := m.lock(ctx, id) // its removal would leave half a layer
	if err != nil {
		return "", err
	}
	defer unlock()
	l, err := m.lookLocked(ctx, id)
	if err != nil {
		return "", err
	}
	if opts.Pause && l.now == running {
		release, err := m.holdStill(ctx, l)
		if err != nil {
			return "", err
		}
		defer release()
	}
	image, err := m.commit(ctx, l, opts)
	if errdefs.IsInvalidArgument(err) { // of the caller's words
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("commit container %s: %w", l.Name, err)
	}
	extra := map[string]string{"comment": opts.Comment, "imageID": image, "imageRef": ""}
	if opts.Ref != nil {
		extra["imageRef"] = reference.FamiliarString(opts.Ref)
	}
	return image, m.emit(l.record, events.ActionCommit, extra)
}

// holdStill pauses a container until release. Its shim lets it go on when this
// process is killed meanwhile.
func (m *Module) holdStill(ctx context.Context, l live) (release func(), err error) {
	client, err := m.client(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	letGo, err := client.Hold(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot pause container %s: %w", l.ID, tooLate(l.ID, err))
	}
	release = func() { m.report(errors.Join(letGo(), m.emit(l.record, events.ActionUnPause, nil))) }
	if err := m.emit(l.record, events.ActionPause, nil); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// commit streams the layer into the image store.
func (m *Module) commit(ctx context.Context, l live, opts backend.ContainerCommit) (string, error) {
	changes, err := m.changes(l.record)
	if err != nil {
		return "", err
	}
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := files.PackChanges(ctx, filepath.Join(m.paths.Container(l.ID), upperDir), changes, w)
		w.CloseWithError(err)
		packed <- err
	}()
	id, err := m.images.Commit(ctx, r, backend.ImageCommit{
		Parent: l.ImageID, Platform: ocispec.Platform{OS: l.Rootfs.OS, Architecture: l.Rootfs.Architecture},
		ContainerID: l.ID, Container: l.Config, Config: opts.Config, Changes: opts.Changes,
		Author: opts.Author, Comment: opts.Comment, Ref: opts.Ref,
	})
	r.CloseWithError(errors.New("the image store has given up"))
	if packErr := <-packed; err == nil {
		err = packErr
	}
	return id, err
}
