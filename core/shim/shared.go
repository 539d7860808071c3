//go:build cgo

package shim

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// sharedTrees are mounts of the host by the place where the worker puts them. A
// copy made in the host's mount namespace stays a peer of the original wherever
// it is moved; the worker's own copy of the same mount only follows it.
type sharedTrees map[string]int

// copyShared copies the host's mounts that the container shares. The caller
// runs in the host's mount namespace.
func copyShared(sources []shimapi.Source) (sharedTrees, error) {
	trees := sharedTrees{}
	for _, s := range sources {
		if !s.Shared {
			continue
		}
		fd, err := unix.OpenTree(unix.AT_FDCWD, s.Lower[0], unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			trees.close()
			return nil, fmt.Errorf("share the mounts of %s: %w", s.Lower[0], os.NewSyscallError("open_tree", err))
		}
		trees[s.Target] = fd
	}
	return trees, nil
}

// mount puts a copy in its place, on the worker's thread.
func (t sharedTrees) mount(s shimapi.Source) error {
	var st unix.Stat_t
	if err := unix.Fstat(t[s.Target], &st); err != nil {
		return fmt.Errorf("look at %s: %w", s.Lower[0], err)
	}
	_ = os.Remove(s.Target) // of the last start; perhaps a file
	if err := os.MkdirAll(s.Target, 0o700); err != nil {
		return fmt.Errorf("prepare a mount: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err := replaceByFile(s.Target); err != nil {
			return err
		}
	}
	if err := unix.MoveMount(t[s.Target], "", unix.AT_FDCWD, s.Target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("share the mounts of %s: %w", s.Lower[0], os.NewSyscallError("move_mount", err))
	}
	return nil
}

func (t sharedTrees) close() {
	for _, fd := range t {
		unix.Close(fd)
	}
}
