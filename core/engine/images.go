package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/mirror"
	"github.com/nacre-sh/nacre/core/trash"
)

// openImages makes the image store.
func (e *Engine) openImages(ctx context.Context, ways access.Ways, mirrors *mirror.Mirrors, settings *trash.File) (*image.Service, error) {
	return image.New(ctx, image.Options{Store: e.store, Events: e.events, Sources: imageSources{mirrors}, Ways: ways, Settings: settings})
}

// imagesWithRoom empties the trash when a pull runs out of space, and pulls again.
type imagesWithRoom struct {
	*image.Service
	bin *trash.Bin
}

// Pull implements api.Images.
func (i imagesWithRoom) Pull(ctx context.Context, opts backend.Pull) error {
	err := i.Service.Pull(ctx, opts)
	if err == nil || !outOfSpace(err) {
		return err
	}
	t, look := i.bin.Look(ctx)
	if look != nil || len(t.Items) == 0 {
		return err
	}
	if opts.Progress != nil {
		opts.Progress(jsonstream.Message{Status: "No space left: emptying the trash"})
	}
	if empty := i.bin.Empty(ctx, ""); empty != nil {
		return errors.Join(err, empty)
	}
	if _, collect := i.Collect(ctx, 0); collect != nil {
		return errors.Join(err, collect)
	}
	return i.Service.Pull(ctx, opts)
}

// outOfSpace: libraries on the way keep the text of an error, but not the error.
func outOfSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || strings.Contains(err.Error(), unix.ENOSPC.Error())
}

// imageSources lets pulls go through the mirror gateway.
type imageSources struct{ mirrors *mirror.Mirrors }

// Prepare has no session where the registry has no mirrors.
func (s imageSources) Prepare(ctx context.Context, ref reference.Named, auth *registry.AuthConfig, sys *types.SystemContext) (image.Session, error) {
	session, err := s.mirrors.Prepare(ctx, ref, auth, sys)
	if session == nil || err != nil {
		return nil, err // not session: a nil pointer in an interface is not nil
	}
	return mirrored{session, reference.Domain(ref)}, nil
}

// mirrored is a pull through mirrors, the last of whose sources is the registry.
type mirrored struct {
	*mirror.Session
	registry string
}

// Served implements image.Session: the registry itself needs no mention.
func (m mirrored) Served() string {
	if label := m.Session.Served(); label != m.registry {
		return label
	}
	return ""
}
