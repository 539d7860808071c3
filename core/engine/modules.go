package engine

import (
	"context"

	"github.com/nacre-sh/nacre/core/api"
	"github.com/nacre-sh/nacre/core/system"
)

// modules makes the modules and gives each what it needs of the others.
func (e *Engine) modules(context.Context) (api.Backends, error) {
	return api.Backends{
		System: system.New(system.Config{
			Store: e.store, Version: e.opts.Version, Commit: e.opts.Commit, Getenv: e.opts.Getenv,
		}),
		Events: e.events,
	}, nil
}
