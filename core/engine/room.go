package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/trash"
)

// room is what a full disk can be given back at once: removed things that wait
// for an undo, and what interrupted pulls have kept.
type room struct {
	images *image.Service
	bin    *trash.Bin
}

// make empties the trash, frees what is to be freed anyway, and says whether
// that can have helped.
func (r room) make(ctx context.Context) (bool, error) {
	if err := r.images.DropDownloads(); err != nil {
		return false, err
	}
	t, err := r.bin.Look(ctx)
	if err != nil {
		return false, err
	}
	if len(t.Items) > 0 {
		if err := r.bin.Empty(ctx, ""); err != nil {
			return false, err
		}
	}
	freed, err := r.images.Collect(ctx, 0)
	return len(t.Items) > 0 || freed > 0, err
}

// again does what ran out of space once more when that made room.
func (r room) again(ctx context.Context, progress backend.Progress, do func() error) error {
	err := do()
	if err == nil || !outOfSpace(err) {
		return err
	}
	made, roomErr := r.make(ctx)
	if !made || roomErr != nil {
		return errors.Join(err, roomErr)
	}
	if progress != nil {
		progress(jsonstream.Message{Status: "No space left: the trash has been emptied"})
	}
	return do()
}

// once is for what reads a stream, which is gone after an error: it makes room
// and leaves the second attempt to the user.
func (r room) once(ctx context.Context, what string, do func() error) error {
	err := do()
	if err == nil || !outOfSpace(err) {
		return err
	}
	made, roomErr := r.make(ctx)
	if !made || roomErr != nil {
		return errors.Join(err, roomErr)
	}
	return errdefs.ErrResourceExhausted.WithMessage(fmt.Sprintf("%s\nhint: the trash has been emptied meanwhile: %s again", firstLine(err), what))
}

// firstLine is an error without its hint.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\nhint: ")
	return line
}

// outOfSpace: libraries on the way keep the text of an error, but not the error.
func outOfSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || strings.Contains(err.Error(), unix.ENOSPC.Error())
}

// imagesWithRoom makes room when an image does not fit.
type imagesWithRoom struct {
	*image.Service
	room
}

// Pull implements api.Images.
func (i imagesWithRoom) Pull(ctx context.Context, opts backend.Pull) error {
	return i.again(ctx, opts.Progress, func() error { return i.Service.Pull(ctx, opts) })
}

// Load implements api.Images.
func (i imagesWithRoom) Load(ctx context.Context, archive io.Reader, opts backend.ImageLoad) error {
	return i.once(ctx, "load", func() error { return i.Service.Load(ctx, archive, opts) })
}

// Import implements api.Images.
func (i imagesWithRoom) Import(ctx context.Context, body io.Reader, opts backend.ImageImport) error {
	do := func() error { return i.Service.Import(ctx, body, opts) }
	if opts.Source == "-" {
		return i.once(ctx, "import", do)
	}
	return i.again(ctx, opts.Progress, do)
}

// filesWithRoom makes room when a commit does not fit.
type filesWithRoom struct {
	*container.Module
	room
}

// Commit implements api.Files.
func (f filesWithRoom) Commit(ctx context.Context, name string, opts backend.ContainerCommit) (id string, err error) {
	err = f.again(ctx, nil, func() error {
		id, err = f.Module.Commit(ctx, name, opts)
		return err
	})
	return id, err
}
