package container

import (
	"context"
	"io"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/apparmor"
	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/layers"
	"github.com/nacre-sh/nacre/core/container/spec"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Names in a container's lasting folder. The root is mounted on rootfsDir in
// the shim's own mount namespace; on the host it is always empty.
const (
	upperDir       = "upper"
	workDir        = "work"
	rootfsDir      = "rootfs"
	hostsFile      = "hosts"
	resolvConfFile = "resolv.conf"
	hostnameFile   = "hostname"
)

// startRequest is everything that the shim must know to run the container once.
func (m *Module) startRequest(ctx context.Context, r *record, b *binding) (*shimapi.Start, error) {
	if err := m.makeVolumes(ctx, r, false); err != nil {
		return nil, err
	}
	fresh, err := m.attachVolumes(ctx, r)
	if err != nil {
		return nil, err
	}
	log, err := m.logRequest(r)
	if err != nil {
		return nil, err
	}
	if err := m.labelFiles(r); err != nil {
		return nil, err
	}
	in, err := m.specInput(ctx, r, b)
	if err != nil {
		return nil, err
	}
	marks, err := m.markLayer()
	if err != nil {
		return nil, err
	}
	s, err := spec.Build(in)
	if err != nil {
		return nil, err
	}
	if err := apparmor.Ensure(s.Process.ApparmorProfile); err != nil {
		return nil, err
	}
	hc := r.HostConfig
	conf, err := m.config.Load()
	if err != nil {
		return nil, err
	}
	runtime, err := externalRuntime(hc.Runtime, conf)
	if err != nil {
		return nil, err
	}
	if err := injectDevices(s, hc.DeviceRequests, conf); err != nil {
		return nil, err
	}
	dir := m.paths.Container(r.ID)
	return &shimapi.Start{
		Runtime: runtime,
		Spec:    s,
		Rootfs: shimapi.Rootfs{
			Lower: append(m.lowerDirs(r), marks), Upper: filepath.Join(dir, upperDir), Work: filepath.Join(dir, workDir),
			Target: filepath.Join(dir, rootfsDir), ReadOnly: hc.ReadonlyRootfs, Volatile: hc.AutoRemove,
			Label: s.Linux.MountLabel,
		},
		FreshMounts: fresh, Sources: m.sources(r),
		CgroupParent: hc.CgroupParent,
		Terminal:     r.Config.Tty, OpenStdin: r.Config.OpenStdin, StdinOnce: r.Config.StdinOnce, ConsoleSize: hc.ConsoleSize,
		Log:        log,
		Restart:    shimapi.Restart{Name: string(hc.RestartPolicy.Name), MaxRetries: hc.RestartPolicy.MaximumRetryCount},
		Health:     healthCheck(r.Config, s.Process),
		AutoRemove: hc.AutoRemove,
		EventLog:   m.paths.Events(), Name: r.Name, Image: r.Image, Labels: r.Config.Labels,
	}, nil
}

func (m *Module) specInput(ctx context.Context, r *record, b *binding) (spec.Input, error) {
	host, err := m.host()
	if err != nil {
		return spec.Input{}, err
	}
	mounts, err := m.specMounts(r)
	if err != nil {
		return spec.Input{}, err
	}
	links, err := m.linkEnv(ctx, r)
	if err != nil {
		return spec.Input{}, err
	}
	config := *r.Config
	config.Env = slices.Concat(links, config.Env)
	dir := m.paths.Container(r.ID)
	roots := append([]string{filepath.Join(dir, upperDir)}, m.lowerDirs(r)...)
	in := spec.Input{
		ID: r.ID, Config: &config, HostConfig: r.HostConfig, Mounts: mounts, Host: host,
		Open: func(name string) (io.ReadCloser, error) { return layers.Open(roots, name) },
	}
	in.ProcessLabel, in.MountLabel = r.inForce().ProcessLabel, r.inForce().MountLabel
	files := dir
	if r.HostConfig.NetworkMode.IsContainer() {
		other := r.HostConfig.NetworkMode.ConnectedContainer()
		if in.NetworkNamespace, err = m.pidPath(ctx, other, "net"); err != nil {
			return spec.Input{}, err
		}
		files = m.paths.Container(other) // one network, one set of names
	}
	in.HostsFile, in.ResolvConfFile = filepath.Join(files, hostsFile), filepath.Join(files, resolvConfFile)
	in.HostnameFile = filepath.Join(files, hostnameFile)
	if r.HostConfig.PidMode.IsContainer() {
		if in.PidNamespace, err = m.pidPath(ctx, r.HostConfig.PidMode.Container(), "pid"); err != nil {
			return spec.Input{}, err
		}
	}
	if r.HostConfig.IpcMode.IsContainer() {
		if in.IPCNamespace, err = m.ipcPath(ctx, r.HostConfig.IpcMode.Container()); err != nil {
			return spec.Input{}, err
		}
		in.ShmPath = filepath.Join(m.paths.ContainerRun(r.ID), shimapi.ShmDir)
	}
	if init := r.HostConfig.Init; init != nil && *init {
		if in.InitPath, err = m.pool.find(); err != nil { // the shim is an init, too
			return spec.Input{}, err
		}
	}
	return in, nil
}

// smallFiles are those that the engine writes for a container; one that shares
// another's network shares those too. One without content is not to be: the
// image's own stays.
func (m *Module) smallFiles(r *record, e backend.Endpoints) []shimapi.File {
	if r.HostConfig.NetworkMode.IsContainer() {
		return nil
	}
	dir, label := m.paths.Container(r.ID), r.inForce().MountLabel
	return []shimapi.File{
		{Path: filepath.Join(dir, hostsFile), Content: e.Hosts, Mode: 0o644, Label: label},
		{Path: filepath.Join(dir, resolvConfFile), Content: e.ResolvConf, Mode: 0o644, Label: label},
		{Path: filepath.Join(dir, hostnameFile), Content: []byte(r.Config.Hostname + "\n"), Mode: 0o644, Label: label},
	}
}

// addFiles gives the shim the small files that have content.
func addFiles(start *shimapi.Start, files []shimapi.File) {
	for _, f := range files {
		if f.Content == nil {
			start.Spec.Mounts = slices.DeleteFunc(start.Spec.Mounts, func(mo specs.Mount) bool { return mo.Source == f.Path })
			continue
		}
		start.Files = append(start.Files, f)
	}
}
