package files

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/thread"
)

// Live is the root of a running container as its init sees it, volumes and all
// that it has mounted included. The caller checks afterwards that pid is still
// the container's.
func Live(pid int) (*Root, error) {
	dir, err := os.OpenFile("/proc/"+strconv.Itoa(pid)+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's root: %w", err)
	}
	return &Root{dir}, nil
}

// LiveBare is the root of a running container without what is mounted on it:
// image and writable layer. The caller checks as with Live.
func LiveBare(pid int) (*Root, error) {
	namespace, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("open the container's mounts: %w", err)
	}
	defer namespace.Close()
	var root *Root
	thread.Own(func() {
		if err = unix.Unshare(unix.CLONE_FS); err != nil {
			err = os.NewSyscallError("unshare", err)
			return
		}
		if err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS); err != nil {
			err = os.NewSyscallError("setns", err)
			return
		}
		root, err = clone("/", 0)
	})
	if err != nil {
		return nil, fmt.Errorf("open the container's root: %w", err)
	}
	return root, nil
}

// clone copies the mount at a path of the calling thread's namespace; the copy
// is nowhere mounted and lives as long as its descriptor.
func clone(path string, flags uint) (*Root, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|flags)
	if err != nil {
		return nil, os.NewSyscallError("open_tree", err)
	}
	return &Root{os.NewFile(uintptr(fd), "root")}, nil
}

// privately runs fn on a thread that has the host's mounts for itself: what fn
// mounts is seen by nobody else and is gone afterwards, also by a crash.
func privately(fn func() error) (err error) {
	thread.Own(func() {
		if err = unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			err = os.NewSyscallError("unshare", err)
			return
		}
		if err = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			err = os.NewSyscallError("mount", err)
			return
		}
		err = fn()
	})
	return err
}
