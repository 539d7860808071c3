package files

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

// Stat looks at a path without following its last element, unless a slash
// follows it. LinkTarget is the path in the container that a link leads to, as
// far as that exists.
func (r *Root) Stat(name string) (container.PathStat, error) {
	abs := absolute(name)
	at, err := r.open(abs, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return container.PathStat{}, err
	}
	defer at.Close()
	st, err := fstat(at)
	if err != nil {
		return container.PathStat{}, err
	}
	stat := container.PathStat{Name: path.Base(abs), Size: st.Size, Mode: fileMode(st.Mode), Mtime: time.Unix(st.Mtim.Unix())}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		stat.LinkTarget, err = r.Resolve(abs)
	}
	return stat, err
}

// maxLinks is the kernel's.
const maxLinks = 40

// Resolve follows all links of a path within the root and returns the path
// without them. Elements that do not exist stay as they are. The answer is for
// showing and for comparing: nothing is opened by it.
func (r *Root) Resolve(name string) (string, error) {
	resolved, rest, links := "/", elements(name), 0
	for len(rest) > 0 {
		element := rest[0]
		rest = rest[1:]
		if element == ".." {
			resolved = path.Dir(resolved)
			continue
		}
		next := path.Join(resolved, element)
		target, err := r.linkAt(next)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
			return path.Join(append([]string{next}, rest...)...), nil
		case err != nil:
			return "", err
		case target == "":
			resolved = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: name, Err: unix.ELOOP}
		}
		if path.IsAbs(target) {
			resolved = "/"
		}
		rest = slices.Concat(elements(target), rest)
	}
	return resolved, nil
}

func elements(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
}

// linkAt gives what a link holds, and nothing for what is none.
func (r *Root) linkAt(name string) (string, error) {
	at, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer at.Close()
	st, err := fstat(at)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", err
	}
	return readlink(at)
}

// fileMode translates the kernel's mode into Go's.
func fileMode(mode uint32) os.FileMode {
	m := os.FileMode(mode & 0o777)
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		m |= os.ModeDir
	case unix.S_IFLNK:
		m |= os.ModeSymlink
	case unix.S_IFIFO:
		m |= os.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= os.ModeSocket
	case unix.S_IFCHR:
		m |= os.ModeDevice | os.ModeCharDevice
	case unix.S_IFBLK:
		m |= os.ModeDevice
	}
	for bit, flag := range map[uint32]os.FileMode{unix.S_ISUID: os.ModeSetuid, unix.S_ISGID: os.ModeSetgid, unix.S_ISVTX: os.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}
