package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Layers are the overlay folders of a container that does not run.
type Layers struct {
	Lower       []string // of the image, topmost first
	Upper, Work string   // the writable layer; they need not exist
	Scratch     string   // a folder for what lasts a moment
}

// Mount is a folder or file of the host, or an image, that belongs into the container.
type Mount struct {
	Source      string
	Image       []string // an image's layers, topmost first, instead of a Source
	Subpath     string   // below Source, which links in it do not leave; empty: all of it
	Destination string   // in the container
	ReadOnly    bool
}

// Apart mounts a container that does not run, with its volumes, for reading
// and writing. The caller holds the container, so that it does not start meanwhile.
func Apart(l Layers, mounts []Mount) (*Root, error) {
	for _, dir := range []string{l.Upper, l.Work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("prepare the container's root: %w", err)
		}
	}
	return l.mount(mounts, overlay{l.Lower, l.Upper, l.Work}.mount)
}

// ApartToRead is Apart for reading alone: the writable layer is one among the
// lower ones, above them lies one that is thrown away. It may be open several
// times, and the container may be started.
func ApartToRead(l Layers, mounts []Mount) (*Root, error) {
	return l.mount(mounts, func(target, scratch string) error {
		if err := unix.Mount("nacre", scratch, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=0700,size=1m"); err != nil {
			return os.NewSyscallError("mount", err)
		}
		o := overlay{lower: l.Lower, upper: filepath.Join(scratch, "upper"), work: filepath.Join(scratch, "work")}
		if _, err := os.Stat(l.Upper); err == nil {
			o.lower = slices.Concat([]string{l.Upper}, l.Lower)
		}
		if err := errors.Join(os.Mkdir(o.upper, 0o755), os.Mkdir(o.work, 0o755)); err != nil {
			return err
		}
		return o.mount(target, scratch)
	})
}

type overlay struct {
	lower       []string
	upper, work string
}

// mount makes the tree in a mount namespace of its own, from a base that it has
// mounted on target, and takes it out of there: the tree lives as long as its descriptor.
func (l Layers) mount(mounts []Mount, base func(target, scratch string) error) (root *Root, err error) {
	place, err := os.MkdirTemp(l.Scratch, "files-")
	if err != nil {
		return nil, fmt.Errorf("prepare the container's root: %w", err)
	}
	defer os.RemoveAll(place)     // two empty folders: what is mounted there is not to be seen here
	mounts = slices.Clone(mounts) // images get a source
	target, scratch := filepath.Join(place, "root"), filepath.Join(place, "scratch")
	if err := errors.Join(os.Mkdir(target, 0o700), os.Mkdir(scratch, 0o700)); err != nil {
		return nil, fmt.Errorf("prepare the container's root: %w", err)
	}
	err = privately(func() error {
		if err := base(target, scratch); err != nil {
			return err
		}
		if err := mountImages(place, mounts); err != nil {
			return err
		}
		if err := bindAll(target, mounts); err != nil {
			return err
		}
		root, err = clone(target, unix.AT_RECURSIVE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("mount the container's root: %w", err)
	}
	return root, nil
}

// mount names the layers by descriptor: mount options must fit into a page.
func (o overlay) mount(target, scratch string) error {
	if len(o.lower) == 0 { // an image without layers
		o.lower = []string{filepath.Join(scratch, "empty")}
		if err := os.Mkdir(o.lower[0], 0o755); err != nil {
			return err
		}
	}
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	name := func(dir string) (string, error) {
		f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", err
		}
		open = append(open, f)
		return fdPath(f), nil
	}
	var names []string
	for _, dir := range slices.Concat(o.lower, []string{o.upper, o.work}) {
		n, err := name(dir)
		if err != nil {
			return err
		}
		names = append(names, n)
	}
	lower := len(o.lower)
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(names[:lower], ":"), names[lower], names[lower+1])
	err := unix.Mount("nacre", target, "overlay", 0, data+",index=off,metacopy=off")
	if errors.Is(err, unix.EINVAL) { // an option that this kernel does not know
		err = unix.Mount("nacre", target, "overlay", 0, data)
	}
	return os.NewSyscallError("mount", err)
}

// mountImages gives every image among the mounts a folder where it is mounted;
// the folders are made in the private namespace's own tmpfs, below place.
func mountImages(place string, mounts []Mount) error {
	for i := range mounts {
		m := &mounts[i]
		if len(m.Image) == 0 {
			continue
		}
		if m.Source = m.Image[0]; len(m.Image) == 1 {
			continue
		}
		folders := filepath.Join(place, "images")
		if err := os.Mkdir(folders, 0o700); err == nil {
			err = unix.Mount("nacre", folders, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=0700,size=1m")
			if err != nil {
				return os.NewSyscallError("mount", err)
			}
		}
		at := filepath.Join(folders, strconv.Itoa(i))
		o := overlay{lower: m.Image, upper: filepath.Join(at, "upper"), work: filepath.Join(at, "work")}
		m.Source = filepath.Join(at, "image")
		if err := errors.Join(os.Mkdir(at, 0o700), os.Mkdir(o.upper, 0o755), os.Mkdir(o.work, 0o755), os.Mkdir(m.Source, 0o755)); err != nil {
			return err
		}
		if err := o.mount(m.Source, at); err != nil {
			return err
		}
	}
	return nil
}

// bindAll mounts the volumes at their places, outer ones first. A place that
// is missing is made, as the start of the container would.
func bindAll(target string, mounts []Mount) error {
	dir, err := os.OpenFile(target, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	root := &Root{dir}
	for _, m := range mounts {
		if err := root.bind(m); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.Source, m.Destination, err)
		}
	}
	return nil
}

func (r *Root) bind(m Mount) error {
	source, err := os.OpenFile(m.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil && m.Subpath != "" {
		whole := &Root{source}
		defer whole.Close()
		source, err = whole.open(m.Subpath, unix.O_PATH)
	}
	if errors.Is(err, fs.ErrNotExist) { // the start makes it, or refuses
		return nil
	}
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := r.makePlace(m.Destination, info.IsDir()); err != nil {
		return err
	}
	place, err := r.open(m.Destination, unix.O_PATH)
	if err != nil {
		return err
	}
	defer place.Close()
	if err := unix.Mount(fdPath(source), fdPath(place), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	if !m.ReadOnly {
		return nil
	}
	over, err := r.open(m.Destination, unix.O_PATH) // what is mounted there now
	if err != nil {
		return err
	}
	defer over.Close()
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	return os.NewSyscallError("mount_setattr", unix.MountSetattr(int(over.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr))
}

func (r *Root) makePlace(name string, isDir bool) error {
	u := &unpacker{root: r}
	if isDir {
		dir, err := u.parent(path.Clean(name))
		if err == nil {
			err = dir.Close()
		}
		return err
	}
	parent, err := u.parent(path.Dir(path.Clean(name)))
	if err != nil {
		return err
	}
	defer parent.Close()
	f, err := openAt(parent, path.Base(name), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
