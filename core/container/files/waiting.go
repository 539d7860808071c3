package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/thread"
)

// Waiting opens a container that waits for its next start and whose root a
// thread of its shim has mounted on rootfs, with its volumes, for reading and
// writing. The root is the same mount that the start uses, so that it may come
// meanwhile. The caller looks afterwards whether the shim is still the container's.
func (l Layers) Waiting(shim int, rootfs string, mounts []Mount) (*Root, error) {
	bare, err := mountedBy(shim, rootfs)
	if err != nil {
		return nil, fmt.Errorf("open the container's root: %w", err)
	}
	defer bare.Close()
	return l.mount(mounts, func(target, _ string) error {
		err := unix.MoveMount(int(bare.dir.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
		return os.NewSyscallError("move_mount", err)
	})
}

// mountedBy takes a copy of an overlay that one thread of a process has mounted
// for itself; os.ErrNotExist where none has.
func mountedBy(pid int, target string) (*Root, error) {
	namespaces, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/ns/mnt")
	if err != nil {
		return nil, err
	}
	ours, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, path := range namespaces {
		if its, err := os.Readlink(path); err != nil || its == ours {
			continue // the thread has ended, or mounts nothing
		}
		root, err := overlayIn(path, target)
		if root != nil {
			return root, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(append(errs, os.ErrNotExist)...)
}

func overlayIn(namespace, target string) (root *Root, err error) {
	file, err := os.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	thread.Own(func() {
		if err = unix.Unshare(unix.CLONE_FS); err != nil {
			err = os.NewSyscallError("unshare", err)
			return
		}
		if err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNS); err != nil {
			err = os.NewSyscallError("setns", err)
			return
		}
		var at unix.Statfs_t
		if err = unix.Statfs(target, &at); err != nil || at.Type != unix.OVERLAYFS_SUPER_MAGIC {
			return // the folder alone
		}
		root, err = clone(target, 0)
	})
	return root, err
}
