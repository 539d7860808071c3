package system

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/system"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"

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

// Auth asks a registry whether it takes the user's credentials. Errors are
// errdefs.ErrUnauthenticated when it does not.
func (s *System) Auth(ctx context.Context, auth registry.AuthConfig) (registry.AuthResponse, error) {
	name, err := registryName(auth.ServerAddress)
	if err != nil {
		return registry.AuthResponse{}, err
	}
	sys := &types.SystemContext{
		SystemRegistriesConfPath:    os.DevNull,                                                      // the host's files for other tools decide nothing here
		SystemRegistriesConfDirPath: filepath.Join(s.cfg.Store.Paths.Temp(), "no-registries.conf.d"), // does not exist
		DockerInsecureSkipTLSVerify: types.NewOptionalBool(config.IsLoopback(name)),
		DockerRegistryUserAgent:     "nacre/" + s.cfg.Version,
	}
	password := auth.Password
	if auth.IdentityToken != "" {
		return registry.AuthResponse{}, errdefs.ErrNotImplemented.WithMessage("logging in with an identity token is not served by this engine yet")
	}
	if err := docker.CheckAuth(ctx, sys, auth.Username, password, name); err != nil {
		return registry.AuthResponse{}, loginError(name, err)
	}
	return registry.AuthResponse{Status: "Login Succeeded"}, nil
}

func loginError(name string, err error) error {
	var refused docker.ErrUnauthorizedForCredentials
	if errors.As(err, &refused) {
		return errdefs.ErrUnauthenticated.WithMessage(
			fmt.Sprintf("login attempt to %s failed with status: 401 Unauthorized", name))
	}
	return fmt.Errorf("log in to %s: %w", name, err)
}

// registryName is the host a server address means: docker's clients send
// hosts, URLs, and the address of Docker Hub's old index.
func registryName(address string) (string, error) {
	address = strings.TrimSpace(address)
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil {
			return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid registry address %q", address))
		}
		address = u.Host
	}
	host, _, _ := strings.Cut(address, "/")
	switch host {
	case "", "index.docker.io", "registry-1.docker.io":
		return "docker.io", nil
	}
	return host, nil
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
