package engine

import (
	"context"
	"os"
	"sync"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/container"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/network"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
	"github.com/nacre-sh/nacre/core/system"
	"github.com/nacre-sh/nacre/core/trash"
	"github.com/nacre-sh/nacre/core/volume"
)

// envTrace makes the life of containers tell, on standard error, how long each step takes.
const envTrace = "NACRE_TRACE"

// openContainers makes the module of containers and tells the images who uses them.
func (e *Engine) openContainers(ctx context.Context, images *image.Service, networks *network.Networks, volumes *volume.Volumes, settings *trash.File) (*container.Module, error) {
	opts := container.Options{
		Store: e.store, Images: images, Networks: networks, Volumes: volumes, Events: e.events, Config: e.opts.Config,
		Settings:   settings,
		Shim:       e.opts.findShim(),
		LogDefault: e.logDefault,
		Early:      e.opts.Early, ExpectStart: e.opts.ExpectStart, OnlyCreate: e.opts.OnlyCreate,
	}
	if e.opts.Getenv(envTrace) != "" {
		opts.Trace = container.NewTrace(os.Stderr)
	}
	containers, err := container.New(ctx, opts)
	if err != nil {
		return nil, err
	}
	images.SetUsers(imageUsers{containers})
	e.closers = append(e.closers, containers.Close)
	e.warm = containers.Warm
	return containers, nil
}

// findShim returns a function that looks for the shim's program once.
func (o *Options) findShim() func() (string, error) {
	return sync.OnceValues(func() (string, error) { return shimapi.Find(o.Self, o.Getenv) })
}

// ExpectProcess says that a process will be started within some time, of a new
// container or in one that runs. It is for whoever knows before the engine does:
// the kernel takes some milliseconds to get ready for it.
func ExpectProcess(within time.Duration) { shimapi.ExpectProcess(within) }

// EarlyShim is one that is spawned before the engine is open.
type EarlyShim = container.Early

// SpawnEarly spawns a shim for Options.Early. It is for a program that will
// open the engine in some milliseconds to start a container: as many as the
// shim takes to get ready.
func SpawnEarly(opts Options) *EarlyShim {
	opts.complete()
	return container.SpawnEarly(opts.findShim())
}

// imageUsers tells the image store which containers use an image.
type imageUsers struct{ containers *container.Module }

func (u imageUsers) ImageUsers(ctx context.Context, imageID string) ([]image.User, error) {
	uses, err := u.containers.ImageUsers(ctx, imageID)
	return users(uses), err
}

func (u imageUsers) AllImageUsers(ctx context.Context) (map[string][]image.User, error) {
	all, err := u.containers.AllImageUsers(ctx)
	of := map[string][]image.User{}
	for id, uses := range all {
		of[id] = users(uses)
	}
	return of, err
}

func users(uses []container.Use) []image.User {
	users := make([]image.User, len(uses))
	for i, use := range uses {
		users[i] = image.User{ID: use.ID, Running: use.Running}
	}
	return users
}

// counts is what info says of containers and images.
func counts(containers *container.Module, images *image.Service) func(context.Context) (system.Counts, error) {
	return func(ctx context.Context) (c system.Counts, err error) {
		if c.Running, c.Paused, c.Stopped, err = containers.Counts(ctx); err != nil {
			return c, err
		}
		c.Images, err = images.Count(ctx)
		return c, err
	}
}

// logDefault is what the configuration says of logs, as it is now.
func (e *Engine) logDefault() (logs dockercontainer.LogConfig, err error) {
	c, err := e.opts.Config.Load()
	return dockercontainer.LogConfig{Type: c.LogDriver, Config: c.LogOpts}, err
}
