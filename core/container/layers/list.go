package layers

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// List names what lies in a folder of the merged view of dirs (topmost first),
// in order, at most so many. A link counts as a folder where it leads to one.
// What names no folder gives fs.ErrNotExist.
func List(dirs []string, folder string, most int) ([]backend.File, error) {
	roots, err := openRoots(dirs)
	if err != nil {
		return nil, err
	}
	defer closeAll(roots)
	l := lookup{roots: roots}
	p, err := l.walk(folder)
	if err == nil && !p.folder {
		err = &fs.PathError{Op: "list", Path: folder, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	var list []backend.File
	seen := map[string]bool{}
	for _, root := range p.visible {
		for _, e := range entries(root, p.at, most) {
			if seen[e.Name()] {
				continue
			}
			seen[e.Name()] = true
			info, err := e.Info()
			if err != nil || isWhiteout(info) {
				continue // it hides what lies below
			}
			list = append(list, backend.File{Name: e.Name(), Folder: e.IsDir() || l.leadsToFolder(p.at, e)})
		}
	}
	slices.SortFunc(list, func(a, b backend.File) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(len(list), most)], nil
}

// entries are the names of one layer's folder; none where it cannot be read.
func entries(root *os.Root, dir string, most int) []os.DirEntry {
	f, err := root.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	list, _ := f.ReadDir(most) // what could be read
	return list
}

func (l lookup) leadsToFolder(dir string, e os.DirEntry) bool {
	if e.Type()&os.ModeSymlink == 0 {
		return false
	}
	p, err := l.walk(path.Join(dir, e.Name()))
	return err == nil && p.folder
}
