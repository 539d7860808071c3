// Package files reads and writes a container's files from outside: copying in
// and out, exporting, listing what changed. The container may run meanwhile,
// and its processes may swap folders for links at any moment; an archive that
// is unpacked may be hostile. So nothing is ever touched by a path of the
// host: a Root is a descriptor, every name is resolved below it by the kernel
// (openat2 with RESOLVE_IN_ROOT, which takes an absolute link as one of the
// container's own), and no magic link of /proc is followed, which would lead
// out where the container sees the host's processes.
//
// A Root comes from the container's own mount namespace while it runs, or from
// its overlay mounted apart while it does not (view.go, apart.go). pack.go makes archives
// of it, unpack.go takes them in.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the root folder of a container. It belongs to the caller, who closes
// it; mounts that were made for it go with it.
type Root struct{ dir *os.File }

// Folder is an open folder of the host as a root; Close closes it.
func Folder(dir *os.File) *Root { return &Root{dir} }

// Close lets go of the root.
func (r *Root) Close() error { return r.dir.Close() }

// races is how often a resolution is tried again that the kernel gave up
// because folders were moved at the same time.
const races = 256

// open opens a path as the container would, flags as of open(2).
func (r *Root) open(name string, flags int) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for try := 0; ; try++ {
		fd, err := unix.Openat2(int(r.dir.Fd()), name, &how)
		if err == nil {
			return os.NewFile(uintptr(fd), name), nil
		}
		if !errors.Is(err, unix.EINTR) && (!errors.Is(err, unix.EAGAIN) || try >= races) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// Open opens a regular file for reading, for whoever reads the container's
// accounts. fs.ErrNotExist: it is missing, or it is a bait: a pipe that nobody
// writes into, a device of the host.
func (r *Root) Open(name string) (*os.File, error) {
	at, err := r.open(name, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	st, err := fstat(at)
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return reopen(at, unix.O_RDONLY)
}

// reopen makes a usable descriptor of one with O_PATH, whose kind was looked
// at before: no device is opened and no pipe waited for by a swap in between.
func reopen(at *os.File, flags int) (*os.File, error) {
	fd, err := unix.Open(fdPath(at), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: at.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), at.Name()), nil
}

func fdPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// look opens one name in a folder without following it or touching what it is.
func look(dir *os.File, name string) (*os.File, unix.Stat_t, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, unix.Stat_t{}, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	st, err := fstat(f)
	if err != nil {
		f.Close()
		return nil, st, err
	}
	return f, st, nil
}

func fstat(f *os.File) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return st, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return st, nil
}

func readlink(at *os.File) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(at.Fd()), "", buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: at.Name(), Err: err}
	}
	return string(buf[:n]), nil
}

// absolute makes a path of the container absolute and clean, and keeps a
// trailing slash or "/.", which both say that a folder is meant; docker's.
func absolute(name string) string {
	clean := path.Join("/", name)
	switch {
	case clean == "/":
	case name == "." || strings.HasSuffix(name, "/."):
		clean += "/."
	case strings.HasSuffix(name, "/"):
		clean += "/"
	}
	return clean
}
