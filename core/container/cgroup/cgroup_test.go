package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/moby/moby/api/types/container"
)

func files(t *testing.T, content map[string]string) group {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return group(dir)
}

func TestVersion2(t *testing.T) {
	g := files(t, map[string]string{
		"cpu.stat":       "usage_usec 7000\nuser_usec 4000\nsystem_usec 3000\nnr_periods 9\nnr_throttled 2\nthrottled_usec 50\n",
		"memory.current": "8192\n", "memory.max": "max\n", "memory.peak": "9000\n",
		"memory.stat": "anon 100\nfile 200\ninactive_file 64\n", "memory.events": "low 0\noom 3\noom_kill 1\n",
		"pids.current": "4\n", "pids.max": "max\n",
		"io.stat": "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n",
	})
	var s container.StatsResponse
	if err := readV2(g, &s); err != nil {
		t.Fatal(err)
	}
	want := container.StatsResponse{
		CPUStats: container.CPUStats{
			CPUUsage:       container.CPUUsage{TotalUsage: 7e6, UsageInUsermode: 4e6, UsageInKernelmode: 3e6},
			ThrottlingData: container.ThrottlingData{Periods: 9, ThrottledPeriods: 2, ThrottledTime: 50e3},
		},
		MemoryStats: container.MemoryStats{
			Usage: 8192, MaxUsage: 9000, Failcnt: 3, Stats: map[string]uint64{"anon": 100, "file": 200, "inactive_file": 64},
		},
		PidsStats: container.PidsStats{Current: 4},
		BlkioStats: container.BlkioStats{
			IoServiceBytesRecursive: []container.BlkioStatEntry{{Major: 8, Minor: 16, Op: "read", Value: 1459200}, {Major: 8, Minor: 16, Op: "write", Value: 314773504}},
			IoServicedRecursive:     []container.BlkioStatEntry{{Major: 8, Minor: 16, Op: "read", Value: 192}, {Major: 8, Minor: 16, Op: "write", Value: 353}},
		},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

func TestVersion1(t *testing.T) {
	g := files(t, map[string]string{
		"cpuacct.usage": "123456789\n", "cpuacct.usage_percpu": "100000000 23456789 \n", "cpuacct.stat": "user 7\nsystem 5\n",
		"cpu.stat":              "nr_periods 3\nnr_throttled 1\nthrottled_time 77\n",
		"memory.usage_in_bytes": "4096\n", "memory.limit_in_bytes": "9223372036854771712\n", "memory.stat": "cache 5\ntotal_inactive_file 6\n",
		"pids.current": "2\n", "pids.max": "100\n",
		"blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
	})
	var s container.StatsResponse
	if err := readV1(func(string) group { return g }, &s); err != nil {
		t.Fatal(err)
	}
	usage := container.CPUUsage{TotalUsage: 123456789, PercpuUsage: []uint64{100000000, 23456789}, UsageInUsermode: 70e6, UsageInKernelmode: 50e6}
	if !reflect.DeepEqual(s.CPUStats.CPUUsage, usage) || s.CPUStats.ThrottlingData.ThrottledTime != 77 {
		t.Errorf("processor: %+v", s.CPUStats)
	}
	if s.MemoryStats.Usage != 4096 || s.MemoryStats.Stats["total_inactive_file"] != 6 || s.PidsStats != (container.PidsStats{Current: 2, Limit: 100}) {
		t.Errorf("memory %+v, processes %+v", s.MemoryStats, s.PidsStats)
	}
	if got := total(s.BlkioStats.IoServiceBytesRecursive); got != 30 || len(s.BlkioStats.IoServiceBytesRecursive) != 2 {
		t.Errorf("block: %+v", s.BlkioStats)
	}
}

func TestACgroupThatIsGone(t *testing.T) {
	if _, err := Read("/nacre/no-such-container"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
