package container

import (
	"context"

	"github.com/nacre-sh/nacre/core/backend"
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
