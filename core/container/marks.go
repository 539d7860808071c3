package container

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// marks, folders before what lies in them, are what docker puts into every container's root: the file by which
// programs know that they run in a container, and what is mounted on. Here
// they lie in one layer below the image's, which all containers share: they
// are no change of any container, what the image has of them is the image's,
// and nobody has to make and delete them for each container.
var marks = []struct {
	name string
	make func(path string) error
}{
	{"", makeMountPoint},
	{".dockerenv", makeMark},
	{"proc", makeMountPoint},
	{"sys", makeMountPoint},
	{"dev", makeMountPoint},
	{"dev/pts", makeMountPoint},
	{"dev/shm", makeMountPoint},
	{"dev/console", makeMark},
	{"etc", makeMountPoint},
	{"etc/resolv.conf", makeMark},
	{"etc/hosts", makeMark},
	{"etc/hostname", makeMark},
	{"etc/mtab", func(path string) error { return os.Symlink("/proc/mounts", path) }},
}

// makeMountPoint makes a folder that everybody in a container may enter, whatever the umask.
func makeMountPoint(path string) error {
	err := os.Mkdir(path, 0o755)
	if err == nil {
		err = os.Chmod(path, 0o755)
	}
	return err
}

func makeMark(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	return f.Close()
}

// markLayer is that layer's folder, made where it is missing; several processes may do so at once.
func (m *Module) markLayer() (string, error) {
	dir := m.paths.Marks()
	for _, mark := range marks {
		path := filepath.Join(dir, mark.name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if err := mark.make(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("make the layer of marks: %w", err)
		}
	}
	return dir, nil
}
