package container

import (
	"fmt"
	"os"
	"path/filepath"
)

// marks are the files by which programs know that they run in a container of
// docker's. They lie in a layer below the image's, which all containers share,
// so that they are no change of any container.
var marks = []string{".dockerenv"}

// markLayer is that layer's folder, made where it is missing.
func (m *Module) markLayer() (string, error) {
	dir := m.paths.Marks()
	for _, name := range marks {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", fmt.Errorf("make the layer of marks: %w", err)
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			return "", fmt.Errorf("make the layer of marks: %w", err)
		}
		f.Close()
	}
	return dir, nil
}
