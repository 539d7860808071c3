package engine

import (
	"context"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"go.podman.io/image/v5/types"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/mirror"
	"github.com/nacre-sh/nacre/core/trash"
)

// openImages makes the image store.
func (e *Engine) openImages(ctx context.Context, ways access.Ways, mirrors *mirror.Mirrors, settings *trash.File) (*image.Service, error) {
	return image.New(ctx, image.Options{Store: e.store, Events: e.events, Sources: imageSources{mirrors}, Ways: ways, Settings: settings})
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
