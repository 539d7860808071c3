package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// devices: nothing may be used but what the runtime allows every container
// (null, zero, random, tty, …) and what the user asked for. A privileged
// container sees and may use all.
func (b *builder) devices() error {
	b.spec.Linux.Resources = &specs.LinuxResources{}
	if b.in.HostConfig.Privileged {
		b.allow(specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"})
		devices, err := hostDevices("/dev")
		if err != nil {
			return fmt.Errorf("list the devices of the host: %w", err)
		}
		b.spec.Linux.Devices = devices
		return nil
	}
	b.allow(specs.LinuxDeviceCgroup{Allow: false, Access: "rwm"})
	for _, m := range b.in.HostConfig.Devices {
		if err := b.mapDevice(m.PathOnHost, m.PathInContainer, m.CgroupPermissions); err != nil {
			return err
		}
	}
	for _, rule := range b.in.HostConfig.DeviceCgroupRules {
		r, err := parseDeviceRule(rule)
		if err != nil {
			return err
		}
		b.allow(r)
	}
	return nil
}

func (b *builder) allow(rule specs.LinuxDeviceCgroup) {
	b.spec.Linux.Resources.Devices = append(b.spec.Linux.Resources.Devices, rule)
}

// mapDevice adds one device, or all below a folder.
func (b *builder) mapDevice(onHost, inContainer, access string) error {
	if access == "" {
		access = "rwm"
	}
	info, err := os.Stat(onHost)
	if err != nil {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("error gathering device information while adding custom device %q: %v", onHost, pathCause(err)))
	}
	devices := []specs.LinuxDevice{}
	if info.IsDir() {
		if devices, err = hostDevices(onHost); err != nil {
			return fmt.Errorf("list the devices below %s: %w", onHost, err)
		}
	} else {
		d, err := device(onHost)
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	for _, d := range devices {
		d.Path = filepath.Join(inContainer, strings.TrimPrefix(d.Path, onHost))
		b.spec.Linux.Devices = append(b.spec.Linux.Devices, d)
		b.allow(specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: access})
	}
	return nil
}

func pathCause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

func device(path string) (specs.LinuxDevice, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return specs.LinuxDevice{}, fmt.Errorf("look at device %s: %w", path, err)
	}
	d := specs.LinuxDevice{Path: path, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)), UID: &st.Uid, GID: &st.Gid}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		d.Type = "c"
	case unix.S_IFBLK:
		d.Type = "b"
	default:
		return specs.LinuxDevice{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("error gathering device information while adding custom device %q: not a device node", path))
	}
	mode := os.FileMode(st.Mode & 0o777)
	d.FileMode = &mode
	return d, nil
}

// hostDevices lists device nodes below a folder, without those that belong to
// one mount of /dev (terminals, shared memory, queues) or to its console.
func hostDevices(root string) ([]specs.LinuxDevice, error) {
	skip := map[string]bool{"pts": true, "shm": true, "fd": true, "mqueue": true, ".lxc": true, ".lxd-mounts": true, ".udev": true}
	var devices []specs.LinuxDevice
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since it was listed
			return nil
		case err != nil:
			return err
		case entry.IsDir() && skip[entry.Name()]:
			return fs.SkipDir
		case entry.Name() == "console" || entry.Type()&fs.ModeDevice == 0:
			return nil
		}
		d, err := device(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			devices = append(devices, d)
		}
		return err
	})
	return devices, err
}

// parseDeviceRule reads --device-cgroup-rule: "c 1:3 rwm", with * for any number.
func parseDeviceRule(rule string) (specs.LinuxDeviceCgroup, error) {
	bad := errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid device cgroup rule format: '%s'", rule))
	fields := strings.Fields(rule)
	if len(fields) != 3 || !strings.Contains("abc", fields[0]) || strings.Trim(fields[2], "rwm") != "" {
		return specs.LinuxDeviceCgroup{}, bad
	}
	major, minor, ok := strings.Cut(fields[1], ":")
	if !ok {
		return specs.LinuxDeviceCgroup{}, bad
	}
	r := specs.LinuxDeviceCgroup{Allow: true, Type: fields[0], Access: fields[2]}
	for _, n := range []struct {
		text string
		into **int64
	}{{major, &r.Major}, {minor, &r.Minor}} {
		if n.text == "*" {
			continue
		}
		v, err := strconv.ParseInt(n.text, 10, 32)
		if err != nil {
			return specs.LinuxDeviceCgroup{}, bad
		}
		*n.into = &v
	}
	return r, nil
}
