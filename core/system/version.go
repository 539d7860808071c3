package system

import (
	"runtime"
	"runtime/debug"

	"github.com/moby/moby/api/types/system"
)

// parts are the libraries that do the engine's work, under the names that
// `docker version` shows.
var parts = []struct{ name, module string }{
	{"libcontainer", "github.com/opencontainers/runc"},
	{"containers/storage", "go.podman.io/storage"},
	{"containers/image", "go.podman.io/image/v5"},
}

// components lists the engine, under the name whose details docker's client
// prints, and the libraries linked into it.
func components(version, commit string) []system.ComponentVersion {
	all := []system.ComponentVersion{{
		Name: "Engine", Version: version,
		Details: map[string]string{
			"Os": runtime.GOOS, "Arch": runtime.GOARCH, "GoVersion": runtime.Version(),
			"GitCommit": commit, "KernelVersion": kernelVersion(), "Experimental": "false",
		},
	}}
	for _, p := range parts {
		if v := moduleVersion(p.module); v != "" {
			all = append(all, system.ComponentVersion{Name: p.name, Version: v})
		}
	}
	return all
}

// moduleVersion is the version of a library in the running program, or empty.
func moduleVersion(path string) string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range build.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}
