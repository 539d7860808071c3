//go:build cgo

package runtime

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rlimits are the names of the runtime specification.
var rlimits = map[string]int{
	"RLIMIT_AS":         unix.RLIMIT_AS,
	"RLIMIT_CORE":       unix.RLIMIT_CORE,
	"RLIMIT_CPU":        unix.RLIMIT_CPU,
	"RLIMIT_DATA":       unix.RLIMIT_DATA,
	"RLIMIT_FSIZE":      unix.RLIMIT_FSIZE,
	"RLIMIT_LOCKS":      unix.RLIMIT_LOCKS,
	"RLIMIT_MEMLOCK":    unix.RLIMIT_MEMLOCK,
	"RLIMIT_MSGQUEUE":   unix.RLIMIT_MSGQUEUE,
	"RLIMIT_NICE":       unix.RLIMIT_NICE,
	"RLIMIT_NOFILE":     unix.RLIMIT_NOFILE,
	"RLIMIT_NPROC":      unix.RLIMIT_NPROC,
	"RLIMIT_RSS":        unix.RLIMIT_RSS,
	"RLIMIT_RTPRIO":     unix.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME":     unix.RLIMIT_RTTIME,
	"RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING,
	"RLIMIT_STACK":      unix.RLIMIT_STACK,
}

// clampToHost lowers what only CAP_SYS_RESOURCE could grant: limits above our
// own hard limit, and an OOM score below our own. A root user without that
// capability (as inside another container) gets a warning instead of a
// container that does not start.
func clampToHost(p *specs.Process, warn Warn) {
	if hasSysResource() {
		return
	}
	for i := range p.Rlimits {
		rl := &p.Rlimits[i]
		resource, known := rlimits[rl.Type]
		var own unix.Rlimit
		if !known || unix.Getrlimit(resource, &own) != nil || rl.Hard <= own.Max {
			continue
		}
		warn("%s %d is above this host's hard limit, %d is used", rl.Type, rl.Hard, own.Max)
		rl.Hard = own.Max
		rl.Soft = min(rl.Soft, own.Max)
	}
	if p.OOMScoreAdj == nil {
		return
	}
	if own, err := ownOOMScoreAdj(); err == nil && *p.OOMScoreAdj < own {
		warn("an OOM score of %d is below this process's own, %d is used", *p.OOMScoreAdj, own)
		p.OOMScoreAdj = &own
	}
}

func hasSysResource() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

func ownOOMScoreAdj() (int, error) {
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// parseCounter finds "name value" among lines.
func parseCounter(lines, name string) (uint64, error) {
	for line := range strings.Lines(lines) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in %q", name, lines)
}
