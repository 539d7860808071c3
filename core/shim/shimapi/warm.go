package shimapi

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// warmPause is shorter than an RCU grace period, after which the kernel would
// forget that it was warm.
const warmPause = 4 * time.Millisecond

// WarmCgroups makes the next moves of processes into cgroups fast, until ctx
// ends. Moving a process takes a lock of the whole kernel that costs an RCU
// grace period, 10 ms and more, unless somebody took it just before; then it
// costs microseconds. So this process moves itself, again and again, to where
// it is. Whoever knows some milliseconds ahead that a container will start
// calls this in a goroutine. It does nothing where it may not.
func WarmCgroups(ctx context.Context) {
	f, err := openOwnCgroup()
	if err != nil {
		return
	}
	defer f.Close()
	pid := []byte(strconv.Itoa(os.Getpid()))
	ticker := time.NewTicker(warmPause)
	defer ticker.Stop()
	for {
		if _, err := f.Write(pid); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// openOwnCgroup opens cgroup.procs of one of the cgroups that this process is
// in; the lock is the same for all hierarchies.
func openOwnCgroup() (*os.File, error) {
	list, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	defer list.Close()
	for lines := bufio.NewScanner(list); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), ":", 3) // number:controllers:path
		if len(fields) != 3 {
			continue
		}
		mounts := []string{strings.TrimPrefix(fields[1], "name=")} // version 1
		if fields[1] == "" {
			mounts = []string{"", "unified"} // version 2, alone or beside version 1
		}
		for _, mount := range mounts {
			path := filepath.Join("/sys/fs/cgroup", mount, fields[2], "cgroup.procs")
			if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
				return f, nil
			}
		}
	}
	return nil, os.ErrNotExist
}
