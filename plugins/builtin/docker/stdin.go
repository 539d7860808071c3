package docker

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ownInput returns an input that belongs to one invocation: the library may
// close it, and release ends a read that it has left behind, so that a shell's
// next line is not eaten by the last container's input. It stays an *os.File
// where the input is one, because raw mode and resizing need its descriptor.
//
// The trick is an open file description of our own, in non-blocking mode, made
// through /proc; the shell's own description keeps its mode.
func ownInput(in io.Reader) (_ io.ReadCloser, release func()) {
	if in == nil {
		return io.NopCloser(strings.NewReader("")), func() {}
	}
	f, ok := in.(*os.File)
	if !ok {
		return io.NopCloser(in), func() {}
	}
	if again := reopen(f); again != nil {
		return again, func() { again.Close() }
	}
	return io.NopCloser(in), func() {}
}

// reopen opens the same terminal, pipe or file once more; nil when that cannot
// be (sockets, a terminal of another user, a regular file, whose offset must
// stay shared).
func reopen(f *os.File) *os.File {
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	if info.Mode().IsRegular() {
		return duplicate(f)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	if err := raw.Control(func(old uintptr) {
		path := "/proc/self/fd/" + strconv.Itoa(int(old))
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}); err != nil || fd < 0 {
		return duplicate(f)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// duplicate shares the open file description: closing it leaves f open.
func duplicate(f *os.File) *os.File {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	if err := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil || fd < 0 {
		return nil
	}
	return os.NewFile(uintptr(fd), f.Name())
}
