package spec

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
)

// Validate refuses what is wrong and what this engine does not serve, each
// with one clear line: errdefs.ErrInvalidArgument and ErrNotImplemented.
func Validate(hc *container.HostConfig, host Host) error {
	if len(hc.StorageOpt) > 0 { // docker's words where its layers are on a file system without quotas
		return invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
	}
	for _, check := range []func(*container.HostConfig) error{unserved, modes, limits, securityOptions} {
		if err := check(hc); err != nil {
			return err
		}
	}
	for _, check := range []func(*container.HostConfig, Host) error{processors, realtime} {
		if err := check(hc, host); err != nil {
			return err
		}
	}
	if _, err := Capabilities(hc.CapAdd, hc.CapDrop, hc.Privileged, host); err != nil {
		return err
	}
	for _, rule := range hc.DeviceCgroupRules {
		if _, err := parseDeviceRule(rule); err != nil {
			return err
		}
	}
	if err := container.ValidateRestartPolicy(hc.RestartPolicy); err != nil {
		return err
	}
	if hc.AutoRemove && !hc.RestartPolicy.IsNone() {
		return invalid("can't create 'AutoRemove' container with restart policy")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}

// unserved lists what docker's daemon can do and this engine cannot, by flag.
func unserved(hc *container.HostConfig) error {
	for _, option := range []struct {
		asked bool
		flag  string
	}{
		{hc.VolumeDriver != "" && hc.VolumeDriver != "local", "--volume-driver " + hc.VolumeDriver},
		{hc.Cgroup != "", "a container's cgroup as one's own"},
		{hc.CPUCount != 0 || hc.CPUPercent != 0 || hc.IOMaximumIOps != 0 || hc.IOMaximumBandwidth != 0, "a limit of Windows containers"},
	} {
		if option.asked {
			return errdefs.ErrNotImplemented.WithMessage(option.flag + " is not supported by nacre's own engine")
		}
	}
	return nil
}

func modes(hc *container.HostConfig) error {
	switch {
	case !hc.PidMode.Valid():
		return invalid("invalid PID mode: %s", hc.PidMode)
	case !hc.IpcMode.Valid():
		return invalid("invalid IPC mode: %s", hc.IpcMode)
	case !hc.UTSMode.Valid():
		return invalid("invalid UTS mode: %s", hc.UTSMode)
	case !hc.UsernsMode.Valid():
		return invalid("invalid userns mode: %s", hc.UsernsMode)
	case !hc.Isolation.IsDefault():
		return invalid("invalid isolation (%s): linux only supports 'default'", hc.Isolation)
	case !hc.CgroupnsMode.Valid():
		return invalid("invalid cgroup namespace mode: %v", hc.CgroupnsMode)
	}
	return nil
}

// limits are docker's checks of sizes.
func limits(hc *container.HostConfig) error {
	const leastMemory = 6 << 20
	switch {
	case hc.Memory != 0 && hc.Memory < leastMemory:
		return invalid("Minimum memory limit allowed is 6MB")
	case hc.Memory > 0 && hc.MemorySwap > 0 && hc.MemorySwap < hc.Memory:
		return invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
	case hc.Memory == 0 && hc.MemorySwap > 0:
		return invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
	case hc.MemoryReservation > 0 && hc.Memory > 0 && hc.Memory < hc.MemoryReservation:
		return invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
	case hc.MemorySwappiness != nil && (*hc.MemorySwappiness < -1 || *hc.MemorySwappiness > 100):
		return invalid("Invalid value: %v, valid memory swappiness range is 0-100", *hc.MemorySwappiness)
	case hc.MemoryReservation > 0 && hc.MemoryReservation < leastMemory:
		return invalid("Minimum memory reservation allowed is 6MB")
	case hc.NanoCPUs > 0 && hc.CPUPeriod > 0:
		return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set")
	case hc.NanoCPUs > 0 && hc.CPUQuota > 0:
		return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
	case hc.CPUShares < 0:
		return invalid("invalid CPU shares (%d): value must be a positive integer", hc.CPUShares)
	case hc.CPURealtimePeriod != 0 && hc.CPURealtimeRuntime > hc.CPURealtimePeriod:
		return invalid("cpu real-time runtime cannot be higher than cpu real-time period")
	case hc.CPUPeriod != 0 && (hc.CPUPeriod < 1000 || hc.CPUPeriod > 1_000_000):
		return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	case hc.CPUQuota > 0 && hc.CPUQuota < 1000:
		return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	case hc.BlkioWeight > 0 && (hc.BlkioWeight < 10 || hc.BlkioWeight > 1000):
		return invalid("Range of blkio weight is from 10 to 1000")
	case hc.OomScoreAdj < -1000 || hc.OomScoreAdj > 1000:
		return invalid("Invalid value %d, range for oom score adj is [-1000, 1000]", hc.OomScoreAdj)
	case hc.ShmSize < 0:
		return invalid("SHM size can not be less than 0")
	}
	return nil
}

func securityOptions(hc *container.HostConfig) error {
	for _, opt := range hc.SecurityOpt {
		name, value := splitSecurityOption(opt)
		switch name {
		case "no-new-privileges", "writable-cgroups":
			if value != "true" && value != "false" {
				return invalid("invalid --security-opt 2: %q", opt)
			}
		case "seccomp", "apparmor", "label":
		default:
			return invalid("invalid --security-opt 2: %q", opt)
		}
	}
	return nil
}
