package spec

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// defaultCgroupRoot is where the kernel's cgroups are mounted.
const defaultCgroupRoot = "/sys/fs/cgroup"

func (h Host) cgroupFile(elements ...string) string {
	root := h.CgroupRoot
	if root == "" {
		root = defaultCgroupRoot
	}
	return filepath.Join(append([]string{root}, elements...)...)
}

// limits tells whether the kernel knows a limit: by its file in a controller of
// the old hierarchies (one of them will do), or by the controller's presence in the unified one.
func (h Host) limits(controller string, oldFiles ...string) bool {
	if h.CgroupV2 {
		content, err := os.ReadFile(h.cgroupFile("cgroup.controllers"))
		if controller == "blkio" {
			controller = "io"
		}
		return err == nil && slices.Contains(strings.Fields(string(content)), controller)
	}
	return slices.ContainsFunc(oldFiles, func(file string) bool {
		_, err := os.Stat(h.cgroupFile(controller, file))
		return err == nil
	})
}

// Adapt takes out of a configuration what this kernel cannot do, with docker's
// warnings, and fills in what follows from the rest. The kernel is only asked
// about limits that are asked for.
func Adapt(hc *container.HostConfig, host Host) (warnings []string) {
	discard := func(asked bool, known func() bool, warning string, reset func()) {
		if asked && !known() {
			warnings = append(warnings, warning)
			reset()
		}
	}
	old := func(controller string, files ...string) func() bool {
		return func() bool { return host.limits(controller, files...) }
	}
	const notMounted = " or the cgroup is not mounted. "
	discard(hc.Memory > 0, old("memory", "memory.limit_in_bytes"),
		"Your kernel does not support memory limit capabilities"+notMounted+"Limitation discarded.", func() { hc.Memory, hc.MemorySwap = 0, -1 })
	discard(hc.Memory > 0 && hc.MemorySwap != -1, old("memory", "memory.memsw.limit_in_bytes"),
		"Your kernel does not support swap limit capabilities"+notMounted+"Memory limited without swap.", func() { hc.MemorySwap = -1 })
	oldOnly := func(file string) func() bool {
		return func() bool { return !host.CgroupV2 && host.limits("memory", file) }
	}
	if s := hc.MemorySwappiness; s != nil && *s == -1 { // docker's client sends it for unset
		hc.MemorySwappiness = nil
	}
	discard(hc.MemorySwappiness != nil, oldOnly("memory.swappiness"),
		"Your kernel does not support memory swappiness capabilities"+notMounted+"Memory swappiness discarded.", func() { hc.MemorySwappiness = nil })
	discard(hc.MemoryReservation > 0, old("memory", "memory.soft_limit_in_bytes"),
		"Your kernel does not support memory soft limit capabilities"+notMounted+"Limitation discarded.", func() { hc.MemoryReservation = 0 })
	killer := hc.OomKillDisable != nil && *hc.OomKillDisable
	discard(killer, oldOnly("memory.oom_control"), "Your kernel does not support OomKillDisable. OomKillDisable discarded.", func() { hc.OomKillDisable, killer = nil, false })
	if killer && hc.Memory == 0 {
		warnings = append(warnings, "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.")
	}
	discard(hc.PidsLimit != nil && *hc.PidsLimit > 0, old("pids", "cgroup.procs"),
		"Your kernel does not support PIDs limit capabilities"+notMounted+"PIDs limit discarded.", func() { hc.PidsLimit = nil })
	discard(hc.CPUShares > 0, old("cpu", "cpu.shares"),
		"Your kernel does not support CPU shares"+notMounted+"Shares discarded.", func() { hc.CPUShares = 0 })
	discard(hc.CPUPeriod != 0 || hc.CPUQuota != 0, old("cpu", "cpu.cfs_quota_us"),
		"Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.", func() { hc.CPUPeriod, hc.CPUQuota = 0, 0 })
	discard(hc.CPURealtimePeriod != 0 || hc.CPURealtimeRuntime != 0, func() bool { return !host.CgroupV2 && host.limits("cpu", "cpu.rt_runtime_us") },
		"Your kernel does not support CPU real-time scheduler. CPU real-time period and runtime discarded.", func() { hc.CPURealtimePeriod, hc.CPURealtimeRuntime = 0, 0 })
	discard(hc.CpusetCpus != "" || hc.CpusetMems != "", old("cpuset", "cpuset.cpus"),
		"Your kernel does not support cpuset"+notMounted+"Cpuset discarded.", func() { hc.CpusetCpus, hc.CpusetMems = "", "" })
	warnings = append(warnings, adaptBlockIO(hc, host)...)
	if hc.Memory > 0 && hc.MemorySwap == 0 {
		hc.MemorySwap = 2 * hc.Memory // docker's default, which inspect shows
	}
	warnings = append(warnings, adaptSecurity(hc, host)...)
	disableLabels(hc)
	return warnings
}

func adaptBlockIO(hc *container.HostConfig, host Host) (warnings []string) {
	const notMounted = " or the cgroup is not mounted. "
	// The topmost cgroup has no weight of BFQ's, but its statistics.
	weights := []string{"blkio.weight", "blkio.bfq.io_service_bytes"}
	perDevice := []string{"blkio.weight_device", "blkio.bfq.io_service_bytes"}
	for _, limit := range []struct {
		asked   bool
		files   []string
		warning string
		reset   func()
	}{
		{hc.BlkioWeight > 0, weights, "Your kernel does not support Block I/O weight" + notMounted + "Weight discarded.", func() { hc.BlkioWeight = 0 }},
		{len(hc.BlkioWeightDevice) > 0, perDevice, "Your kernel does not support Block I/O weight_device" + notMounted + "Weight-device discarded.", func() { hc.BlkioWeightDevice = []*blkiodev.WeightDevice{} }},
		{len(hc.BlkioDeviceReadBps) > 0, []string{"blkio.throttle.read_bps_device"},
			"Your kernel does not support BPS Block I/O read limit" + notMounted + "Block I/O BPS read limit discarded.", func() { hc.BlkioDeviceReadBps = []*blkiodev.ThrottleDevice{} }},
		{len(hc.BlkioDeviceWriteBps) > 0, []string{"blkio.throttle.write_bps_device"},
			"Your kernel does not support BPS Block I/O write limit" + notMounted + "Block I/O BPS write limit discarded.", func() { hc.BlkioDeviceWriteBps = []*blkiodev.ThrottleDevice{} }},
		{len(hc.BlkioDeviceReadIOps) > 0, []string{"blkio.throttle.read_iops_device"},
			"Your kernel does not support IOPS Block read limit" + notMounted + "Block I/O IOPS read limit discarded.", func() { hc.BlkioDeviceReadIOps = []*blkiodev.ThrottleDevice{} }},
		{len(hc.BlkioDeviceWriteIOps) > 0, []string{"blkio.throttle.write_iops_device"},
			"Your kernel does not support IOPS Block write limit" + notMounted + "Block I/O IOPS write limit discarded.", func() { hc.BlkioDeviceWriteIOps = []*blkiodev.ThrottleDevice{} }},
	} {
		if limit.asked && !host.limits("blkio", limit.files...) {
			warnings = append(warnings, limit.warning)
			limit.reset()
		}
	}
	return warnings
}

// processors checks what a limit says about processors and memory nodes
// against those that there are; the words are docker's.
func processors(hc *container.HostConfig, host Host) error {
	if count := runtime.NumCPU(); hc.NanoCPUs < 0 || hc.NanoCPUs > int64(count)*1e9 {
		return invalid("Range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", count, count)
	}
	for _, set := range []struct{ value, file, what, kind string }{
		{hc.CpusetCpus, "cpuset.cpus", "CPUs", "cpus"}, {hc.CpusetMems, "cpuset.mems", "memory nodes", "mems"},
	} {
		if set.value == "" {
			continue
		}
		want, err := parseList(set.value)
		if err != nil {
			return invalid("Invalid value %s for cpuset %s: %v", set.value, set.kind, err)
		}
		file := host.cgroupFile("cpuset", set.file)
		if host.CgroupV2 {
			file = host.cgroupFile(set.file + ".effective")
		}
		content, err := os.ReadFile(file)
		if err != nil {
			continue // the start will tell
		}
		text := strings.TrimSpace(string(content))
		have, err := parseList(text)
		if err == nil && slices.ContainsFunc(want, func(n int) bool { return !slices.Contains(have, n) }) {
			return invalid("Requested %s are not available - requested %s, available: %s", set.what, set.value, text)
		}
	}
	return nil
}

// realtime refuses a real-time budget that the cgroup above has not got: the
// kernel gives a new one none, and the start would fail with "invalid argument".
func realtime(hc *container.HostConfig, host Host) error {
	if hc.CPURealtimeRuntime <= 0 {
		return nil
	}
	parent := cmp.Or(hc.CgroupParent, shimapi.DefaultCgroupParent)
	file := host.cgroupFile("cpu", parent, "cpu.rt_runtime_us")
	budget := 0
	if content, err := os.ReadFile(file); err == nil {
		budget, _ = strconv.Atoi(strings.TrimSpace(string(content)))
	}
	if int64(budget) >= hc.CPURealtimeRuntime {
		return nil
	}
	return invalid("--cpu-rt-runtime %d is more than the cgroup %s may share out (%d microseconds)\nhint: write a larger number to %s",
		hc.CPURealtimeRuntime, parent, budget, file)
}

// listLimit is more than the kernel's largest number of processors.
const listLimit = 1 << 16

// parseList reads the kernel's notation for sets, "0-3,5".
func parseList(text string) (numbers []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		to := from
		if err == nil && ranged {
			to, err = strconv.Atoi(last)
		}
		if err != nil || from < 0 || to < from || to >= listLimit {
			return nil, fmt.Errorf("invalid format: %s", text)
		}
		for n := from; n <= to; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// disableLabels says of a container that shares the machine's processes or
// memory that SELinux keeps out, unless the user says something of labels; docker shows it everywhere.
func disableLabels(hc *container.HostConfig) {
	asked := slices.ContainsFunc(hc.SecurityOpt, func(opt string) bool {
		name, _ := splitSecurityOption(opt)
		return name == "label"
	})
	if !asked && (hc.Privileged || hc.PidMode.IsHost() || hc.IpcMode.IsHost()) {
		hc.SecurityOpt = append(slices.Clone(hc.SecurityOpt), "label=disable")
	}
}

// adaptSecurity warns about modules that the kernel does not run, whose
// profiles and labels therefore mean nothing; docker is silent.
func adaptSecurity(hc *container.HostConfig, host Host) (warnings []string) {
	for _, opt := range hc.SecurityOpt {
		switch name, value := splitSecurityOption(opt); {
		case name == "apparmor" && value != "unconfined" && value != "" && !host.AppArmor:
			warnings = append(warnings, "AppArmor is not enabled on this machine: the profile "+value+" is not applied.")
		case name == "label" && value != "disable" && !host.SELinux:
			warnings = append(warnings, "SELinux is not enabled for containers: label="+value+" is not applied.")
		}
	}
	return warnings
}
