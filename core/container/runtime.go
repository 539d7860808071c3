package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// ownRuntimes are docker's names for what libcontainer does here, in the shim.
var ownRuntimes = []string{"", "runc", "io.containerd.runc.v2"}

// externalRuntime finds the program behind --runtime: the configuration's
// `runtimes`, then docker's names for its own, then a path or a program in the
// PATH. Nil is libcontainer.
func externalRuntime(name string, conf config.Config) (*shimapi.Runtime, error) {
	r := shimapi.Runtime{Path: name}
	known, configured := conf.Runtimes[name]
	switch {
	case configured:
		r.Path, r.Args = known.Path, known.Args
	case slices.Contains(ownRuntimes, name):
		return nil, nil
	}
	path, err := exec.LookPath(r.Path)
	if err == nil && !filepath.IsAbs(path) {
		err = errdefs.ErrInvalidArgument // it would depend on where one stands
	}
	if err != nil {
		return nil, invalid("unknown or invalid runtime name: %s\nhint: name a program of the OCI runtimes' kind, by its path or in the PATH, or add it to `runtimes` in the configuration", name)
	}
	r.Path = path
	return &r, nil
}

// configDefaults fills what the user left open from the engine's configuration.
func configDefaults(hc *container.HostConfig, conf config.Config) error {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set((*string)(&hc.IpcMode), conf.DefaultIPCMode)
	set((*string)(&hc.CgroupnsMode), conf.DefaultCgroupnsMode)
	set(&hc.CgroupParent, conf.CgroupParent)
	set(&hc.Runtime, conf.DefaultRuntime)
	if hc.ShmSize == 0 {
		hc.ShmSize = conf.DefaultShmSize
	}
	if hc.Init == nil && conf.Init {
		hc.Init = &conf.Init
	}
	for name, limit := range conf.DefaultUlimits {
		if !slices.ContainsFunc(hc.Ulimits, func(u *units.Ulimit) bool { return u.Name == name }) {
			hc.Ulimits = append(slices.Clone(hc.Ulimits), limit)
		}
	}
	return securityDefaults(hc, conf)
}

func securityDefaults(hc *container.HostConfig, conf config.Config) error {
	has := func(name string) bool {
		return slices.ContainsFunc(hc.SecurityOpt, func(opt string) bool {
			return len(opt) >= len(name) && opt[:len(name)] == name
		})
	}
	if conf.NoNewPrivileges && !has("no-new-privileges") {
		hc.SecurityOpt = append(slices.Clone(hc.SecurityOpt), "no-new-privileges")
	}
	profile := conf.SeccompProfile
	if profile == "" || has("seccomp") || hc.Privileged {
		return nil
	}
	if profile != "builtin" && profile != "unconfined" {
		content, err := os.ReadFile(profile)
		if err != nil {
			return fmt.Errorf("read the seccomp profile of the configuration: %w", err)
		}
		profile = string(content)
	}
	hc.SecurityOpt = append(slices.Clone(hc.SecurityOpt), "seccomp="+profile)
	return nil
}
