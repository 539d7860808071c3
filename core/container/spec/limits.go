package spec

import (
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rlimits: without CAP_SYS_RESOURCE the kernel refuses a hard limit above
// one's own; the container then gets what there is, with a warning.
func (b *builder) rlimits() {
	for _, u := range b.in.HostConfig.Ulimits {
		limit := specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(u.Name), Soft: uint64(u.Soft), Hard: uint64(u.Hard)}
		if own, ok := ownHardLimit(u.Name); ok && limit.Hard > own && !b.in.Host.has("CAP_SYS_RESOURCE") {
			b.warn("ulimit %s=%d is above this machine's hard limit and nacre lacks CAP_SYS_RESOURCE: limited to %d", u.Name, u.Hard, own)
			limit.Hard = own
			limit.Soft = min(limit.Soft, own)
		}
		b.spec.Process.Rlimits = append(b.spec.Process.Rlimits, limit)
	}
}

func ownHardLimit(name string) (uint64, bool) {
	resource, ok := map[string]int{
		"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
		"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
		"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
		"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
		"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
	}[name]
	if !ok {
		return 0, false
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(resource, &r); err != nil {
		return 0, false
	}
	return r.Max, true
}

// Warnings tells, when a container is created, what its start will not be able
// to give it on this machine.
func Warnings(hc *container.HostConfig, host Host) []string {
	b := &builder{in: Input{HostConfig: hc, Host: host}, spec: &specs.Spec{Process: &specs.Process{}}}
	b.rlimits()
	return b.warnings
}
