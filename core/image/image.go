// Package image is the engine's image store: pulling and pushing, names,
// listing, removal.
//
// Three places hold an image. Layers lie unpacked in containers/storage
// (overlay), one per chain ID, shared between images. Everything else is
// nacre's own index in the state database: configs, manifests, names, and
// which folder each layer is in. So listing, inspecting and running an image
// never open containers/storage, whose opening costs more than a container's
// start. Registries are reached through go.podman.io/image.
//
// Removal is two steps: one transaction takes names and images out of the
// index into the trash; Collect frees the layers later. A crash at any point
// leaves either the state before or after, and garbage that Collect finds.
package image

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/core/trash"
)

// Options is what the image store needs of others. Store is mandatory.
type Options struct {
	Store  *store.Store
	Events EventSink // nil: events go nowhere
	Users  Users     // nil: no container uses any image

	// Sources decides where the bytes of a registry's images come from; nil
	// asks each registry itself.
	Sources Sources
	// Ways says how each registry is reached, and which policy judges its images.
	Ways access.Ways
	// Settings say whether removed images wait in the trash; nil: they do not.
	Settings *trash.File
	// Limits bounds what a registry may make us wait for; zero fields mean the defaults.
	Limits Limits
}

// Limits are the patience of a pull and of a push.
type Limits struct {
	Idle     time.Duration // longest silence in the middle of an answer (60 s)
	Answer   time.Duration // longest time for a small answer: ping, token, manifest (60 s)
	Attempts int           // how often a blob is tried (5, as docker's max-download-attempts)
	Delay    time.Duration // added per attempt before the next one (5 s)
}

// EventSink takes the engine's events.
type EventSink interface {
	Append(...events.Message) error
}

// Users knows which containers were made from an image.
type Users interface {
	ImageUsers(ctx context.Context, imageID string) ([]User, error)
	// AllImageUsers is ImageUsers for all images that have users.
	AllImageUsers(ctx context.Context) (map[string][]User, error)
}

// User is a container that was made from an image.
type User struct {
	ID      string
	Running bool
}

// Sources prepares the way to the content of ref: it may point sys at a mirror
// (registries.conf, proxy, credentials). The session lives for one pull.
type Sources interface {
	Prepare(ctx context.Context, ref reference.Named, auth *registry.AuthConfig, sys *types.SystemContext) (Session, error)
}

// Session is one pull's way to its content. Served names the source that
// answered, empty when it was the registry itself. Explain turns an error of
// the pull into what the sources said, where it knows better.
type Session interface {
	Served() string
	Explain(err error) error
	Close() error
}

// Service is the image store of one engine. It is safe for concurrent use, and
// any number of processes may have one on the same data root.
type Service struct {
	opts  Options
	store *store.Store
	locks *locks
	lists store.Cache[listed]

	kick chan struct{} // says that there may be something to collect
}

// New brings the index to the newest schema. It opens nothing else.
func New(ctx context.Context, opts Options) (*Service, error) {
	for _, m := range []store.Module{schema, trashSchema} {
		if err := opts.Store.Migrate(ctx, m); err != nil {
			return nil, err
		}
	}
	opts.Limits = opts.Limits.withDefaults()
	if opts.Ways.Temp == "" {
		opts.Ways.Temp = opts.Store.Paths.Temp()
	}
	return &Service{opts: opts, store: opts.Store, locks: &locks{file: opts.Store.Paths.LayersLock()}, kick: make(chan struct{}, 1)}, nil
}

// SetUsers names the users of images after both modules exist. Call it before
// the first request.
func (s *Service) SetUsers(users Users) { s.opts.Users = users }

func (l Limits) withDefaults() Limits {
	if l.Idle == 0 {
		l.Idle = 60 * time.Second
	}
	if l.Answer == 0 {
		l.Answer = 60 * time.Second
	}
	if l.Attempts == 0 {
		l.Attempts = 5
	}
	if l.Delay == 0 {
		l.Delay = 5 * time.Second
	}
	return l
}

func (s *Service) users(ctx context.Context, id digest.Digest) ([]User, error) {
	if s.opts.Users == nil {
		return nil, nil
	}
	users, err := s.opts.Users.ImageUsers(ctx, id.String())
	if err != nil {
		return nil, fmt.Errorf("look up the containers of image %s: %w", shortID(id), err)
	}
	return users, nil
}

// allUsers is users for many images, without the containers in leaving.
func (s *Service) allUsers(ctx context.Context, leaving map[string]bool) (map[digest.Digest][]User, error) {
	of := map[digest.Digest][]User{}
	if s.opts.Users == nil {
		return of, nil
	}
	all, err := s.opts.Users.AllImageUsers(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up the containers of images: %w", err)
	}
	for id, users := range all {
		of[digest.Digest(id)] = slices.DeleteFunc(users, func(u User) bool { return leaving[u.ID] })
	}
	return of, nil
}

// emit records an event of an image; name is the attribute that docker shows.
func (s *Service) emit(action events.Action, id, name string, labels map[string]string) error {
	return s.emitAll([]imageEvent{{action, digest.Digest(id), name, labels}})
}

// emitAll records what happened, in this order.
func (s *Service) emitAll(list []imageEvent) error {
	if s.opts.Events == nil || len(list) == 0 {
		return nil
	}
	messages := make([]events.Message, len(list))
	for i, e := range list {
		attributes := map[string]string{}
		maps.Copy(attributes, e.labels)
		if e.name != "" {
			attributes["name"] = e.name
		}
		messages[i] = events.Message{Type: events.ImageEventType, Action: e.action, Actor: events.Actor{ID: e.id.String(), Attributes: attributes}}
	}
	if err := s.opts.Events.Append(messages...); err != nil {
		return fmt.Errorf("record the event %s of image %s: %w", list[0].action, list[0].id, err)
	}
	return nil
}

// shortID is how docker abbreviates ids in messages.
func shortID(id digest.Digest) string { return short(id.Encoded()) }

func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}
