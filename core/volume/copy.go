package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tree copies a folder's content with owners, modes, times, extended
// attributes and links. Both sides are walked by descriptor, one name at a
// time and without following links, so that nobody who works in the target at
// the same time can lead the copy out of it.
type tree struct {
	target *os.File
	linked map[inode]string // where files with several names were copied to, below target
}

type inode struct{ device, number uint64 }

// CopyTree copies what is in the folder source into the folder target, and
// gives target the owner, mode and attributes of source.
func CopyTree(ctx context.Context, source, target *os.File) error {
	t := &tree{target: target, linked: map[inode]string{}}
	return t.folder(ctx, source, target, "")
}

// folder copies the content of one folder; path is its place below the target.
func (t *tree) folder(ctx context.Context, source, target *os.File, path string) error {
	names, err := source.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("read folder /%s: %w", path, err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.entry(ctx, source, target, name, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(source.Fd()), &st); err != nil {
		return fmt.Errorf("look at folder /%s: %w", path, err)
	}
	return attributes(source, target, &st, path)
}

func (t *tree) entry(ctx context.Context, source, target *os.File, name, path string) error {
	from, to := int(source.Fd()), int(target.Fd())
	var st unix.Stat_t
	if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("look at /%s: %w", path, err)
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFDIR && st.Nlink > 1 {
		id := inode{uint64(st.Dev), st.Ino}
		if first, ok := t.linked[id]; ok {
			return t.link(first, to, name, path)
		}
		t.linked[id] = path
	}
	var err error
	switch kind {
	case unix.S_IFDIR:
		return t.subfolder(ctx, source, target, name, path)
	case unix.S_IFREG:
		return file(source, target, name, path, &st)
	case unix.S_IFLNK:
		err = symlink(from, to, name)
	default:
		err = unix.Mknodat(to, name, st.Mode, int(st.Rdev))
	}
	if err == nil {
		err = finishByName(to, name, &st)
	}
	if err != nil {
		return fmt.Errorf("copy /%s: %w", path, err)
	}
	return nil
}

func (t *tree) subfolder(ctx context.Context, source, target *os.File, name, path string) error {
	if err := unix.Mkdirat(int(target.Fd()), name, 0o700); err != nil {
		return fmt.Errorf("create folder /%s: %w", path, err)
	}
	from, err := openBelow(source, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("open folder /%s: %w", path, err)
	}
	defer from.Close()
	to, err := openBelow(target, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("open the copy of folder /%s: %w", path, err)
	}
	defer to.Close()
	return t.folder(ctx, from, to, path)
}

// link gives a file that was copied before another name.
func (t *tree) link(first string, to int, name, path string) error {
	parent, err := openResolved(t.target, filepath.Dir(first), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("link /%s to /%s: %w", path, first, err)
	}
	defer parent.Close()
	if err := unix.Linkat(int(parent.Fd()), filepath.Base(first), to, name, 0); err != nil {
		return fmt.Errorf("link /%s to /%s: %w", path, first, err)
	}
	return nil
}

func file(source, target *os.File, name, path string, st *unix.Stat_t) error {
	from, err := openBelow(source, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /%s: %w", path, err)
	}
	defer from.Close()
	to, err := openBelow(target, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create /%s: %w", path, err)
	}
	if _, err = io.Copy(to, from); err == nil { // the kernel copies, where it can
		err = attributes(from, to, st, path)
	}
	if closed := to.Close(); err == nil && closed != nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("copy /%s: %w", path, err)
	}
	return nil
}

func symlink(from, to int, name string) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(from, name, buf)
	if err != nil {
		return err
	}
	return unix.Symlinkat(string(buf[:n]), to, name)
}

// attributes copies owner, extended attributes, mode and times, in the order
// that keeps them: a change of owner clears the set-id bits and capabilities.
func attributes(from, to *os.File, st *unix.Stat_t, path string) error {
	fd := int(to.Fd())
	err := unix.Fchown(fd, int(st.Uid), int(st.Gid))
	if err == nil {
		err = xattrs(int(from.Fd()), fd)
	}
	if err == nil {
		err = unix.Fchmod(fd, st.Mode&0o7777)
	}
	if err == nil {
		err = unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), []unix.Timespec{st.Atim, st.Mtim}, 0)
	}
	if err != nil {
		return fmt.Errorf("copy the attributes of /%s: %w", path, err)
	}
	return nil
}

// finishByName is attributes for what cannot be opened: links and special files.
func finishByName(dir int, name string, st *unix.Stat_t) error {
	if err := unix.Fchownat(dir, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := chmodNoFollow(dir, name, st.Mode&0o7777); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// chmodNoFollow changes the mode through an O_PATH descriptor: fchmodat
// follows links, and its newer form is not everywhere.
func chmodNoFollow(dir int, name string, mode uint32) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}

// xattrs copies extended attributes but overlayfs's own. A target file system
// that has none of a kind goes without.
func xattrs(from, to int) error {
	size, err := unix.Flistxattr(from, nil)
	if errors.Is(err, unix.ENOTSUP) || size == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	list := make([]byte, size)
	if size, err = unix.Flistxattr(from, list); err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:size]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		value, err := xattr(from, name)
		if err != nil {
			return err
		}
		if err := unix.Fsetxattr(to, name, value, 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func xattr(fd int, name string) ([]byte, error) {
	size, err := unix.Fgetxattr(fd, name, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	value := make([]byte, size)
	size, err = unix.Fgetxattr(fd, name, value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return value[:size], nil
}

// openBelow opens one name in a folder, never a link.
func openBelow(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openResolved opens a path with dir as its root: links in it, absolute ones
// too, lead to places below dir.
func openResolved(dir *os.File, path string, flags int) (*os.File, error) {
	fd, err := unix.Openat2(int(dir.Fd()), path, &unix.OpenHow{
		Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}
