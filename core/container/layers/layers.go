// Package layers reads single files of a container's root while it is not
// mounted: it looks through the overlay's folders from the topmost down, as
// the kernel would, with whiteouts, opaque folders and links. Each folder is
// entered through an os.Root and one path element at a time, so that no link
// of an image can lead out of it.
package layers

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links may be followed on the way, as in the kernel.
const maxLinks = 40

// Open opens a regular file of the merged view of dirs (topmost first). A
// missing one gives fs.ErrNotExist.
func Open(dirs []string, name string) (io.ReadCloser, error) {
	roots, err := openRoots(dirs)
	if err != nil {
		return nil, err
	}
	defer closeAll(roots)
	return lookup{roots: roots}.open(name)
}

func openRoots(dirs []string) ([]*os.Root, error) {
	var roots []*os.Root
	for _, dir := range dirs {
		root, err := os.OpenRoot(dir)
		if errors.Is(err, fs.ErrNotExist) { // an upper folder that no start has made yet
			continue
		}
		if err != nil {
			closeAll(roots)
			return nil, fmt.Errorf("open layer: %w", err)
		}
		roots = append(roots, root)
	}
	return roots, nil
}

func closeAll(roots []*os.Root) {
	for _, r := range roots {
		r.Close()
	}
}

type lookup struct{ roots []*os.Root }

// place is where a path has led: the file itself in its topmost layer, or a
// folder with the layers in which it counts.
type place struct {
	at      string // without links
	root    *os.Root
	visible []*os.Root
	folder  bool
	mode    fs.FileMode
}

// open opens a regular file.
func (l lookup) open(name string) (io.ReadCloser, error) {
	p, err := l.walk(name)
	if err != nil {
		return nil, err
	}
	if p.folder || !p.mode.IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return openIn(p.root, p.at)
}

// walk goes along the path element by element.
func (l lookup) walk(name string) (place, error) {
	missing := &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	now := place{at: ".", visible: l.roots, folder: true}
	rest := elements(name)
	for links := 0; len(rest) > 0; {
		var element string
		element, rest = rest[0], rest[1:]
		if element == ".." {
			now.at = path.Dir(now.at) // "." stays "."
			now.visible = l.visibleAt(now.at)
			continue
		}
		next := path.Join(now.at, element)
		root, info := find(now.visible, next)
		if root == nil {
			return place{}, missing
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return place{}, &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
			}
			target, err := root.Readlink(next)
			if err != nil {
				return place{}, err
			}
			if path.IsAbs(target) {
				now.at, now.visible = ".", l.roots
			}
			rest = append(elements(target), rest...)
		case info.IsDir():
			now.at, now.visible = next, merged(now.visible, next)
		case len(rest) > 0:
			return place{}, missing
		default:
			return place{at: next, root: root, mode: info.Mode()}, nil
		}
	}
	return now, nil
}

// openIn follows no link: the element was a regular file when it was looked
// at, and images do not change.
func openIn(root *os.Root, name string) (io.ReadCloser, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func elements(name string) []string {
	return strings.FieldsFunc(path.Clean(name), func(r rune) bool { return r == '/' })
}

// visibleAt gives the layers that count for a resolved folder.
func (l lookup) visibleAt(at string) []*os.Root {
	visible := l.roots
	for i, r := range at {
		if r == '/' {
			visible = merged(visible, at[:i])
		}
	}
	if at != "." {
		visible = merged(visible, at)
	}
	return visible
}

// find gives the topmost layer that has the name, and nothing when that is a whiteout.
func find(roots []*os.Root, name string) (*os.Root, fs.FileInfo) {
	for _, root := range roots {
		info, err := root.Lstat(name)
		if err != nil {
			continue
		}
		if isWhiteout(info) {
			return nil, nil
		}
		return root, info
	}
	return nil, nil
}

func isWhiteout(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && st.Rdev == 0
}

// merged gives the layers whose folder of that name shows in the merged one:
// down to the first that is opaque, or is no folder.
func merged(roots []*os.Root, dir string) []*os.Root {
	var shown []*os.Root
	for _, root := range roots {
		info, err := root.Lstat(dir)
		if err != nil {
			continue
		}
		if !info.IsDir() {
			break
		}
		shown = append(shown, root)
		if isOpaque(root, dir) {
			break
		}
	}
	return shown
}

func isOpaque(root *os.Root, dir string) bool {
	f, err := root.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	value := make([]byte, 1)
	for _, attr := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		if n, err := unix.Fgetxattr(int(f.Fd()), attr, value); err == nil && n == 1 && value[0] == 'y' {
			return true
		}
	}
	return false
}
