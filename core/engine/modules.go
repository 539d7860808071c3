package engine

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/nacre-sh/nacre/core/api"
	"github.com/nacre-sh/nacre/core/mirror"
	"github.com/nacre-sh/nacre/core/network"
	"github.com/nacre-sh/nacre/core/system"
)

// modules makes the modules and gives each what it needs of the others.
func (e *Engine) modules(ctx context.Context) (api.Backends, error) {
	paths := e.store.Paths
	mirrors := &mirror.Mirrors{File: mirror.File{Path: paths.Mirrors()}, Insecure: isLoopback, TempDir: paths.Temp()}
	networks, err := network.New(ctx, e.store)
	if err != nil {
		return api.Backends{}, err
	}
	images, err := e.openImages(ctx, mirrors)
	if err != nil {
		return api.Backends{}, err
	}
	return api.Backends{
		Images: images,
		System: system.New(system.Config{
			Store: e.store, Version: e.opts.Version, Commit: e.opts.Commit, Getenv: e.opts.Getenv,
			Mirrors: mirrorsInUse(mirrors),
		}),
		Events:   e.events,
		Networks: networks,
		Mirrors:  mirrors,
	}, nil
}

// mirrorsInUse lists, per registry, the URLs that a pull tries before the
// registry itself, the chosen one first.
func mirrorsInUse(m *mirror.Mirrors) func(context.Context) (map[string][]string, error) {
	return func(ctx context.Context) (map[string][]string, error) {
		all, err := m.Mirrors(ctx)
		if err != nil {
			return nil, err
		}
		urls := map[string][]string{}
		for _, source := range all {
			switch {
			case !source.Enabled:
			case source.InUse:
				urls[source.Registry] = append([]string{source.URL}, urls[source.Registry]...)
			default:
				urls[source.Registry] = append(urls[source.Registry], source.URL)
			}
		}
		return urls, nil
	}
}

// isLoopback says whether a registry is on this machine: those, as in docker,
// may speak plain HTTP.
func isLoopback(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}
