// Package cgroup reads what the kernel has counted for a container: processor
// time, memory, block input and output, processes, in cgroups of version 1 and
// 2, in the shape of docker's statistics. It reads the few files that are
// shown and nothing else: a hundred containers are asked at once.
package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

// mount is where the hierarchies are.
const mount = "/sys/fs/cgroup"

// tick is the kernel's USER_HZ in nanoseconds, on every platform that Go has.
const tick = 10_000_000

// v2 tells whether the machine has version 2 alone; beside version 1 it has no controllers.
var v2 = sync.OnceValue(func() bool {
	var st unix.Statfs_t
	return unix.Statfs(mount, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
})

// Read gives the statistics of the cgroup at path (/nacre/<id>, below every
// hierarchy's root). A controller that is missing gives zeros; a cgroup that is
// gone gives an error that is fs.ErrNotExist.
func Read(path string) (container.StatsResponse, error) {
	var s container.StatsResponse
	var err error
	if v2() {
		err = readV2(group(filepath.Join(mount, path)), &s)
	} else {
		err = readV1(func(controller string) group { return group(filepath.Join(mount, controller, path)) }, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the statistics of cgroup %s: %w", path, err)
	}
	return s, nil
}

// group is a cgroup's folder in one hierarchy.
type group string

// number reads a file of one number; "max" is 0, and so is a file that is
// missing: not every kernel has every counter.
func (g group) number(file string) uint64 {
	b, err := os.ReadFile(filepath.Join(string(g), file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64) // "max"
	return n
}

// table reads lines of a name and a number.
func (g group) table(file string) map[string]uint64 {
	b, err := os.ReadFile(filepath.Join(string(g), file))
	if err != nil {
		return nil
	}
	table := map[string]uint64{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			table[name] = n
		}
	}
	return table
}

func (g group) exists() error {
	_, err := os.Stat(string(g))
	return err
}

func readV1(in func(controller string) group, s *container.StatsResponse) error {
	account, cpu, memory, pids := in("cpuacct"), in("cpu"), in("memory"), in("pids")
	if err := account.exists(); err != nil {
		return err
	}
	s.CPUStats.CPUUsage.TotalUsage = account.number("cpuacct.usage")
	split := account.table("cpuacct.stat")
	s.CPUStats.CPUUsage.UsageInUsermode, s.CPUStats.CPUUsage.UsageInKernelmode = split["user"]*tick, split["system"]*tick
	if b, err := os.ReadFile(filepath.Join(string(account), "cpuacct.usage_percpu")); err == nil {
		for _, field := range strings.Fields(string(b)) {
			n, _ := strconv.ParseUint(field, 10, 64)
			s.CPUStats.CPUUsage.PercpuUsage = append(s.CPUStats.CPUUsage.PercpuUsage, n)
		}
	}
	throttled := cpu.table("cpu.stat")
	s.CPUStats.ThrottlingData = container.ThrottlingData{
		Periods: throttled["nr_periods"], ThrottledPeriods: throttled["nr_throttled"], ThrottledTime: throttled["throttled_time"],
	}
	s.MemoryStats = container.MemoryStats{
		Usage: memory.number("memory.usage_in_bytes"), MaxUsage: memory.number("memory.max_usage_in_bytes"),
		Failcnt: memory.number("memory.failcnt"), Limit: memory.number("memory.limit_in_bytes"), Stats: memory.table("memory.stat"),
	}
	s.PidsStats = container.PidsStats{Current: pids.number("pids.current"), Limit: pids.number("pids.max")}
	s.BlkioStats = blockV1(in("blkio"))
	return nil
}

func readV2(g group, s *container.StatsResponse) error {
	if err := g.exists(); err != nil {
		return err
	}
	cpu := g.table("cpu.stat") // in µs
	s.CPUStats.CPUUsage = container.CPUUsage{
		TotalUsage: cpu["usage_usec"] * 1000, UsageInUsermode: cpu["user_usec"] * 1000, UsageInKernelmode: cpu["system_usec"] * 1000,
	}
	s.CPUStats.ThrottlingData = container.ThrottlingData{
		Periods: cpu["nr_periods"], ThrottledPeriods: cpu["nr_throttled"], ThrottledTime: cpu["throttled_usec"] * 1000,
	}
	s.MemoryStats = container.MemoryStats{
		Usage: g.number("memory.current"), MaxUsage: g.number("memory.peak"), Limit: g.number("memory.max"), Stats: g.table("memory.stat"),
		Failcnt: g.table("memory.events")["oom"],
	}
	s.PidsStats = container.PidsStats{Current: g.number("pids.current"), Limit: g.number("pids.max")}
	s.BlkioStats = blockV2(g)
	return nil
}
