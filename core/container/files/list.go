package files

import (
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// List names what lies in a folder, in order, at most so many. A link counts
// as a folder where it leads to one.
func (r *Root) List(folder string, most int) ([]backend.File, error) {
	dir, err := r.open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(most)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	list := make([]backend.File, len(entries))
	for i, e := range entries {
		list[i] = backend.File{Name: e.Name(), Folder: e.IsDir() || r.leadsToFolder(path.Join(folder, e.Name()), e)}
	}
	slices.SortFunc(list, func(a, b backend.File) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (r *Root) leadsToFolder(name string, e os.DirEntry) bool {
	if e.Type()&os.ModeSymlink == 0 {
		return false
	}
	dir, err := r.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	dir.Close()
	return true
}
