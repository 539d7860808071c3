//go:build cgo

package shim

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
	"github.com/nacre-sh/nacre/core/thread"
)

// joinOthers takes hold of the namespaces of other containers that the
// specification names by a process. From here on they are the shim's own
// descriptors: a restart by policy joins the same ones again, and never those
// of a stranger that has got the process's number meanwhile.
func (c *container) joinOthers(spec *specs.Spec) error {
	for i := range spec.Linux.Namespaces {
		ns := &spec.Linux.Namespaces[i]
		if ns.Path == "" {
			continue
		}
		if ns.Type == specs.IPCNamespace {
			if err := c.joinShm(filepath.Join(filepath.Dir(ns.Path), "mnt")); err != nil {
				return fmt.Errorf("join the shared memory of the other container: %w", err)
			}
		}
		f, err := os.Open(ns.Path)
		if err != nil {
			return fmt.Errorf("join the %s namespace of the other container: %w", ns.Type, err)
		}
		c.joined = append(c.joined, f)
		ns.Path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
	}
	return nil
}

// joinShm mounts the /dev/shm that is seen in a mount namespace on a folder in
// the worker's: the one can only be copied inside, the copy only be mounted here.
func (c *container) joinShm(mountNS string) error {
	ns, err := os.Open(mountNS)
	if err != nil {
		return err
	}
	defer ns.Close()
	var shm int
	thread.Own(func() { shm, err = copyShm(ns) })
	if err != nil {
		return err
	}
	defer unix.Close(shm)
	target := filepath.Join(c.bind.RunDir, shimapi.ShmDir)
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	return c.worker.do(func() error {
		return os.NewSyscallError("move_mount", unix.MoveMount(shm, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH))
	})
}

// copyShm moves the calling thread into a mount namespace and copies a mount there.
func copyShm(ns *os.File) (int, error) {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return -1, os.NewSyscallError("unshare", err)
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
		return -1, os.NewSyscallError("setns", err)
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/dev/shm", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	return fd, os.NewSyscallError("open_tree", err)
}
