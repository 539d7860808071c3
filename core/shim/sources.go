//go:build cgo

package shim

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// mountSources puts the folders together that the specification binds, in the
// calling thread's mount namespace: they go with the shim.
func mountSources(sources []shimapi.Source, trees sharedTrees) error {
	for _, s := range sources {
		mount := mountSource
		if s.Shared {
			mount = trees.mount
		}
		if err := mount(s); err != nil {
			return err
		}
	}
	return nil
}

func mountSource(s shimapi.Source) error {
	_ = os.Remove(s.Target) // of the last start; perhaps a file
	if err := os.MkdirAll(s.Target, 0o700); err != nil {
		return fmt.Errorf("prepare a mount: %w", err)
	}
	if len(s.Lower) > 1 {
		if err := mountReadOnly(s); err != nil {
			return err
		}
		if s.Subpath == "" {
			return nil
		}
		s.Lower = []string{s.Target}
	}
	if len(s.Lower) == 0 {
		return &shimapi.Error{Message: "prepare a mount: the image is empty", Class: shimapi.ClassInvalid}
	}
	return bindBelow(s.Lower[0], s.Subpath, s.Target)
}

// mountReadOnly lays an image's layers over each other.
func mountReadOnly(s shimapi.Source) error {
	l, err := openLayers(shimapi.Rootfs{Lower: s.Lower, Upper: s.Target, Work: s.Target}) // the last two are not used
	if err != nil {
		return fmt.Errorf("mount an image: %w", err)
	}
	defer l.close()
	lower := make([]string, len(l.lower))
	for i, f := range l.lower {
		lower[i] = fdPath(f)
	}
	if err := unix.Mount("nacre", s.Target, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(lower, ":")); err != nil {
		return fmt.Errorf("mount an image: %w", os.NewSyscallError("mount", err))
	}
	return nil
}

// bindBelow binds the place that subpath leads to with root as the root of all
// links. It is opened once and bound by descriptor, so that nobody who works in
// there can put something else in its place.
func bindBelow(root, subpath, target string) error {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", root, err)
	}
	defer unix.Close(dir)
	if subpath == "" {
		subpath = "."
	}
	found, err := unix.Openat2(dir, subpath, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return &shimapi.Error{Message: fmt.Sprintf("cannot access path %s in the mount: %v", subpath, err), Class: shimapi.ClassInvalid}
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return fmt.Errorf("look at %s: %w", subpath, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR { // a file is bound on a file
		if err := replaceByFile(target); err != nil {
			return err
		}
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", found), target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", subpath, os.NewSyscallError("mount", err))
	}
	return nil
}

// replaceByFile makes an empty file of an empty folder; what is mounted on the
// folder is in use by its descriptors and may go.
func replaceByFile(target string) error {
	_ = unix.Unmount(target, unix.MNT_DETACH) // nothing is mounted where a volume's file is bound
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("prepare a mount: %w", err)
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("prepare a mount: %w", err)
	}
	return f.Close()
}
