package shimapi

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Soon is how long a process may be in coming that is asked for by now.
const Soon = 150 * time.Millisecond

// warmPause is shorter than an RCU grace period, after which the kernel would
// forget that it was warm.
const warmPause = 4 * time.Millisecond

// ExpectProcess makes the next moves of processes into cgroups fast for a while
// from now on; see [WarmCgroups]. Whoever expects one, however many do, a single
// goroutine sees to it. It returns at once.
func ExpectProcess(within time.Duration) { expected.last(within) }

var expected = warmth{warm: WarmCgroups} // the lock is the kernel's, one for all

type warmth struct {
	warm func(context.Context)

	mu    sync.Mutex
	until time.Time
	on    bool
}

func (w *warmth) last(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := time.Now().Add(d); until.After(w.until) {
		w.until = until
	}
	if !w.on {
		w.on = true
		go w.keep()
	}
}

func (w *warmth) keep() {
	for {
		w.mu.Lock()
		until := w.until
		w.on = time.Now().Before(until)
		on := w.on
		w.mu.Unlock()
		if !on {
			return
		}
		ctx, cancel := context.WithDeadline(context.Background(), until)
		w.warm(ctx)
		<-ctx.Done() // it returns at once where it can do nothing
		cancel()
	}
}

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
