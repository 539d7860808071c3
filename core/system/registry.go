package system

import (
	"context"
	"fmt"
	"net/url"

	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/system"

	"github.com/nacre-sh/nacre/core/config"
)

// registries describes how registries are reached: mirrors first, plain HTTP
// where it is allowed.
func (s *System) registries(ctx context.Context, info *system.Info, cfg config.Config) error {
	hub := &registry.IndexInfo{Name: "docker.io", Mirrors: []string{}, Secure: true, Official: true}
	info.RegistryConfig = &registry.ServiceConfig{
		InsecureRegistryCIDRs: append(config.Loopback(), cfg.InsecureRegistries.Prefixes...),
		IndexConfigs:          map[string]*registry.IndexInfo{hub.Name: hub},
		Mirrors:               []string{},
	}
	for _, host := range cfg.InsecureRegistries.Hosts {
		info.RegistryConfig.IndexConfigs[host] = &registry.IndexInfo{Name: host, Mirrors: []string{}, Secure: false}
	}
	if s.cfg.Mirrors == nil {
		return nil
	}
	mirrors, err := s.cfg.Mirrors(ctx)
	if err != nil {
		return fmt.Errorf("list the mirrors in use: %w", err)
	}
	for name, urls := range mirrors {
		if name == hub.Name {
			hub.Mirrors, info.RegistryConfig.Mirrors = urls, urls
			continue
		}
		info.RegistryConfig.IndexConfigs[name] = &registry.IndexInfo{Name: name, Mirrors: urls, Secure: !cfg.InsecureRegistries.Allows(name, nil)}
	}
	return nil
}

// withoutPassword hides the password of a proxy's URL.
func withoutPassword(proxy string) string {
	u, err := url.Parse(proxy)
	if err != nil || u.User == nil {
		return proxy
	}
	if _, secret := u.User.Password(); secret {
		u.User = url.UserPassword("xxxxx", "xxxxx")
	}
	return u.String()
}
