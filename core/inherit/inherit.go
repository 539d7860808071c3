// Package inherit keeps the descriptors of whoever started nacre out of the
// processes that outlive it. A shell passes all that are not close-on-exec on
// to its programs: a lock that a script holds (`exec 9>lock; flock 9`), the end
// of a pipe that somebody reads to its end. The shim of a container that runs
// for weeks must not be the one that holds them.
package inherit

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Close closes what this process was given beyond its standard
// streams, except for those to keep. It belongs to the beginning of main: all
// that a Go program opens is close-on-exec, and that is how the others are
// told. Where /proc cannot be read, nothing is closed.
func Close(keep ...int) {
	for _, fd := range opened() {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 && !slices.Contains(keep, fd) {
			unix.Close(fd)
		}
	}
}

// Keep makes all beyond the standard streams close-on-exec, for a
// process that has nothing more to do than to start its successor.
func Keep() {
	for _, fd := range opened() {
		unix.CloseOnExec(fd)
	}
}

// opened lists the descriptors beyond the standard streams.
func opened() (fds []int) {
	entries, err := os.ReadDir("/proc/self/fd") // one of them is of this list, and closed by now
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			fds = append(fds, fd)
		}
	}
	return fds
}
