package container

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/cgroup"
)

const (
	statsEvery = time.Second // of a stream; docker's
	// statsPair is what lies between the two samples of an answer that comes
	// alone. Docker waits a second for its next tick; the kernel counts in
	// nanoseconds, so that less is as good.
	statsPair = 200 * time.Millisecond
)

// Stats hands out what a container uses: once, or every second until the
// context ends or the container is removed. A container that does not run gives
// zeros, as docker's.
func (m *Module) Stats(ctx context.Context, name string, opts backend.ContainerStats, handle func(container.StatsResponse) error) error {
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return err
	}
	last, err := m.sample(l)
	if err != nil {
		return err
	}
	pause := statsEvery
	if !opts.Stream {
		if pause = statsPair; opts.OneShot || last.Read.IsZero() {
			return handle(last)
		}
	} else if err := handle(last); err != nil {
		return err
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now, err := m.sampleAgain(ctx, l.ID)
		if errdefs.IsNotFound(err) && opts.Stream {
			return nil
		}
		if err != nil {
			return err
		}
		now.PreRead, now.PreCPUStats = last.Read, last.CPUStats
		if err := handle(now); err != nil || !opts.Stream {
			return err
		}
		last = now
	}
}

// sampleAgain looks afresh: the container may have ended, or runs again with other processes.
func (m *Module) sampleAgain(ctx context.Context, id string) (container.StatsResponse, error) {
	l, err := m.lookUp(ctx, id)
	if err != nil {
		return container.StatsResponse{}, err
	}
	return m.sample(l)
}

// sample reads what the kernel has counted until now.
func (m *Module) sample(l live) (container.StatsResponse, error) {
	idle := container.StatsResponse{ID: l.ID, Name: "/" + l.Name, OSType: "linux"}
	if l.state == nil || l.state.Pid == 0 {
		return idle, nil
	}
	s, err := cgroup.Read(l.state.CgroupPath)
	if errors.Is(err, fs.ErrNotExist) { // it has just ended
		return idle, nil
	}
	if err != nil {
		return idle, err
	}
	s.ID, s.Name, s.OSType, s.Read = idle.ID, idle.Name, idle.OSType, time.Now().UTC()
	s.CPUStats.OnlineCPUs = uint32(runtime.NumCPU())
	s.CPUStats.SystemUsage = machineTime(s.CPUStats.OnlineCPUs)
	if total := machineMemory(); s.MemoryStats.Limit == 0 || s.MemoryStats.Limit > total {
		s.MemoryStats.Limit = total
	}
	if !l.HostConfig.NetworkMode.IsHost() { // the machine's traffic is not the container's
		s.Networks = networkStats(l.state.Pid)
	}
	return s, nil
}

// machineTime is the processor time that the machine could have spent until
// now, in nanoseconds. Docker adds up /proc/stat, which is the same in ticks of
// 10 ms; by the clock it is exact over short spans, too.
func machineTime(cpus uint32) uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return uint64(ts.Nano()) * uint64(cpus)
}

// machineMemory is the machine's memory in bytes.
var machineMemory = sync.OnceValue(func() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit)
})

// networkStats reads the interfaces of a process's network namespace, but for the loopback.
func networkStats(pid int) map[string]container.NetworkStats {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/net/dev")
	if err != nil {
		return nil
	}
	defer f.Close()
	stats := map[string]container.NetworkStats{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, numbers, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		fields := strings.Fields(numbers)
		if !ok || name == "lo" || len(fields) < 12 {
			continue
		}
		var n [12]uint64
		for i := range n {
			n[i], _ = strconv.ParseUint(fields[i], 10, 64) // the kernel writes numbers
		}
		stats[name] = container.NetworkStats{
			RxBytes: n[0], RxPackets: n[1], RxErrors: n[2], RxDropped: n[3],
			TxBytes: n[8], TxPackets: n[9], TxErrors: n[10], TxDropped: n[11],
		}
	}
	if len(stats) == 0 {
		return nil
	}
	return stats
}
