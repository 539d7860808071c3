package stats

import (
	"time"

	"github.com/moby/moby/api/types/container"
)

// sample is what an engine has counted for a container at one moment, and what
// follows from the sample before it. The formulas are those of docker's client.
type sample struct {
	at          time.Time
	cpu         float64 // per cent of one processor; < 0 while not known
	memory      float64 // bytes, without the page cache that can be dropped
	limit       float64 // bytes, 0 without
	pids        uint64
	received    float64 // bytes, since the container's start
	sent        float64
	read        float64
	written     float64
	netIn       float64 // bytes per second
	netOut      float64
	blockIn     float64
	blockOut    float64
	cpuTotal    uint64 // what cpu is computed from
	systemTotal uint64
}

// io is the traffic by which a container is ordered.
func (s sample) io() float64 { return s.netIn + s.netOut + s.blockIn + s.blockOut }

func newSample(v *container.StatsResponse, before *sample) sample {
	s := sample{
		at: v.Read, cpu: -1, limit: float64(v.MemoryStats.Limit), pids: v.PidsStats.Current,
		cpuTotal: v.CPUStats.CPUUsage.TotalUsage, systemTotal: v.CPUStats.SystemUsage,
	}
	if s.at.IsZero() {
		s.at = time.Now()
	}
	s.memory = memoryInUse(v.MemoryStats)
	for _, n := range v.Networks {
		s.received += float64(n.RxBytes)
		s.sent += float64(n.TxBytes)
	}
	s.read, s.written = blockIO(v.BlkioStats)
	if before != nil {
		s.compare(v, before)
	}
	return s
}

// compare fills in what takes two samples. Counters that have gone back belong
// to a container that was started again: they tell nothing.
func (s *sample) compare(v *container.StatsResponse, before *sample) {
	processors := float64(v.CPUStats.OnlineCPUs)
	if processors == 0 {
		processors = float64(len(v.CPUStats.CPUUsage.PercpuUsage))
	}
	cpu, system := float64(s.cpuTotal)-float64(before.cpuTotal), float64(s.systemTotal)-float64(before.systemTotal)
	if system > 0 && cpu >= 0 {
		s.cpu = cpu / system * processors * 100
	}
	seconds := s.at.Sub(before.at).Seconds()
	if seconds <= 0 {
		return
	}
	rate := func(now, then float64) float64 { return max(0, now-then) / seconds }
	s.netIn, s.netOut = rate(s.received, before.received), rate(s.sent, before.sent)
	s.blockIn, s.blockOut = rate(s.read, before.read), rate(s.written, before.written)
}

// memoryInUse leaves out the page cache that the kernel would drop first:
// total_inactive_file of cgroup version 1, inactive_file of version 2.
func memoryInUse(m container.MemoryStats) float64 {
	cache, first := m.Stats["total_inactive_file"]
	if !first {
		cache = m.Stats["inactive_file"]
	}
	if cache < m.Usage {
		return float64(m.Usage - cache)
	}
	return float64(m.Usage)
}

func blockIO(b container.BlkioStats) (read, written float64) {
	for _, e := range b.IoServiceBytesRecursive {
		switch {
		case e.Op == "":
		case e.Op[0] == 'r' || e.Op[0] == 'R':
			read += float64(e.Value)
		case e.Op[0] == 'w' || e.Op[0] == 'W':
			written += float64(e.Value)
		}
	}
	return read, written
}
