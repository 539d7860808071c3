package layers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Kind is what happened to a path; the letters are docker's.
type Kind byte

// The kinds of change.
const (
	Modified Kind = 'C'
	Added    Kind = 'A'
	Deleted  Kind = 'D'
)

// Change is one path, absolute in the container, whose state differs from the image.
type Change struct {
	Path string
	Kind Kind
}

// Changes compares a writable layer with what lies below it (topmost first),
// as docker does: a folder with a change in it counts as changed, all of an
// added folder is listed, of a deleted one the top. own names what the engine
// put there for its mounts, which is no change. The container may run
// meanwhile; what vanishes during the walk is left out.
func Changes(upper string, lowers []string, own func(path string) bool) ([]Change, error) {
	top, err := os.OpenRoot(upper)
	if errors.Is(err, fs.ErrNotExist) { // never started
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the writable layer: %w", err)
	}
	defer top.Close()
	below, err := openRoots(lowers)
	if err != nil {
		return nil, err
	}
	defer closeAll(below)
	c := comparison{top: top, own: own}
	if err := c.folder(".", below, false); err != nil {
		return nil, fmt.Errorf("compare with the image: %w", err)
	}
	slices.SortFunc(c.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return c.changes, nil
}

type comparison struct {
	top     *os.Root
	own     func(path string) bool
	changes []Change
}

func (c *comparison) add(name string, kind Kind) {
	c.changes = append(c.changes, Change{path.Join("/", name), kind})
}

// folder compares one folder of the writable layer; below are the layers that
// had it. An opaque folder, and all in it, hides what those have.
func (c *comparison) folder(name string, below []*os.Root, opaque bool) error {
	entries, err := readDir(c.top, name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := c.entry(path.Join(name, entry), below, opaque); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func readDir(root *os.Root, name string) ([]string, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func (c *comparison) entry(name string, below []*os.Root, opaque bool) error {
	if len(name) >= unix.PathMax-1 { // made step by step; whoever walks there takes the longer the deeper it gets
		return &fs.PathError{Op: "open", Path: path.Join("/", name[:64]) + "…", Err: unix.ENAMETOOLONG}
	}
	info, err := c.top.Lstat(name)
	if err != nil {
		return err
	}
	root, before := find(below, name)
	switch {
	case isWhiteout(info):
		if root != nil {
			c.add(name, Deleted)
		}
		return nil
	case info.IsDir():
		return c.directory(name, info, before, below, opaque || isOpaque(c.top, name))
	case root == nil:
		if !c.own(path.Join("/", name)) {
			c.add(name, Added)
		}
	case differs(before, info) || capabilitiesDiffer(root, c.top, name):
		c.add(name, Modified)
	}
	return nil
}

func (c *comparison) directory(name string, info, before fs.FileInfo, below []*os.Root, opaque bool) error {
	shown := merged(below, name)
	if before == nil || !before.IsDir() {
		shown = nil
	}
	count := len(c.changes)
	if opaque {
		if err := c.hidden(name, shown); err != nil {
			return err
		}
	}
	if err := c.folder(name, shown, opaque); err != nil {
		return err
	}
	switch {
	case before == nil && !c.own(path.Join("/", name)):
		c.add(name, Added)
	case len(c.changes) > count || before != nil && differs(before, info):
		c.add(name, Modified)
	}
	return nil
}

// hidden lists what an opaque folder has deleted: it was there, and its name
// is not taken again.
func (c *comparison) hidden(name string, below []*os.Root) error {
	seen := map[string]bool{}
	for _, root := range below {
		entries, err := readDir(root, name)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			child := path.Join(name, entry)
			if seen[child] {
				continue
			}
			seen[child] = true
			if found, _ := find(below, child); found == nil {
				continue // a whiteout of the image's own
			}
			if _, err := c.top.Lstat(child); errors.Is(err, fs.ErrNotExist) {
				c.add(child, Deleted)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// differs leaves a folder's size and time out: they change with its content.
func differs(a, b fs.FileInfo) bool {
	x, okX := a.Sys().(*syscall.Stat_t)
	y, okY := b.Sys().(*syscall.Stat_t)
	if !okX || !okY || x.Mode != y.Mode || x.Uid != y.Uid || x.Gid != y.Gid || x.Rdev != y.Rdev {
		return true
	}
	return x.Mode&syscall.S_IFMT != syscall.S_IFDIR && (x.Size != y.Size || !sameTime(a, b))
}

// sameTime takes a time without nanoseconds for any in that second: archives keep seconds.
func sameTime(a, b fs.FileInfo) bool {
	x, y := a.ModTime(), b.ModTime()
	return x.Unix() == y.Unix() && (x.Nanosecond() == 0 || y.Nanosecond() == 0 || x.Nanosecond() == y.Nanosecond())
}

func capabilitiesDiffer(a, b *os.Root, name string) bool {
	return string(fileCapabilities(a, name)) != string(fileCapabilities(b, name))
}

func fileCapabilities(root *os.Root, name string) []byte {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	value := make([]byte, 64)
	n, err := unix.Fgetxattr(int(f.Fd()), "security.capability", value)
	if err != nil {
		return nil
	}
	return value[:n]
}
