package spec

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// cpuPeriod is the length in µs that --cpus is counted in; docker's.
const cpuPeriod = 100_000

func (b *builder) resources() error {
	devices := b.spec.Linux.Resources.Devices
	r, err := Resources(b.in.HostConfig.Resources)
	if err != nil {
		return err
	}
	r.Devices = devices
	b.spec.Linux.Resources = r
	return nil
}

// Resources turns docker's limits into the specification's; also used to
// change those of a running container. Devices stay empty.
func Resources(res container.Resources) (*specs.LinuxResources, error) {
	blkio, err := blockIO(res)
	if err != nil {
		return nil, err
	}
	r := &specs.LinuxResources{Memory: memory(res), CPU: cpu(res), BlockIO: blkio}
	if p := res.PidsLimit; p != nil {
		limit := *p
		if limit <= 0 { // none
			limit = -1
		}
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	return r, nil
}

func memory(res container.Resources) *specs.LinuxMemory {
	m := &specs.LinuxMemory{DisableOOMKiller: res.OomKillDisable}
	if res.Memory > 0 {
		m.Limit = &res.Memory
	}
	if res.MemoryReservation > 0 {
		m.Reservation = &res.MemoryReservation
	}
	switch {
	case res.MemorySwap != 0:
		m.Swap = &res.MemorySwap
	case res.Memory > 0: // docker's default: as much swap as memory
		twice := 2 * res.Memory
		m.Swap = &twice
	}
	if s := res.MemorySwappiness; s != nil && *s >= 0 {
		swappiness := uint64(*s)
		m.Swappiness = &swappiness
	}
	return m
}

func cpu(res container.Resources) *specs.LinuxCPU {
	c := &specs.LinuxCPU{Cpus: res.CpusetCpus, Mems: res.CpusetMems}
	if res.CPUShares > 0 {
		shares := uint64(res.CPUShares)
		c.Shares = &shares
	}
	if res.NanoCPUs > 0 {
		period := uint64(cpuPeriod)
		quota := res.NanoCPUs * cpuPeriod / 1e9
		c.Period, c.Quota = &period, &quota
	}
	if res.CPUPeriod > 0 {
		period := uint64(res.CPUPeriod)
		c.Period = &period
	}
	if res.CPUQuota != 0 {
		c.Quota = &res.CPUQuota
	}
	if res.CPURealtimePeriod != 0 {
		period := uint64(res.CPURealtimePeriod)
		c.RealtimePeriod = &period
	}
	if res.CPURealtimeRuntime != 0 {
		c.RealtimeRuntime = &res.CPURealtimeRuntime
	}
	return c
}

func blockIO(res container.Resources) (*specs.LinuxBlockIO, error) {
	io := &specs.LinuxBlockIO{}
	if res.BlkioWeight > 0 {
		io.Weight = &res.BlkioWeight
	}
	for _, w := range res.BlkioWeightDevice {
		major, minor, err := deviceNumber(w.Path)
		if err != nil {
			return nil, err
		}
		d := specs.LinuxWeightDevice{Weight: &w.Weight}
		d.Major, d.Minor = major, minor
		io.WeightDevice = append(io.WeightDevice, d)
	}
	for _, t := range []struct {
		from []*blkiodev.ThrottleDevice
		into *[]specs.LinuxThrottleDevice
	}{
		{res.BlkioDeviceReadBps, &io.ThrottleReadBpsDevice}, {res.BlkioDeviceWriteBps, &io.ThrottleWriteBpsDevice},
		{res.BlkioDeviceReadIOps, &io.ThrottleReadIOPSDevice}, {res.BlkioDeviceWriteIOps, &io.ThrottleWriteIOPSDevice},
	} {
		for _, dev := range t.from {
			major, minor, err := deviceNumber(dev.Path)
			if err != nil {
				return nil, err
			}
			d := specs.LinuxThrottleDevice{Rate: dev.Rate}
			d.Major, d.Minor = major, minor
			*t.into = append(*t.into, d)
		}
	}
	return io, nil
}

func deviceNumber(path string) (major, minor int64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, fmt.Errorf("look at device %s: %w: %w", path, err, errdefs.ErrInvalidArgument)
	}
	return int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev)), nil
}
