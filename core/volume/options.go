package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"go.podman.io/storage/pkg/mount"
	"golang.org/x/sys/unix"
)

// needs are the options of docker's local driver, each with those that it makes no sense without.
var needs = map[string][]string{"type": {"device"}, "device": {"type"}, "o": {"device", "type"}, "size": nil}

func validateOptions(name string, options map[string]string) error {
	invalid := func(format string, args ...any) error {
		return errdefs.ErrInvalidArgument.WithMessage("create " + name + ": " + fmt.Sprintf(format, args...))
	}
	for key := range options {
		if _, known := needs[key]; !known {
			return invalid("invalid option: %q", key)
		}
		for _, other := range needs[key] {
			if _, given := options[other]; !given {
				return invalid("missing required option: %q", other)
			}
		}
	}
	if _, asked := options["size"]; asked {
		return invalid("quota size requested but no quota support")
	}
	return nil
}

// Attach mounts what the options of a container's volumes say, until Detach.
// Several containers share one mount; the first brings it, the last takes it
// away. It tells the names of those that need a mount at all.
//
// What is mounted is found out by looking: a machine that was started anew has
// the records and not the mounts.
func (v *Volumes) Attach(ctx context.Context, containerID string) ([]string, error) {
	used, err := query(ctx, v.store.DB, `WHERE options <> '' AND name IN (SELECT volume FROM volume_users WHERE container = ?)`, containerID)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range used {
		if err := v.attach(ctx, r, containerID); err != nil {
			return names, errors.Join(err, v.Detach(context.WithoutCancel(ctx), containerID))
		}
		names = append(names, r.name)
	}
	return names, nil
}

func (v *Volumes) attach(ctx context.Context, r record, containerID string) error {
	unlock, err := v.lock(r.name)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = v.store.DB.ExecContext(ctx, `INSERT OR IGNORE INTO volume_mounts (volume, container) VALUES (?, ?)`, r.name, containerID)
	if err != nil {
		return fmt.Errorf("record the mount of volume %s: %w", r.name, err)
	}
	target := v.mountpoint(r.name)
	if mounted, err := isMountpoint(target); err != nil || mounted {
		return err
	}
	if err := mountOptions(r.options, target); err != nil {
		return fmt.Errorf("error while mounting volume '%s': failed to mount local volume: %w", target, err)
	}
	return nil
}

// Detach ends a container's need of mounts. It may be called for a container
// that has none.
func (v *Volumes) Detach(ctx context.Context, containerID string) error {
	rows, err := v.store.DB.QueryContext(ctx, `SELECT volume FROM volume_mounts WHERE container = ?`, containerID)
	if err != nil {
		return fmt.Errorf("read the mounts of volumes: %w", err)
	}
	names, err := scanNames(rows)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, v.detach(ctx, name, containerID))
	}
	return errors.Join(errs...)
}

// Attached lists the containers that have mounts, for a sweep.
func (v *Volumes) Attached(ctx context.Context) ([]string, error) {
	rows, err := v.store.DB.QueryContext(ctx, `SELECT DISTINCT container FROM volume_mounts`)
	if err != nil {
		return nil, fmt.Errorf("read the mounts of volumes: %w", err)
	}
	return scanNames(rows)
}

func (v *Volumes) detach(ctx context.Context, name, containerID string) error {
	unlock, err := v.lock(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		defer unlock()
	}
	if _, err := v.store.DB.ExecContext(ctx, `DELETE FROM volume_mounts WHERE volume = ? AND container = ?`, name, containerID); err != nil {
		return fmt.Errorf("record the end of the mount of volume %s: %w", name, err)
	}
	var others int
	if err := v.store.DB.QueryRowContext(ctx, `SELECT count(*) FROM volume_mounts WHERE volume = ?`, name).Scan(&others); err != nil {
		return fmt.Errorf("read the mounts of volumes: %w", err)
	}
	if others > 0 {
		return nil
	}
	return v.unmount(name)
}

// unmount takes what is mounted on a volume's folder away.
func (v *Volumes) unmount(name string) error {
	target := v.mountpoint(name)
	mounted, err := isMountpoint(target)
	if err != nil || !mounted {
		return err
	}
	if err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount volume %s: %w", name, err)
	}
	return nil
}

// lock admits one process at a time to the mounts of a volume; a crash lets go.
func (v *Volumes) lock(name string) (unlock func(), err error) {
	dir, err := os.OpenFile(filepath.Join(v.store.Paths.Volumes(), name), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("lock volume %s: %w", name, err)
	}
	for {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock volume %s: %w", name, err)
	}
	return func() { dir.Close() }, nil
}

// isMountpoint asks the kernel, and older ones by comparing devices, which
// does not tell for a folder bound from the same file system: those ask mountinfo.
func isMountpoint(path string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
		return false, nil
	case errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOTCONN):
		return true, nil // a server that has gone away
	case err == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0:
		return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	mounted, err := mount.Mounted(path)
	if err != nil {
		return false, fmt.Errorf("look for a mount on %s: %w", path, err)
	}
	return mounted, nil
}

// mountOptions does what `mount -t TYPE -o O DEVICE` does for a local volume.
// Passwords in the options are not repeated in errors.
func mountOptions(options map[string]string, target string) error {
	o, err := resolveAddress(options["type"], options["o"])
	if err != nil {
		return err
	}
	err = mount.ForceMount(options["device"], target, options["type"], o)
	if err == nil {
		return nil
	}
	cause := err
	for errors.Unwrap(cause) != nil {
		cause = errors.Unwrap(cause)
	}
	return fmt.Errorf("mount %s:%s, type: %s: %w", options["device"], target, options["type"], cause)
}

// resolveAddress replaces the host name in addr=, because the kernel takes
// addresses only.
func resolveAddress(fsType, o string) (string, error) {
	if fsType != "nfs" && fsType != "nfs4" && fsType != "cifs" {
		return o, nil
	}
	parts := strings.Split(o, ",")
	for i, part := range parts {
		host, ok := strings.CutPrefix(part, "addr=")
		if !ok || net.ParseIP(host) != nil {
			continue
		}
		ip, err := net.ResolveIPAddr("ip", host)
		if err != nil {
			return "", fmt.Errorf("error resolving passed in network volume address: %w", err)
		}
		parts[i] = "addr=" + ip.String()
	}
	return strings.Join(parts, ","), nil
}

// Mounted says whether something is mounted on a volume's folder now.
func (v *Volumes) Mounted(name string) (bool, error) { return isMountpoint(v.mountpoint(name)) }
