// Package mirror gives a registry several sources: it keeps the list of
// mirrors in one file that every pull reads afresh, tests them, and serves a
// pull through a gateway that falls over from one source to the next.
//
// The gateway is a small HTTP server on loopback, alive for one pull, because
// the image library's own failover handles few faults: it hangs on a stalled
// mirror and fails on an error page with status 200. The package knows
// registries and HTTP; it knows nothing of the image store.
package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/containerd/errdefs"
	"github.com/moby/sys/atomicwriter"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// Origin names the registry itself among its sources, as in `mirror use origin`.
const Origin = "origin"

// Config is the mirror file.
//
//	[[registry]]
//	name = "docker.io"
//	use = "fast"                      # tried first: a mirror's name or URL, or "origin"
//
//	  [[registry.mirror]]
//	  name = "fast"
//	  url = "https://mirror.example"  # scheme, host, optional port and path
type Config struct {
	Registries []Registry `toml:"registry"`
}

// Registry is one registry and its mirrors in the order in which they are tried.
type Registry struct {
	Name    string   `toml:"name"`
	Use     string   `toml:"use,omitempty"`
	Mirrors []Source `toml:"mirror"`
}

// Source is one place that serves a registry's content.
type Source struct {
	Name     string `toml:"name,omitempty"`
	URL      string `toml:"url"`
	Disabled bool   `toml:"disabled,omitempty"`
}

// label is what people call the source.
func (s Source) label() string {
	if s.Name != "" {
		return s.Name
	}
	return s.URL
}

// File is the mirror file on disk.
type File struct{ Path string }

// Load reads the file; a missing one is an empty configuration. Unknown keys
// and bad URLs are errors (errdefs.ErrInvalidArgument) that name the file.
func (f File) Load() (Config, error) {
	data, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("read the mirror file: %w", err)
	}
	return f.parse(data)
}

func (f File) parse(data []byte) (c Config, err error) {
	meta, err := toml.Decode(string(data), &c)
	if err != nil {
		return Config{}, f.invalid(err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return Config{}, f.invalid(fmt.Errorf("unknown key %q", unknown[0].String()))
	}
	for i, r := range c.Registries {
		c.Registries[i].Name = CanonicalRegistry(r.Name)
		for _, s := range r.Mirrors {
			if _, err := parseURL(s.URL); err != nil {
				return Config{}, f.invalid(err)
			}
		}
	}
	return c, nil
}

func (f File) invalid(err error) error {
	return fmt.Errorf("mirror file %s: %w\nhint: mend or remove that file: %w", f.Path, err, errdefs.ErrInvalidArgument)
}

// Change loads the file, lets edit change it and writes it back, while no
// other process does the same. The file is replaced at once or not at all.
func (f File) Change(edit func(*Config) error) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("write the mirror file: %w", err)
	}
	lock, err := os.OpenFile(f.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the mirror file: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the mirror file: %w", err)
	}
	c, err := f.Load()
	if err != nil {
		return err
	}
	if err := edit(&c); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(c); err != nil {
		return fmt.Errorf("write the mirror file: %w", err)
	}
	if err := atomicwriter.WriteFile(f.Path, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the mirror file: %w", err)
	}
	return nil
}

// CanonicalRegistry gives docker.io for every name that Docker Hub goes by.
func CanonicalRegistry(name string) string {
	switch name {
	case "", "index.docker.io", "registry-1.docker.io", "hub.docker.com", "docker.com":
		return "docker.io"
	}
	return name
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("mirror URL %q: %w: %w", text, err, errdefs.ErrInvalidArgument)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("mirror URL %q: want http://host[:port] or https://host[:port]: %w", text, errdefs.ErrInvalidArgument)
	case u.User != nil:
		return nil, fmt.Errorf("mirror URL of %s: credentials do not belong in the URL\nhint: use `login %s`: %w", u.Host, u.Host, errdefs.ErrInvalidArgument)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("mirror URL %q: a query or fragment has no meaning here: %w", text, errdefs.ErrInvalidArgument)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// find returns the registry's entry, or nil.
func (c *Config) find(registry string) *Registry {
	i := slices.IndexFunc(c.Registries, func(r Registry) bool { return r.Name == registry })
	if i < 0 {
		return nil
	}
	return &c.Registries[i]
}

func (r *Registry) index(urlOrName string) int {
	return slices.IndexFunc(r.Mirrors, func(s Source) bool {
		return s.Name != "" && s.Name == urlOrName || strings.TrimSuffix(s.URL, "/") == strings.TrimSuffix(urlOrName, "/")
	})
}

// Add appends a mirror; the first one of a registry is used at once.
func (c *Config) Add(registry string, s Source) error {
	if _, err := parseURL(s.URL); err != nil {
		return err
	}
	if s.Name == Origin {
		return fmt.Errorf("mirror name %q means the registry itself: choose another: %w", Origin, errdefs.ErrInvalidArgument)
	}
	r := c.need(registry)
	for _, known := range []string{s.URL, s.Name} {
		if known != "" && r.index(known) >= 0 {
			return fmt.Errorf("registry %s already has a mirror %s: %w", registry, known, errdefs.ErrAlreadyExists)
		}
	}
	r.Mirrors = append(r.Mirrors, s)
	return nil
}

// Remove takes a mirror out; a registry without mirrors goes, too.
func (c *Config) Remove(registry, urlOrName string) error {
	r, i, err := c.mirror(registry, urlOrName)
	if err != nil {
		return err
	}
	if gone := r.Mirrors[i]; r.Use != "" && (r.Use == gone.Name || r.Use == gone.URL) {
		r.Use = ""
	}
	r.Mirrors = slices.Delete(r.Mirrors, i, i+1)
	if len(r.Mirrors) == 0 {
		c.Registries = slices.DeleteFunc(c.Registries, func(x Registry) bool { return x.Name == registry })
	}
	return nil
}

// Use makes a source the first that is tried.
func (c *Config) Use(registry, urlOrName string) error {
	if urlOrName == Origin {
		r := c.find(registry)
		if r == nil {
			return fmt.Errorf("registry %s has no mirrors: it is used directly already: %w", registry, errdefs.ErrNotFound)
		}
		r.Use = Origin
		return nil
	}
	r, i, err := c.mirror(registry, urlOrName)
	if err != nil {
		return err
	}
	r.Mirrors[i].Disabled = false
	r.Use = r.Mirrors[i].label()
	return nil
}

func (c *Config) mirror(registry, urlOrName string) (*Registry, int, error) {
	r := c.find(registry)
	if r != nil {
		if i := r.index(urlOrName); i >= 0 {
			return r, i, nil
		}
	}
	return nil, 0, fmt.Errorf("registry %s has no mirror %q\nhint: `mirror ls` lists them, `mirror add %s URL` adds one: %w", registry, urlOrName, registry, errdefs.ErrNotFound)
}

// order gives the enabled mirrors in the order of trial, and whether the
// origin comes before or after them.
func (r *Registry) order() (sources []Source, originFirst bool) {
	for _, s := range r.Mirrors {
		switch {
		case s.Disabled:
		case r.Use != "" && (s.Name == r.Use || s.URL == r.Use):
			sources = slices.Insert(sources, 0, s)
		default:
			sources = append(sources, s)
		}
	}
	return sources, r.Use == Origin
}

// list turns the configuration into what `mirror ls` shows.
func (c *Config) list() []backend.Mirror {
	var out []backend.Mirror
	for _, r := range c.Registries {
		order, originFirst := r.order()
		for _, s := range r.Mirrors {
			out = append(out, backend.Mirror{
				Registry: r.Name, URL: s.URL, Name: s.Name, Enabled: !s.Disabled,
				InUse: !originFirst && len(order) > 0 && order[0] == s,
			})
		}
	}
	return out
}
