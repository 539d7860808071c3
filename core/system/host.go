package system

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/system"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/apparmor"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/selinux"
)

// host is what the machine offers to containers.
type host struct {
	uname       unix.Utsname
	osRelease   map[string]string
	cgroup2     bool
	controllers []string
	memory      int64
}

func readHost() host {
	h := host{osRelease: osRelease(), cgroup2: isCgroup2()}
	_ = unix.Uname(&h.uname) // cannot fail with a valid pointer
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		h.memory = int64(si.Totalram) * int64(si.Unit)
	}
	h.controllers = controllers(h.cgroup2)
	return h
}

func (h host) fill(info *system.Info, conf config.Config) {
	info.KernelVersion = unix.ByteSliceToString(h.uname.Release[:])
	info.Architecture = unix.ByteSliceToString(h.uname.Machine[:])
	info.OSType = runtime.GOOS
	info.OperatingSystem = firstOf(h.osRelease["PRETTY_NAME"], h.osRelease["NAME"], runtime.GOOS)
	info.OSVersion = h.osRelease["VERSION_ID"]
	info.NCPU = runtime.NumCPU()
	info.MemTotal = h.memory
	info.CgroupVersion = "1"
	if h.cgroup2 {
		info.CgroupVersion = "2"
	}
	h.limits(info)
	info.IPv4Forwarding = fileIs("/proc/sys/net/ipv4/ip_forward", "1")
	info.SecurityOptions = h.securityOptions(conf)
	info.Warnings = warnings(info)
}

func (h host) has(controller string) bool { return slices.Contains(h.controllers, controller) }

func (h host) limits(info *system.Info) {
	info.MemoryLimit = h.has("memory")
	info.SwapLimit = h.has("memory") && (h.cgroup2 || exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"))
	info.OomKillDisable = h.has("memory") && !h.cgroup2
	info.CPUShares = h.has("cpu")
	info.CPUCfsPeriod = h.has("cpu") && (h.cgroup2 || exists("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
	info.CPUCfsQuota = h.has("cpu") && (h.cgroup2 || exists("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
	info.CPUSet = h.has("cpuset")
	info.PidsLimit = h.has("pids")
}

func (h host) securityOptions(conf config.Config) []string {
	options := []string{}
	if apparmor.HasDefault() {
		options = append(options, "name=apparmor")
	}
	if conf.SELinux && selinux.Enabled() && selinux.Confines() {
		options = append(options, "name=selinux")
	}
	if exists("/proc/sys/kernel/seccomp/actions_avail") {
		options = append(options, "name=seccomp,profile=builtin")
	}
	if h.cgroup2 {
		options = append(options, "name=cgroupns")
	}
	return options
}

// warnings says, in docker's words, what the kernel does not offer.
func warnings(info *system.Info) []string {
	var lines []string
	for _, w := range []struct {
		ok   bool
		text string
	}{
		{info.MemoryLimit, "WARNING: No memory limit support"},
		{info.SwapLimit || !info.MemoryLimit, "WARNING: No swap limit support"},
		{info.CPUCfsPeriod, "WARNING: No cpu cfs period support"},
		{info.CPUCfsQuota, "WARNING: No cpu cfs quota support"},
		{info.CPUShares, "WARNING: No cpu shares support"},
		{info.CPUSet, "WARNING: No cpuset support"},
		{info.PidsLimit, "WARNING: No pids limit support"},
		{info.IPv4Forwarding, "WARNING: IPv4 forwarding is disabled"},
	} {
		if !w.ok {
			lines = append(lines, w.text)
		}
	}
	return lines
}

func kernelVersion() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func isCgroup2() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// controllers lists what can be limited: the root group's controllers on
// version 2, the enabled lines of /proc/cgroups on version 1.
func controllers(cgroup2 bool) []string {
	if cgroup2 {
		raw, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		if err != nil {
			return nil
		}
		return strings.Fields(string(raw))
	}
	f, err := os.Open("/proc/cgroups")
	if err != nil {
		return nil
	}
	defer f.Close()
	var names []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.Fields(lines.Text()) // name, hierarchy, groups, enabled
		if len(line) == 4 && line[3] == "1" && exists(filepath.Join("/sys/fs/cgroup", line[0])) {
			names = append(names, line[0])
		}
	}
	return names
}

// osRelease reads os-release(5).
func osRelease() map[string]string {
	values := map[string]string{}
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				values[key] = strings.Trim(value, `"'`)
			}
		}
		break
	}
	return values
}

func openDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func fileIs(path, want string) bool {
	raw, err := os.ReadFile(path)
	return err == nil && strings.TrimSpace(string(raw)) == want
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
