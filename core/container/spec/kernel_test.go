package spec

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
)

// kernel is a folder of cgroup files.
func kernel(t *testing.T, v2 bool, files map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Host{CgroupV2: v2, CgroupRoot: root}
}

func everyLimit() *container.HostConfig {
	swappiness, yes, pids := int64(10), true, int64(5)
	device := []*blkiodev.ThrottleDevice{{Path: "/dev/null", Rate: 1}}
	return &container.HostConfig{
		SecurityOpt: []string{"apparmor=mine", "label=type:x"},
		Resources: container.Resources{
			Memory: 64 << 20, MemorySwap: 96 << 20, MemoryReservation: 32 << 20, MemorySwappiness: &swappiness, OomKillDisable: &yes, PidsLimit: &pids,
			CPUShares: 5, CPUQuota: 5000, CPURealtimeRuntime: 7, CpusetCpus: "0", BlkioWeight: 100,
			BlkioWeightDevice: []*blkiodev.WeightDevice{{Path: "/dev/null", Weight: 5}}, BlkioDeviceReadBps: device, BlkioDeviceWriteBps: device,
			BlkioDeviceReadIOps: device, BlkioDeviceWriteIOps: device,
		},
	}
}

func TestAKernelWithoutCgroupsDiscardsEveryLimit(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		hc := everyLimit()
		warnings := Adapt(hc, kernel(t, v2, nil))
		for _, part := range []string{
			"memory limit", "swappiness", "memory soft limit", "OomKillDisable", "PIDs limit", "CPU shares", "CFS scheduler", "real-time", "cpuset",
			"I/O weight or", "weight_device", "BPS Block I/O read", "BPS Block I/O write", "IOPS Block read", "IOPS Block write", "AppArmor is not enabled",
		} {
			if n := len(slices.DeleteFunc(slices.Clone(warnings), func(w string) bool { return !strings.Contains(w, part) })); n != 1 {
				t.Errorf("v2 %v: %d warnings of %q in %q", v2, n, part, warnings)
			}
		}
		r := hc.Resources
		if r.Memory != 0 || r.MemoryReservation != 0 || r.MemorySwappiness != nil || r.PidsLimit != nil || r.CPUShares != 0 || r.CPUQuota != 0 || r.CPURealtimeRuntime != 0 ||
			r.CpusetCpus != "" || r.BlkioWeight != 0 || len(r.BlkioWeightDevice)+len(r.BlkioDeviceReadBps)+len(r.BlkioDeviceWriteIOps) != 0 || r.OomKillDisable != nil {
			t.Errorf("v2 %v: left: %+v", v2, r)
		}
	}
}

func TestAKernelWithCgroupsKeepsThem(t *testing.T) {
	v1 := kernel(t, false, map[string]string{
		"memory/memory.limit_in_bytes": "", "memory/memory.memsw.limit_in_bytes": "", "memory/memory.soft_limit_in_bytes": "", "memory/memory.swappiness": "",
		"memory/memory.oom_control": "", "pids/cgroup.procs": "", "cpu/cpu.shares": "", "cpu/cpu.cfs_quota_us": "", "cpu/cpu.rt_runtime_us": "", "cpuset/cpuset.cpus": "0-1",
		"blkio/blkio.bfq.io_service_bytes": "", "blkio/blkio.throttle.read_bps_device": "", "blkio/blkio.throttle.write_bps_device": "",
		"blkio/blkio.throttle.read_iops_device": "", "blkio/blkio.throttle.write_iops_device": "",
	})
	v1.AppArmor = true
	hc := everyLimit()
	hc.SecurityOpt = hc.SecurityOpt[:1]
	if warnings := Adapt(hc, v1); len(warnings) > 0 {
		t.Errorf("version 1: %q", warnings)
	}
	v2 := kernel(t, true, map[string]string{"cgroup.controllers": "cpuset cpu io memory pids\n"})
	v2.AppArmor = true
	hc = everyLimit()
	hc.SecurityOpt = nil
	warnings := Adapt(hc, v2)
	if len(warnings) != 3 { // swappiness, the OOM killer and real time are version 1's alone
		t.Errorf("version 2: %q", warnings)
	}
	if hc.Memory == 0 || hc.BlkioWeight == 0 || hc.CpusetCpus == "" || hc.PidsLimit == nil {
		t.Errorf("version 2 discards: %+v", hc.Resources)
	}
	plain := &container.HostConfig{Resources: container.Resources{Memory: 64 << 20}}
	if Adapt(plain, v2); plain.MemorySwap != 128<<20 {
		t.Errorf("swap is %d where memory alone was limited", plain.MemorySwap)
	}
}

func TestProcessorsThatThereAreNot(t *testing.T) {
	v2 := kernel(t, true, map[string]string{"cpuset.cpus.effective": "0-1,4\n", "cpuset.mems.effective": "0\n"})
	v1 := kernel(t, false, map[string]string{"cpuset/cpuset.cpus": "0-1,4\n", "cpuset/cpuset.mems": "0\n"})
	for _, host := range []Host{v1, v2} {
		for set, want := range map[string]string{
			"0": "", "0-1,4": "", "4": "", "2": "Requested CPUs are not available - requested 2, available: 0-1,4",
			"0-4": "Requested CPUs are not available - requested 0-4, available: 0-1,4", "1-": "Invalid value 1- for cpuset cpus", "3-1": "Invalid value", "0-99999999": "Invalid value",
		} {
			err := processors(&container.HostConfig{Resources: container.Resources{CpusetCpus: set}}, host)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%q: %v, want %q", set, err, want)
			}
		}
		if err := processors(&container.HostConfig{Resources: container.Resources{CpusetMems: "1"}}, host); err == nil || !strings.Contains(err.Error(), "Requested memory nodes are not available") {
			t.Errorf("memory nodes: %v", err)
		}
	}
}

func TestRealtimeWithinTheBudget(t *testing.T) {
	host := kernel(t, false, map[string]string{"cpu/nacre/cpu.rt_runtime_us": "0\n", "cpu/rich/cpu.rt_runtime_us": "5000\n"})
	for parent, granted := range map[string]bool{"": false, "/rich": true, "missing": false} {
		err := realtime(&container.HostConfig{Resources: container.Resources{CPURealtimeRuntime: 4000, CgroupParent: parent}}, host)
		if (err == nil) != granted {
			t.Errorf("below %q: %v", parent, err)
		}
	}
}
