package files

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func (u *unpacker) owner(h *tar.Header) (uid, gid int) {
	if u.opts.Owner != nil {
		return u.opts.Owner.UID, u.opts.Owner.GID
	}
	return h.Uid, h.Gid
}

// attributes sets owner, extended attributes and mode, in the order that keeps
// them: a change of owner clears the set-id bits and capabilities.
func (u *unpacker) attributes(f *os.File, h *tar.Header) error {
	fd := int(f.Fd())
	uid, gid := u.owner(h)
	if err := unix.Fchown(fd, uid, gid); err != nil {
		return os.NewSyscallError("chown", err)
	}
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, paxXattr)
		if !ok || !mayBeSet(name) {
			continue
		}
		err := unix.Fsetxattr(fd, name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return os.NewSyscallError("chmod", unix.Fchmod(fd, uint32(h.Mode)&0o7777))
}

// mayBeSet leaves out what an archive could harm the host with: attributes of
// the kernel and of overlay file systems.
func mayBeSet(xattr string) bool {
	return strings.HasPrefix(xattr, "user.") || xattr == capabilities || strings.HasPrefix(xattr, "system.posix_acl_")
}

// attributesByPath is attributes and setTime for what cannot be opened: links,
// pipes, devices. at is an O_PATH descriptor, so no name is looked up again.
func (u *unpacker) attributesByPath(at *os.File, st unix.Stat_t, h *tar.Header) error {
	uid, gid := u.owner(h)
	if err := unix.Fchownat(int(at.Fd()), "", uid, gid, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return os.NewSyscallError("chown", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(fdPath(at), uint32(h.Mode)&0o7777); err != nil {
			return os.NewSyscallError("chmod", err)
		}
	}
	err := unix.UtimesNanoAt(int(at.Fd()), "", timespecs(h.ModTime), unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // before Linux 5.8; the time is not worth a failure
		return nil
	}
	return os.NewSyscallError("utimensat", err)
}

func setTime(f *os.File, t time.Time) error {
	return os.NewSyscallError("utimensat", unix.UtimesNanoAt(unix.AT_FDCWD, fdPath(f), timespecs(t), 0))
}

// timespecs gives access and modification time; a time before the kernel's is its first.
func timespecs(t time.Time) []unix.Timespec {
	if t.Unix() < 0 {
		t = time.Unix(0, 0)
	}
	ts := unix.NsecToTimespec(t.UnixNano())
	return []unix.Timespec{ts, ts}
}
