package spec

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultShmSize is docker's size of /dev/shm in bytes.
const DefaultShmSize = 64 << 20

// mounts: docker's own first, then the engine's files, then the user's, which
// replace docker's at the same place. Parents come before children.
func (b *builder) mounts() error {
	mounts := b.kernelMounts()
	mounts = append(mounts, b.fileMounts()...)
	for _, m := range b.userMounts() {
		mounts = slices.DeleteFunc(mounts, func(old specs.Mount) bool { return old.Destination == m.Destination })
		mounts = append(mounts, m)
	}
	slices.SortStableFunc(mounts, func(a, c specs.Mount) int { return cmp.Compare(depth(a.Destination), depth(c.Destination)) })
	b.spec.Mounts = mounts
	return nil
}

func depth(p string) int {
	if p = path.Clean(p); p == "/" {
		return 0
	}
	return strings.Count(p, "/")
}

// kernelMounts are the file systems of the kernel that every container has.
func (b *builder) kernelMounts() []specs.Mount {
	sysAccess := "ro"
	if b.in.HostConfig.Privileged {
		sysAccess = "rw"
	}
	cgroupAccess := sysAccess
	if b.securityOption("writable-cgroups") == "true" {
		cgroupAccess = "rw"
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", sysAccess}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{cgroupAccess, "nosuid", "noexec", "nodev"}},
	}
	return append(mounts, b.ipcMounts()...)
}

func (b *builder) ipcMounts() []specs.Mount {
	mode := b.in.HostConfig.IpcMode
	// The queues are those of the IPC namespace, also where that is the host's.
	mounts := []specs.Mount{{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}}}
	switch {
	case mode.IsHost():
		return append(mounts, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: []string{"rbind", "nosuid", "noexec", "nodev"}})
	case mode.IsContainer():
		return append(mounts, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: b.in.ShmPath, Options: []string{"rbind", "rprivate"}})
	case mode.IsNone():
		return mounts
	}
	size := b.in.HostConfig.ShmSize
	if size == 0 {
		size = DefaultShmSize
	}
	return append(mounts, specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(size, 10)}})
}

// fileMounts: the files that the engine keeps for the container, and --init's program.
func (b *builder) fileMounts() []specs.Mount {
	var mounts []specs.Mount
	options := []string{"rbind", "rprivate"}
	if b.in.HostConfig.ReadonlyRootfs {
		options = append(options, "ro")
	}
	for _, f := range []struct{ source, target string }{
		{b.in.ResolvConfFile, "/etc/resolv.conf"}, {b.in.HostnameFile, "/etc/hostname"}, {b.in.HostsFile, "/etc/hosts"},
	} {
		if f.source != "" {
			mounts = append(mounts, specs.Mount{Destination: f.target, Type: "bind", Source: f.source, Options: options})
		}
	}
	if b.in.InitPath != "" {
		mounts = append(mounts, specs.Mount{Destination: initInContainer, Type: "bind", Source: b.in.InitPath, Options: []string{"bind", "ro"}})
	}
	return mounts
}

func (b *builder) userMounts() []specs.Mount {
	mounts := make([]specs.Mount, 0, len(b.in.Mounts))
	for _, m := range b.in.Mounts {
		switch m.Type {
		case "tmpfs":
			mounts = append(mounts, specs.Mount{Destination: m.Destination, Type: "tmpfs", Source: "tmpfs", Options: m.Options})
		default:
			b.rootPropagation(m.Options)
			mounts = append(mounts, specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Source, Options: bindOptions(m, b.in.Host.RecursiveReadOnly)})
		}
	}
	return mounts
}

// rootPropagation: a mount can share or follow others only if the container's
// root does not keep it from that.
func (b *builder) rootPropagation(options []string) {
	root := &b.spec.Linux.RootfsPropagation
	for _, o := range options {
		switch o {
		case "shared", "rshared":
			*root = "shared"
		case "slave", "rslave":
			if *root == "" {
				*root = "rslave"
			}
		}
	}
}

// bindOptions: read-only covers submounts where the kernel can do that
// (mount_setattr, Linux 5.12), unless told otherwise; so does docker.
func bindOptions(m Mount, recursiveReadOnly bool) []string {
	options := []string{"bind"}
	if m.Recursive {
		options[0] = "rbind"
	}
	switch {
	case !m.ReadOnly:
	case m.ForceReadOnly, m.Recursive && !m.FlatReadOnly && recursiveReadOnly:
		options = append(options, "rro")
	default:
		options = append(options, "ro")
	}
	return append(options, m.Options...)
}

// ownPlaces are the places of the engine's own mounts. Where the image lacks
// one, the start makes it, which is no change of the user's.
var ownPlaces = []string{
	"/dev", "/proc", "/sys", "/etc", "/sbin", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", initInContainer,
	"/dev/console", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/fs", "/sys/fs/cgroup",
}

// IsOwnPlace tells whether a path in a container is a place of the engine's own mounts.
func IsOwnPlace(p string) bool { return slices.Contains(ownPlaces, p) }
