package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"
)

// namespaces: a namespace that is listed without a path is made new, one that
// is missing is the host's. The network's empty path means the shim's.
func (b *builder) namespaces() error {
	hc := b.in.HostConfig
	add := func(t specs.LinuxNamespaceType, path string) {
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
	}
	add(specs.MountNamespace, "")
	if !hc.NetworkMode.IsHost() {
		add(specs.NetworkNamespace, b.in.NetworkNamespace)
	}
	if !hc.PidMode.IsHost() {
		add(specs.PIDNamespace, b.in.PidNamespace)
	}
	if !hc.IpcMode.IsHost() {
		add(specs.IPCNamespace, b.in.IPCNamespace)
	}
	if !hc.UTSMode.IsHost() {
		add(specs.UTSNamespace, "")
		b.spec.Hostname = b.in.Config.Hostname
		b.spec.Domainname = b.in.Config.Domainname
	}
	if b.privateCgroup() {
		add(specs.CgroupNamespace, "")
	}
	return nil
}

// privateCgroup: docker's default is private with the unified hierarchy and
// the host's with the old one; a privileged container is as any other.
func (b *builder) privateCgroup() bool {
	mode := b.in.HostConfig.CgroupnsMode
	if mode.IsEmpty() {
		return b.in.Host.CgroupV2
	}
	return mode.IsPrivate()
}
