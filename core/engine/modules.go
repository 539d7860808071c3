package engine

import (
	"context"
	"errors"
	"time"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/api"
	"github.com/nacre-sh/nacre/core/mirror"
	"github.com/nacre-sh/nacre/core/network"
	"github.com/nacre-sh/nacre/core/network/resolver"
	"github.com/nacre-sh/nacre/core/registry"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
	"github.com/nacre-sh/nacre/core/system"
	"github.com/nacre-sh/nacre/core/trash"
	"github.com/nacre-sh/nacre/core/volume"
)

// modules makes the modules and gives each what it needs of the others.
func (e *Engine) modules(ctx context.Context) (api.Backends, error) {
	paths := e.store.Paths
	ways := access.Ways{Config: e.opts.Config, Temp: paths.Temp(), Agent: "nacre/" + e.opts.Version}
	mirrors := &mirror.Mirrors{File: mirror.File{Path: paths.Mirrors()}, Ways: ways, TempDir: paths.Temp(), Limits: mirror.DefaultLimits}
	networks, err := network.New(ctx, network.Options{
		Store: e.store, Events: e.events, Config: e.opts.Config,
		Resolver: func() (string, error) {
			return shimapi.FindProgram(resolver.Binary, resolver.EnvBinary, e.opts.Self, e.opts.Getenv)
		},
	})
	if err != nil {
		return api.Backends{}, err
	}
	settings := &trash.File{Path: paths.TrashSettings()}
	images, err := e.openImages(ctx, ways, mirrors, settings)
	if err != nil {
		return api.Backends{}, err
	}
	volumes, err := volume.New(ctx, volume.Options{Store: e.store, Events: e.events, Settings: settings})
	if err != nil {
		return api.Backends{}, err
	}
	containers, err := e.openContainers(ctx, images, networks, volumes, settings)
	if err != nil {
		return api.Backends{}, err
	}
	bin := &trash.Bin{
		Settings: settings, Dir: paths.Data, Parts: []trash.Part{volumes, images, containers}, Shared: images.TrashBytes, Kick: images.Kick,
	}
	collector := e.collect(ctx, images, bin)
	room := room{images, bin}
	backends := api.Backends{
		System: system.New(system.Config{
			Store: e.store, Version: e.opts.Version, Commit: e.opts.Commit, Getenv: e.opts.Getenv,
			Config: e.opts.Config, Mirrors: mirrorsInUse(mirrors), Count: counts(containers, images),
			Shim: func() (string, error) { return shimapi.Find(e.opts.Self, e.opts.Getenv) },
		}),
		Events:         e.events,
		Containers:     containers,
		Files:          filesWithRoom{containers, room},
		Execs:          containers,
		Images:         imagesWithRoom{images, room},
		Networks:       networks,
		Members:        containers,
		Volumes:        volumes,
		VolumeArchives: volumeArchives{volumes},

		Trash:      removals{collector: collector, bin: bin, images: images, containers: containers, volumes: volumes, networks: networks},
		Mirrors:    mirrors,
		Config:     e.opts.Config,
		Boot:       containers,
		Registries: &registry.Service{Ways: ways, Limits: access.DefaultLimits, Mirrors: mirrors.InUse},
	}
	backends.Reset = reset{
		backends: backends, teardown: networks.Teardown,
		collect: func(ctx context.Context) error {
			if err := errors.Join(collector.stopCollector(ctx), bin.Empty(ctx, "")); err != nil {
				return err
			}
			_, err := images.Collect(ctx, time.Minute)
			return err
		},
	}
	return backends, nil
}
