package spec

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/apparmor"
	"github.com/nacre-sh/nacre/core/selinux"
)

// Host is what the machine allows.
type Host struct {
	CgroupV2     bool     // the unified hierarchy is at /sys/fs/cgroup
	Capabilities []string // CAP_…, the bounding set of this process: nothing above it can be given
	Sysctls      map[string]bool

	RecursiveReadOnly bool   // submounts can be made read-only with their mount (mount_setattr)
	AppArmor          bool   // the kernel enforces its profiles
	DefaultProfile    string // AppArmor's for containers; empty where there can be none
	SELinux           bool   // the kernel labels processes, and the configuration wants containers labelled
	CgroupRoot        string // empty: /sys/fs/cgroup
}

// namespaced sysctls that docker sets where the kernel has them.
const (
	sysctlPortStart = "net.ipv4.ip_unprivileged_port_start"
	sysctlPingRange = "net.ipv4.ping_group_range"
)

// ReadHost looks at the machine.
func ReadHost() (Host, error) {
	var h Host
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err == nil {
		h.CgroupV2 = st.Type == unix.CGROUP2_SUPER_MAGIC
	}
	h.RecursiveReadOnly = unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}) != unix.ENOSYS
	last, err := capability.LastCap()
	if err != nil {
		return Host{}, fmt.Errorf("read the kernel's capabilities: %w", err)
	}
	for c := capability.Cap(0); c <= last; c++ {
		if held, err := capability.GetBound(c); err == nil && held {
			h.Capabilities = append(h.Capabilities, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	h.AppArmor = apparmor.Enabled()
	h.SELinux = selinux.Enabled()
	if apparmor.HasDefault() {
		h.DefaultProfile = apparmor.Profile
	}
	h.Sysctls = map[string]bool{}
	for _, name := range []string{sysctlPortStart, sysctlPingRange} {
		if _, err := os.Stat("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); err == nil {
			h.Sysctls[name] = true
		}
	}
	return h, nil
}

func (h Host) has(capName string) bool { return slices.Contains(h.Capabilities, capName) }
