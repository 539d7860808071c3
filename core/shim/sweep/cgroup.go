package sweep

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endPatience is how long killed processes may take to be gone.
const endPatience = 10 * time.Second

// endCgroup kills everything in a container's cgroup, in all hierarchies of
// version 1 and in version 2, and removes it. path begins at the hierarchies'
// roots and ends with the container's id: nothing else is ever touched.
func endCgroup(ctx context.Context, path, id string) error {
	if path == "" {
		return nil // killed before it had one
	}
	if err := belongs(path, id); err != nil {
		return err
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for {
		var left []string
		for _, root := range roots {
			dirs, err := tree(filepath.Join(root, path))
			if err != nil {
				return err
			}
			killAll(dirs)
			left = append(left, removeAll(dirs)...)
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup %s: %w", left[0], ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func belongs(path, id string) error {
	if len(id) < 12 || filepath.Base(path) != id || filepath.Clean(path) != path {
		return fmt.Errorf("%q is not a cgroup of container %s", path, id)
	}
	return nil
}

// Kill kills everything in a container's cgroup, once; see endCgroup for path.
func Kill(path, id string) error {
	if err := belongs(path, id); err != nil {
		return err
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		dirs, err := tree(filepath.Join(root, path))
		if err != nil {
			return err
		}
		killAll(dirs)
	}
	return nil
}

// hierarchies lists where cgroup file systems of both versions are mounted.
func hierarchies() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find the cgroup hierarchies: %w", err)
	}
	defer f.Close()
	var roots []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if kind, _, _ := strings.Cut(after, " "); len(fields) > 4 && (kind == "cgroup" || kind == "cgroup2") {
			roots = append(roots, fields[4])
		}
	}
	return roots, lines.Err()
}

// tree lists a cgroup and those below it, children first.
func tree(top string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return nil // ended meanwhile, or the hierarchy never had it
			}
			return err
		}
		if entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walk cgroup %s: %w", top, err)
	}
	slices.Reverse(dirs)
	return dirs, nil
}

func killAll(dirs []string) {
	for _, dir := range dirs {
		// A frozen process does not die in version 1; version 2 kills by itself.
		_ = writeExisting(filepath.Join(dir, "freezer.state"), "THAWED")
		_ = writeExisting(filepath.Join(dir, "cgroup.kill"), "1")
		procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(procs)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL) // what is left shows at the removal
			}
		}
	}
}

func writeExisting(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}

// removeAll returns what could not be removed yet.
func removeAll(dirs []string) (left []string) {
	for _, dir := range dirs {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
			left = append(left, dir)
		}
	}
	return left
}
