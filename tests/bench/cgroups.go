package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroups lists the control groups that the engines make for all their
// containers together; the ones of single containers go with them.
func cgroups() map[string]bool {
	found := map[string]bool{}
	for _, pattern := range []string{"*/docker", "docker", "*/libpod_parent", "libpod_parent", "*/nacre", "nacre", "*/podman", "podman"} {
		matches, _ := filepath.Glob(filepath.Join(cgroupRoot, pattern)) // the patterns are well formed
		for _, m := range matches {
			found[m] = true
		}
	}
	return found
}

// removeNewCgroups removes those that were not there before. One that is still
// in use cannot be removed and stays.
func removeNewCgroups(before map[string]bool) {
	for parent := range cgroups() {
		if before[parent] {
			continue
		}
		var dirs []string
		filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) { // children first
			os.Remove(dir)
		}
	}
}
