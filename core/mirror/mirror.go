package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"go.podman.io/image/v5/types"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
)

// Mirrors is the module: the file, and what is done with it.
type Mirrors struct {
	File    File
	Ways    access.Ways // how each source is reached
	TempDir string      // for the generated registries.conf
	Limits  Limits
}

// Mirrors lists all sources of all registries.
func (m *Mirrors) Mirrors(context.Context) ([]backend.Mirror, error) {
	c, err := m.load()
	if err != nil {
		return nil, err
	}
	return c.list(), nil
}

// MirrorAdd adds a source (errdefs.ErrAlreadyExists, errdefs.ErrInvalidArgument).
func (m *Mirrors) MirrorAdd(_ context.Context, add backend.Mirror) error {
	return m.File.Change(func(c *Config) error {
		return c.Add(CanonicalRegistry(add.Registry), Source{Name: add.Name, URL: strings.TrimSuffix(add.URL, "/")})
	})
}

// MirrorRemove removes a source (errdefs.ErrNotFound).
func (m *Mirrors) MirrorRemove(_ context.Context, registry, urlOrName string) error {
	registry = CanonicalRegistry(registry)
	configured, err := m.isConfigured(registry, urlOrName)
	if err != nil {
		return err
	}
	return m.File.Change(func(c *Config) error {
		err := c.Remove(registry, urlOrName)
		if errdefs.IsNotFound(err) && configured {
			return configuredElsewhere(urlOrName)
		}
		return err
	})
}

// MirrorUse makes a source the first that is tried (errdefs.ErrNotFound).
func (m *Mirrors) MirrorUse(_ context.Context, registry, urlOrName string) error {
	registry = CanonicalRegistry(registry)
	return m.File.Change(func(c *Config) error {
		err := c.Use(registry, urlOrName)
		if !errdefs.IsNotFound(err) {
			return err
		}
		if used, broken := m.useConfigured(c, registry, urlOrName); used || broken != nil {
			return broken
		}
		return err
	})
}

// Session is one pull through the gateway.
type Session struct {
	gateway *gateway
	conf    string // folder of the generated configuration
}

// Prepare opens a gateway for a pull of ref when its registry has mirrors, and
// points sys at it. Without mirrors it returns nil and leaves sys as it is.
// auth goes to the registry itself and never to a mirror.
func (m *Mirrors) Prepare(_ context.Context, ref reference.Named, auth *registry.AuthConfig, sys *types.SystemContext) (*Session, error) {
	c, err := m.load()
	if err != nil {
		return nil, err
	}
	host := reference.Domain(ref)
	entry := c.find(host)
	if entry == nil {
		return nil, nil
	}
	sources, err := m.sources(entry, reference.Path(ref), auth)
	if err != nil || len(sources) < 2 {
		return nil, err
	}
	g, err := openGateway(reference.Path(ref), sources)
	if err != nil {
		return nil, err
	}
	s := &Session{gateway: g}
	if s.conf, err = m.registriesConf(host, g); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := g.signatureScopes(s.conf, ref, sys); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	sys.SystemRegistriesConfPath = filepath.Join(s.conf, "registries.conf")
	sys.SystemRegistriesConfDirPath = filepath.Join(s.conf, "none")
	sys.DockerProxy = onlyTo(g.host())
	return s, nil
}

// sources builds the list in order of trial: mirrors, and the registry itself first or last.
func (m *Mirrors) sources(entry *Registry, repo string, creds *registry.AuthConfig) ([]*source, error) {
	order, originFirst := entry.order()
	var list []*source
	for _, s := range order {
		base, err := parseURL(s.URL)
		if err != nil {
			return nil, err
		}
		src, err := m.open(s.label(), base.Host, base, repo, nil)
		if err != nil {
			return nil, err
		}
		list = append(list, src)
	}
	origin, err := m.open(entry.Name, entry.Name, originURL(entry.Name), repo, creds)
	if err != nil {
		return nil, err
	}
	origin.origin = true
	if originFirst {
		return append([]*source{origin}, list...), nil
	}
	return append(list, origin), nil
}

// open makes a source that goes the way of a registry (host or host:port).
func (m *Mirrors) open(label, registry string, base *url.URL, repo string, creds *registry.AuthConfig) (*source, error) {
	way, err := m.Ways.To(registry)
	if err != nil {
		return nil, err
	}
	return newSource(label, base, repo, creds, m.Limits, way)
}

// originURL is where a registry answers. On loopback that is plain HTTP more
// often than not; a source tries the other scheme where it may.
func originURL(name string) *url.URL {
	u := &url.URL{Scheme: "https", Host: name}
	switch {
	case name == access.Hub:
		u.Host = "registry-1.docker.io"
	case config.IsLoopback(name):
		u.Scheme = "http"
	}
	return u
}

// registriesConf writes the containers-registries.conf(5) of one pull into a
// folder of its own: one mirror, the gateway. `insecure` stands at the mirror only.
func (m *Mirrors) registriesConf(host string, g *gateway) (string, error) {
	dir, err := os.MkdirTemp(m.TempDir, "mirror-")
	if err != nil {
		return "", fmt.Errorf("prepare the pull through mirrors: %w", err)
	}
	text := fmt.Sprintf("unqualified-search-registries = []\n\n[[registry]]\nprefix = %q\nlocation = %q\n\n[[registry.mirror]]\nlocation = %q\ninsecure = true\n",
		host, host, g.prefix())
	if err := os.WriteFile(filepath.Join(dir, "registries.conf"), []byte(text), 0o600); err != nil {
		return dir, fmt.Errorf("prepare the pull through mirrors: %w", err)
	}
	return dir, nil
}

// onlyTo is a proxy rule that lets requests through to the gateway and
// refuses all others: the gateway has already asked the registry itself.
func onlyTo(host string) func(*url.URL) (*url.URL, error) {
	return func(u *url.URL) (*url.URL, error) {
		if u.Host == host {
			return nil, nil
		}
		return nil, fmt.Errorf("%s: %s", u.Host, http.StatusText(http.StatusBadGateway))
	}
}

// Served names the source that gave most of the bytes, empty if none gave any.
func (s *Session) Served() string {
	var label string
	var most int64
	for _, src := range s.gateway.sources {
		if n := src.served.Load(); n > most {
			label, most = src.label, n
		}
	}
	return label
}

// Explain turns an error of the pull into what the sources said, where none of
// them would serve (errdefs.ErrUnavailable); the image library drops those words.
func (s *Session) Explain(err error) error {
	if message := s.gateway.exhausted.Load(); err != nil && message != nil {
		return fmt.Errorf("%s\nhint: `mirror test` asks each source: %w", *message, errdefs.ErrUnavailable)
	}
	return err
}

// Close ends the gateway and removes the generated configuration.
func (s *Session) Close() error {
	var err error
	if s.conf != "" {
		err = os.RemoveAll(s.conf)
	}
	return errors.Join(s.gateway.Close(), err)
}
