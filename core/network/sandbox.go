package network

import (
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// An interface that has no end on the host (macvlan, ipvlan) cannot be asked
// for by name. Its namespace can: by its inode, which some process's
// /proc/<pid>/ns/net or open descriptor shows.

// sandboxOf names a network namespace: the path by which it was reached, and its inode.
func sandboxOf(path string, fd int) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", fmt.Errorf("look at network namespace %s: %w", path, err)
	}
	return strconv.FormatUint(st.Ino, 10) + " " + path, nil
}

// sandboxExists says whether a namespace that sandboxOf named is still there.
func sandboxExists(sandbox string) (bool, error) {
	var inode uint64
	var path string
	if _, err := fmt.Sscan(sandbox, &inode, &path); err != nil {
		return false, fmt.Errorf("read the sandbox %q of an endpoint: %w", sandbox, err)
	}
	if isNamespace(path, inode) {
		return true, nil
	}
	all, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return false, err
	}
	for _, p := range all {
		if isNamespace(p, inode) {
			return true, nil
		}
	}
	return false, nil
}

func isNamespace(path string, inode uint64) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Ino == inode
}
