// Package system answers for the engine as a whole: what it is, what the host
// offers. What other modules know (counts,
// mirrors) it asks through functions that core/engine wires.
package system

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"

	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/store"
)

// Counts is how many objects the engine has.
type Counts struct {
	Running, Paused, Stopped int
	Images                   int
}

// Config is what the module needs of its surroundings. The functions may be nil.
type Config struct {
	Store   *store.Store
	Version string // of nacre
	Commit  string
	Count   func(context.Context) (Counts, error)
	// Shim finds the program that runs containers.
	Shim func() (string, error)
	// Mirrors lists, per registry, the URLs that a pull tries first.
	Mirrors func(context.Context) (map[string][]string, error)
	// Config is the engine's configuration file.
	Config config.File
	// Getenv reads the proxy settings that pulls use.
	Getenv func(string) string
}

// System is the module; it meets core/api's interface of the same name.
type System struct{ cfg Config }

// New makes the module; it touches nothing yet.
func New(cfg Config) *System { return &System{cfg} }

// schema keeps the engine's identity, which is made when it is first asked for.
var schema = store.Module{Name: "system", Steps: []string{`CREATE TABLE engine (id TEXT NOT NULL)`}}

// Info answers `docker info`.
func (s *System) Info(ctx context.Context) (system.Info, error) {
	host := readHost()
	info := system.Info{
		Driver:         "overlay2",
		DriverStatus:   s.driverStatus(),
		Plugins:        system.PluginsInfo{Volume: []string{"local"}, Network: []string{"bridge", "host", "ipvlan", "macvlan", "null"}, Log: []string{"journald", "json-file", "local"}},
		LoggingDriver:  "json-file",
		CgroupDriver:   "cgroupfs",
		NFd:            openDescriptors(),
		NGoroutines:    runtime.NumGoroutine(),
		SystemTime:     time.Now().Format(time.RFC3339Nano),
		DockerRootDir:  s.cfg.Store.Paths.Data,
		ServerVersion:  s.cfg.Version,
		Runtimes:       map[string]system.RuntimeWithStatus{"runc": {Runtime: system.Runtime{Path: s.shim()}}},
		DefaultRuntime: "runc",
		InitBinary:     "docker-init", // nacre-shim under that name
		RuncCommit:     system.Commit{ID: s.libcontainer()},
		Swarm:          swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive},
		// Containers never depend on an engine that runs.
		LiveRestoreEnabled: true,
		CDISpecDirs:        []string{"/etc/cdi", "/var/run/cdi"},
		Labels:             []string{},
		IndexServerAddress: "https://index.docker.io/v1/",
	}
	cfg, warnings, err := s.cfg.Config.Check()
	if err != nil {
		return info, err
	}
	host.fill(&info, cfg)
	info.Debug, info.Labels = cfg.Debug, append(info.Labels, cfg.Labels...)
	for _, w := range warnings {
		info.Warnings = append(info.Warnings, "WARNING: "+w)
	}
	for name, r := range cfg.Runtimes {
		info.Runtimes[name] = system.RuntimeWithStatus{Runtime: system.Runtime{Path: r.Path, Args: r.Args}}
	}
	if cfg.DefaultRuntime != "" {
		info.DefaultRuntime = cfg.DefaultRuntime
	}
	if cfg.CDISpecDirs != nil {
		info.CDISpecDirs = cfg.CDISpecDirs
	}
	s.proxies(&info, cfg.Proxies)
	if err := s.identify(ctx, &info); err != nil {
		return info, err
	}
	if err := s.count(ctx, &info); err != nil {
		return info, err
	}
	return info, s.registries(ctx, &info, cfg)
}

func (s *System) identify(ctx context.Context, info *system.Info) error {
	if name, err := os.Hostname(); err == nil {
		info.Name = name
	}
	db := s.cfg.Store
	if err := db.Migrate(ctx, schema); err != nil {
		return err
	}
	const first = `INSERT INTO engine (id) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM engine)`
	const read = `SELECT id FROM engine LIMIT 1`
	if db.DB.QueryRowContext(ctx, read).Scan(&info.ID) == nil {
		return nil
	}
	if _, err := db.DB.ExecContext(ctx, first, uuid.NewString()); err != nil {
		return fmt.Errorf("name the engine: %w", err)
	}
	if err := db.DB.QueryRowContext(ctx, read).Scan(&info.ID); err != nil {
		return fmt.Errorf("read the engine's id: %w", err)
	}
	return nil
}

func (s *System) count(ctx context.Context, info *system.Info) error {
	if s.cfg.Count == nil {
		return nil
	}
	n, err := s.cfg.Count(ctx)
	if err != nil {
		return fmt.Errorf("count the engine's objects: %w", err)
	}
	info.ContainersRunning, info.ContainersPaused, info.ContainersStopped = n.Running, n.Paused, n.Stopped
	info.Containers = n.Running + n.Paused + n.Stopped
	info.Images = n.Images
	return nil
}

// proxies shows those of the configuration file, else the environment's.
func (s *System) proxies(info *system.Info, set config.Proxies) {
	env := s.cfg.Getenv
	if env == nil {
		env = func(string) string { return "" }
	}
	info.HTTPProxy = withoutPassword(cmp.Or(set.HTTP, env("HTTP_PROXY"), env("http_proxy")))
	info.HTTPSProxy = withoutPassword(cmp.Or(set.HTTPS, env("HTTPS_PROXY"), env("https_proxy")))
	info.NoProxy = cmp.Or(set.No, env("NO_PROXY"), env("no_proxy"))
}

// Version answers `docker version`; core/api adds the API's versions.
func (s *System) Version(context.Context) (system.VersionResponse, error) {
	v := system.VersionResponse{
		Platform:      system.PlatformInfo{Name: "nacre"},
		Version:       s.cfg.Version,
		Os:            runtime.GOOS,
		Arch:          runtime.GOARCH,
		GitCommit:     s.cfg.Commit,
		GoVersion:     runtime.Version(),
		KernelVersion: kernelVersion(),
	}
	v.Components = s.components()
	return v, nil
}

var _ interface {
	Info(context.Context) (system.Info, error)
} = (*System)(nil)
