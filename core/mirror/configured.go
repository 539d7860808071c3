package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/access"
)

// load reads the mirror file and adds Docker Hub's `registry-mirrors` of the
// configuration file, after those of the mirror file.
func (m *Mirrors) load() (Config, error) {
	c, err := m.File.Load()
	if err != nil {
		return c, err
	}
	urls, err := m.configured()
	if err != nil || len(urls) == 0 {
		return c, err
	}
	hub := c.need(access.Hub)
	for _, u := range urls {
		if hub.index(u) < 0 {
			hub.Mirrors = append(hub.Mirrors, Source{URL: u})
		}
	}
	return c, nil
}

func (m *Mirrors) configured() ([]string, error) {
	cfg, err := m.Ways.Config.Load()
	return cfg.RegistryMirrors, err
}

// isConfigured says whether a mirror is one of the configuration file's.
func (m *Mirrors) isConfigured(registry, url string) (bool, error) {
	urls, err := m.configured()
	return registry == access.Hub && slices.Contains(urls, strings.TrimSuffix(url, "/")), err
}

// useConfigured chooses among sources of which the mirror file knows none.
func (m *Mirrors) useConfigured(c *Config, registry, urlOrName string) (bool, error) {
	urls, err := m.configured()
	if err != nil || registry != access.Hub || len(urls) == 0 {
		return false, err
	}
	if url := strings.TrimSuffix(urlOrName, "/"); urlOrName == Origin || slices.Contains(urls, url) {
		c.need(registry).Use = url
		return true, nil
	}
	return false, nil
}

// need returns the registry's entry, which it makes where there is none.
func (c *Config) need(registry string) *Registry {
	if r := c.find(registry); r != nil {
		return r
	}
	c.Registries = append(c.Registries, Registry{Name: registry})
	return &c.Registries[len(c.Registries)-1]
}

func configuredElsewhere(url string) error {
	return fmt.Errorf("mirror %s stands in the configuration file\nhint: config unset registry-mirrors %s: %w", url, url, errdefs.ErrFailedPrecondition)
}

// InUse lists the URLs of a registry's enabled mirrors in the order of trial,
// none where the registry itself comes first.
func (m *Mirrors) InUse(_ context.Context, registry string) ([]string, error) {
	c, err := m.load()
	if err != nil {
		return nil, err
	}
	entry := c.find(registry)
	if entry == nil {
		return nil, nil
	}
	sources, originFirst := entry.order()
	if originFirst {
		return nil, nil
	}
	urls := make([]string, len(sources))
	for i, s := range sources {
		urls[i] = s.URL
	}
	return urls, nil
}
