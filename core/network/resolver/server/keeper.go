package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/network/resolver"
)

// openKeeper opens the process that lives as long as a container's namespace.
// A registration that was written down names its start too: ids come again.
func openKeeper(r *resolver.Registration) (*os.File, error) {
	fd, err := unix.PidfdOpen(r.Keeper, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch process %d of container %s: %w", r.Keeper, r.Container, err)
	}
	keeper := os.NewFile(uintptr(fd), "keeper")
	started, err := startOf(r.Keeper)
	if err == nil && r.Started != 0 && r.Started != started {
		err = fmt.Errorf("process %d is another one by now", r.Keeper)
	}
	if err != nil {
		keeper.Close()
		return nil, err
	}
	r.Started = started
	return keeper, nil
}

// awaitEnd returns when the process has ended: its descriptor is readable then.
func awaitEnd(keeper *os.File) {
	defer keeper.Close()
	raw, err := keeper.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// startOf is when a process began, in clock ticks after boot (proc(5), stat, field 22).
func startOf(pid int) (uint64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw[strings.LastIndexByte(string(raw), ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return 0, fmt.Errorf("read the start of process %d: %q", pid, raw)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// findNetNS opens a registered namespace again: by its path, or where that is
// no longer good, by one of the keeper's children.
func findNetNS(r resolver.Registration) (*os.File, error) {
	paths := []string{r.NetNS, fmt.Sprintf("/proc/%d/ns/net", r.Keeper)}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.Keeper))
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, pid := range strings.Fields(string(children)) {
			paths = append(paths, "/proc/"+pid+"/ns/net")
		}
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil && st.Ino == r.Inode {
			return f, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("the network namespace %d has gone", r.Inode)
}
