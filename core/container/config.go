package container

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/sys/signal"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/container/spec"
)

// mergeConfig completes what the user asked for by what the image says; the
// user's word wins, lists and maps are joined. As docker's.
func mergeConfig(user container.Config, image dockerspec.DockerOCIImageConfig) (*container.Config, error) {
	c := user
	c.User = orElse(c.User, image.User)
	c.WorkingDir = orElse(c.WorkingDir, image.WorkingDir)
	c.StopSignal = orElse(c.StopSignal, image.StopSignal)
	if len(c.Shell) == 0 {
		c.Shell = image.Shell
	}
	c.Env = mergeImageEnv(c.Env, image.Env)
	c.Labels = overlay(image.Labels, c.Labels)
	if c.Volumes = overlay(image.Volumes, c.Volumes); len(c.Volumes) == 0 {
		c.Volumes = nil // as docker's, which tells null
	}
	if err := mergePorts(&c, image.ExposedPorts); err != nil {
		return nil, err
	}
	c.Healthcheck = backend.FillHealth(c.Healthcheck, image.Healthcheck)
	if len(c.Entrypoint) == 0 {
		if len(c.Cmd) == 0 {
			c.Cmd = image.Cmd
		}
		if c.Entrypoint == nil {
			c.Entrypoint = image.Entrypoint
		}
	}
	if len(c.Entrypoint) == 1 && c.Entrypoint[0] == "" { // the user's way to say: none
		c.Entrypoint = nil
	}
	return &c, checkConfig(&c)
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// overlay joins two maps; over wins.
func overlay[V any](base, over map[string]V) map[string]V {
	joined := make(map[string]V, len(base)+len(over))
	maps.Copy(joined, base)
	maps.Copy(joined, over)
	return joined
}

// mergeImageEnv keeps the user's entries and appends the image's others.
func mergeImageEnv(user, image []string) []string {
	env := slices.Clone(user)
	for _, entry := range image {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.ContainsFunc(user, func(e string) bool {
			n, _, _ := strings.Cut(e, "=")
			return n == name
		}) {
			env = append(env, entry)
		}
	}
	return env
}

func mergePorts(c *container.Config, image map[string]struct{}) error {
	if len(image) == 0 {
		return nil
	}
	ports := network.PortSet{}
	for p := range image {
		port, err := network.ParsePort(p)
		if err != nil {
			return fmt.Errorf("the image exposes port %q: %w: %w", p, err, errdefs.ErrInvalidArgument)
		}
		ports[port] = struct{}{}
	}
	maps.Copy(ports, c.ExposedPorts)
	c.ExposedPorts = ports
	return nil
}

func checkConfig(c *container.Config) error {
	if len(c.Entrypoint) == 0 && len(c.Cmd) == 0 {
		return invalid("no command specified")
	}
	if c.WorkingDir != "" {
		if !path.IsAbs(c.WorkingDir) {
			return invalid("the working directory '%s' is invalid, it needs to be an absolute path", c.WorkingDir)
		}
		c.WorkingDir = path.Clean(c.WorkingDir)
	}
	for _, entry := range c.Env {
		if entry == "" || entry[0] == '=' {
			return invalid("invalid environment variable: %s", entry)
		}
	}
	if err := checkHealth(c.Healthcheck); err != nil {
		return err
	}
	if c.StopSignal != "" {
		if _, err := signal.ParseSignal(c.StopSignal); err != nil {
			return invalid("invalid signal: %s", c.StopSignal)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}

// hostDefaults fills what the user left open, with docker's defaults, so that
// inspect shows what is in force.
func hostDefaults(user *container.HostConfig, host spec.Host, conf config.Config) (*container.HostConfig, error) {
	hc := container.HostConfig{}
	if user != nil {
		hc = *user
	}
	if err := configDefaults(&hc, conf); err != nil {
		return nil, err
	}
	if hc.NetworkMode == "" || hc.NetworkMode.IsDefault() {
		hc.NetworkMode = network.NetworkBridge
	}
	if hc.IpcMode == "" {
		hc.IpcMode = container.IPCModePrivate
	}
	if hc.CgroupnsMode.IsEmpty() {
		hc.CgroupnsMode = container.CgroupnsModeHost
		if host.CgroupV2 {
			hc.CgroupnsMode = container.CgroupnsModePrivate
		}
	}
	if hc.ShmSize == 0 {
		hc.ShmSize = spec.DefaultShmSize
	}
	if hc.RestartPolicy.Name == "" {
		hc.RestartPolicy.Name = container.RestartPolicyDisabled
	}
	masked, readonly := spec.DefaultPaths(hc.Privileged)
	if hc.MaskedPaths == nil {
		hc.MaskedPaths = masked
	}
	if hc.ReadonlyPaths == nil {
		hc.ReadonlyPaths = readonly
	}
	if hc.Runtime == "" {
		hc.Runtime = "runc"
	}
	return &hc, nil
}

// conflicts are what a container cannot have that shares another's network or
// the machine's; docker's words.
func conflicts(user *container.Config, hc *container.HostConfig) error {
	shared := hc.NetworkMode.IsContainer()
	for _, c := range []struct {
		met  bool
		what string
	}{
		{user.Hostname != "" && hc.UTSMode.IsHost(), "hostname and the UTS mode"},
		{user.Domainname != "" && hc.UTSMode.IsHost(), "domainname and the UTS mode"},
		{shared && user.Hostname != "", "hostname and the network mode"},
		{shared && len(hc.Links) > 0, "container type network can't be used with links. This would result in undefined behavior"},
		{shared && len(hc.DNS) > 0, "dns and the network mode"},
		{shared && len(hc.ExtraHosts) > 0, "custom host-to-IP mapping and the network mode"},
		{shared && (len(hc.PortBindings) > 0 || hc.PublishAllPorts), "port publishing and the container type network mode"},
		{shared && len(user.ExposedPorts) > 0, "port exposing and the container type network mode"},
		{hc.NetworkMode.IsHost() && len(hc.Links) > 0, "host type networking can't be used with links. This would result in undefined behavior"},
	} {
		if c.met {
			return invalid("conflicting options: %s", c.what)
		}
	}
	return nil
}

// setHostname gives the container docker's name for it: the beginning of its
// id, or the machine's where it shares that.
func setHostname(c *container.Config, hc *container.HostConfig, id string) error {
	if c.Hostname != "" {
		return nil
	}
	c.Hostname = id[:12]
	if hc.NetworkMode.IsHost() || hc.UTSMode.IsHost() {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("read the machine's hostname: %w", err)
		}
		c.Hostname = name
	}
	return nil
}
