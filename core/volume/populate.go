package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Populate copies what the image has at a volume's place in the container
// into the volume, as long as that is empty; so does docker. Lowers are the
// image's layers, topmost first; path is the place in the container, whose
// symbolic links stay within the image.
func (v *Volumes) Populate(ctx context.Context, name string, lowers []string, path string) error {
	target, err := v.OpenData(name)
	if err != nil {
		return fmt.Errorf("populate volume %s: %w", name, err)
	}
	defer target.Close()
	if _, err := target.Readdirnames(1); !errors.Is(err, io.EOF) {
		return err // not empty: nothing to do
	}
	source, err := openInImage(lowers, v.store.Paths.Temp(), path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil // the image has no folder there
	}
	if err != nil {
		return fmt.Errorf("populate volume %s from the image's %s: %w", name, path, err)
	}
	defer source.Close()
	if err := CopyTree(ctx, source, target); err != nil {
		return fmt.Errorf("populate volume %s from the image's %s: %w", name, path, err)
	}
	return nil
}

// OpenData opens a volume's folder as it is now; links in its name are not followed.
func (v *Volumes) OpenData(name string) (*os.File, error) {
	root, err := os.OpenRoot(v.store.Paths.Volumes())
	if err != nil {
		return nil, err
	}
	defer root.Close()
	volume, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer volume.Close()
	return volume.Open(dataFolder)
}

// openInImage opens a folder of an image.
func openInImage(lowers []string, temp, path string) (*os.File, error) {
	root, err := openLayers(lowers, temp)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return openResolved(root, path, unix.O_RDONLY|unix.O_DIRECTORY)
}

// openLayers opens the root of an image. Several layers are mounted as an
// overlay that nobody else sees for longer than a moment: it is detached at
// once and lives as long as its descriptors. The layers are named by
// descriptor, because mount options must fit into a page.
func openLayers(lowers []string, temp string) (*os.File, error) {
	var options strings.Builder
	var layers []*os.File
	defer func() {
		for _, l := range layers {
			l.Close()
		}
	}()
	for _, lower := range lowers {
		fd, err := unix.Open(lower, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open layer %s: %w", lower, err)
		}
		layers = append(layers, os.NewFile(uintptr(fd), lower))
		fmt.Fprintf(&options, ":/proc/self/fd/%d", fd)
	}
	switch len(layers) {
	case 0:
		return nil, unix.ENOENT
	case 1: // overlayfs wants two
		return openResolved(layers[0], "/", unix.O_RDONLY|unix.O_DIRECTORY)
	}
	point, err := os.MkdirTemp(temp, "image-")
	if err != nil {
		return nil, fmt.Errorf("create a mount point: %w", err)
	}
	defer os.Remove(point)
	if err := unix.Mount("overlay", point, "overlay", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, "lowerdir="+options.String()[1:]); err != nil {
		return nil, fmt.Errorf("mount the image's layers: %w", err)
	}
	root, err := os.Open(point)
	if detached := unix.Unmount(point, unix.MNT_DETACH); detached != nil {
		err = errors.Join(err, fmt.Errorf("detach the image's layers: %w", detached))
	}
	return root, err
}
