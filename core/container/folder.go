package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/layers"
)

// mostFiles bounds how much of a folder is listed.
const mostFiles = 10_000

// Folder lists what lies in a folder of a container, running or not; it is how
// paths in containers are completed. What names no folder gives errdefs.ErrNotFound.
func (m *Module) Folder(ctx context.Context, name, folder string) ([]backend.File, error) {
	_, root, err := m.openToRead(ctx, name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	list, err := root.List(folder, mostFiles)
	return list, pathError(err, folder, name)
}

// ImageFolder lists what lies in a folder of an image, from its layers; nothing
// is mounted. What names no folder gives errdefs.ErrNotFound.
func (m *Module) ImageFolder(ctx context.Context, image, folder string) ([]backend.File, error) {
	lease, err := m.images.Lease(ctx)
	if err != nil {
		return nil, err
	}
	defer lease.Close()
	rootfs, err := m.images.Rootfs(ctx, image, nil)
	if err != nil {
		return nil, err
	}
	list, err := layers.List(rootfs.LowerDirs, folder, mostFiles)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("no folder %s in image %s", folder, image))
	}
	return list, err
}
