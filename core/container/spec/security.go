package spec

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/profiles/seccomp"

	"github.com/nacre-sh/nacre/core/apparmor"
)

// Paths of /proc and /sys that a container must not see, and those it must not
// change; docker's.
var (
	maskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// DefaultPaths gives the masked and the read-only paths of a container whose
// configuration names none: docker's lists, and none for a privileged one.
func DefaultPaths(privileged bool) (masked, readonly []string) {
	if privileged {
		return nil, nil
	}
	return slices.Concat(maskedPaths, throttlePaths("/sys")), slices.Clone(readonlyPaths)
}

// throttlePaths are the counters of each processor's heat, which tell what
// others compute (GHSA-6fw5-f8r9-fgfm). Most virtual machines have none.
func throttlePaths(sys string) []string {
	const name = "thermal_throttle"
	cpus := filepath.Join(sys, "devices/system/cpu")
	if _, err := os.Stat(filepath.Join(cpus, "cpu0", name)); err != nil {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(cpus, "cpu[0-9]*", name)) // the pattern is right
	return paths
}

func (b *builder) sysctls() error {
	hc := b.in.HostConfig
	b.spec.Linux.Sysctl = map[string]string{}
	if !hc.NetworkMode.IsHost() && !hc.NetworkMode.IsContainer() {
		if b.in.Host.Sysctls[sysctlPortStart] {
			b.spec.Linux.Sysctl[sysctlPortStart] = "0"
		}
		if b.in.Host.Sysctls[sysctlPingRange] {
			b.spec.Linux.Sysctl[sysctlPingRange] = "0 2147483647"
		}
	}
	maps.Copy(b.spec.Linux.Sysctl, hc.Sysctls)
	return nil
}

func (b *builder) security() error {
	hc := b.in.HostConfig
	b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = DefaultPaths(hc.Privileged)
	if hc.MaskedPaths != nil {
		b.spec.Linux.MaskedPaths = hc.MaskedPaths
	}
	if hc.ReadonlyPaths != nil {
		b.spec.Linux.ReadonlyPaths = hc.ReadonlyPaths
	}
	b.spec.Process.NoNewPrivileges = b.securityOption("no-new-privileges") == "true"
	b.spec.Process.ApparmorProfile = AppArmorProfile(hc, b.in.Host)
	b.spec.Process.SelinuxLabel, b.spec.Linux.MountLabel = b.in.ProcessLabel, b.in.MountLabel
	return b.seccomp()
}

// AppArmorProfile is the profile that a container runs under: the one that it
// asks for, none if it is privileged, else docker's default. It is empty where
// the kernel runs no AppArmor, or the default profile cannot be had.
func AppArmorProfile(hc *container.HostConfig, host Host) string {
	switch asked := securityOption(hc, "apparmor"); {
	case !host.AppArmor:
		return ""
	case asked != "":
		return asked
	case hc.Privileged:
		return apparmor.Unconfined
	}
	return host.DefaultProfile
}

// ShownAppArmor is what inspect tells of the profile: also one that was asked
// for where the kernel runs no AppArmor, and no other before the first start; as docker's.
func ShownAppArmor(hc *container.HostConfig, host Host, started bool) string {
	if asked := securityOption(hc, "apparmor"); asked != "" || !started {
		return asked
	}
	return AppArmorProfile(hc, host)
}

// seccomp: the profile is computed last, because docker's depends on the
// capabilities that the container has. Privileged means none, unless asked for.
func (b *builder) seccomp() error {
	profile := b.securityOption("seccomp")
	if profile == "unconfined" || profile == "" && b.in.HostConfig.Privileged {
		return nil
	}
	var err error
	if profile == "" || profile == "builtin" {
		b.spec.Linux.Seccomp, err = seccomp.GetDefaultProfile(b.spec)
	} else {
		b.spec.Linux.Seccomp, err = seccomp.LoadProfile(profile, b.spec)
	}
	if err != nil {
		return fmt.Errorf("read the seccomp profile: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	return nil
}

func (b *builder) securityOption(name string) string { return securityOption(b.in.HostConfig, name) }

// securityOption is the last value given for a --security-opt; an option
// without a value counts as true.
func securityOption(hc *container.HostConfig, name string) string {
	value := ""
	for _, opt := range hc.SecurityOpt {
		if n, v := splitSecurityOption(opt); n == name {
			value = v
		}
	}
	return value
}

func splitSecurityOption(opt string) (name, value string) {
	sep := "="
	if !strings.Contains(opt, "=") {
		sep = ":" // an old form
	}
	name, value, ok := strings.Cut(opt, sep)
	if !ok {
		value = "true"
	}
	return name, value
}
