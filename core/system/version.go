package system

import (
	"debug/buildinfo"
	"runtime"
	"runtime/debug"

	"github.com/moby/moby/api/types/system"
)

// parts are the libraries in this program that do the engine's work, under the
// names that `docker version` shows.
var parts = []struct{ name, module string }{
	{"containers/storage", "go.podman.io/storage"},
	{"containers/image", "go.podman.io/image/v5"},
}

// components lists the engine, under the name whose details docker's client
// prints, and the libraries that do the work.
func (s *System) components() []system.ComponentVersion {
	all := []system.ComponentVersion{{
		Name: "Engine", Version: s.cfg.Version,
		Details: map[string]string{
			"Os": runtime.GOOS, "Arch": runtime.GOARCH, "GoVersion": runtime.Version(),
			"GitCommit": s.cfg.Commit, "KernelVersion": kernelVersion(), "Experimental": "false",
		},
	}}
	add := func(name, version string) {
		if version != "" {
			all = append(all, system.ComponentVersion{Name: name, Version: version})
		}
	}
	add("libcontainer", s.libcontainer())
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, p := range parts {
			add(p.name, moduleVersion(build, p.module))
		}
	}
	return all
}

// shim is the path of nacre-shim, or its name where it is not installed.
func (s *System) shim() string {
	if s.cfg.Shim != nil {
		if path, err := s.cfg.Shim(); err == nil {
			return path
		}
	}
	return "nacre-shim"
}

// libcontainer is the version of the runtime library in nacre-shim, empty
// where that is not installed.
func (s *System) libcontainer() string {
	build, err := buildinfo.ReadFile(s.shim())
	if err != nil {
		return ""
	}
	return moduleVersion(build, "github.com/opencontainers/runc")
}

// moduleVersion is the version of a library in a program, or empty.
func moduleVersion(build *debug.BuildInfo, path string) string {
	for _, m := range build.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}
