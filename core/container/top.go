package container

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// Top lists a container's processes, as the host's ps shows them.
func (m *Module) Top(ctx context.Context, name string, psArgs []string) (container.TopResponse, error) {
	if err := checkPsArgs(psArgs); err != nil {
		return container.TopResponse{}, err
	}
	l, err := m.lookUpStarted(ctx, name)
	if err != nil {
		return container.TopResponse{}, err
	}
	if err := allow(verbTop, l.record, l.now); err != nil {
		return container.TopResponse{}, err
	}
	pids, err := processes(l.state.CgroupPath)
	if err != nil {
		return container.TopResponse{}, fmt.Errorf("list the processes of container %s: %w", l.Name, err)
	}
	out, err := runPs(ctx, psArgs, pids)
	if err != nil {
		return container.TopResponse{}, err
	}
	top, err := parsePs(out, pids)
	if err != nil {
		return top, err
	}
	return top, m.emit(l.record, events.ActionTop, nil)
}

// runPs asks for the container's processes only, and where options do not go
// together with that (f, or a list of columns without a dash), for all.
func runPs(ctx context.Context, args []string, pids map[int]bool) ([]byte, error) {
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	list := make([]string, 0, len(pids))
	for pid := range pids {
		list = append(list, strconv.Itoa(pid))
	}
	out, err := exec.CommandContext(ctx, "ps", append(slices.Clone(args), "-q"+strings.Join(list, ","))...).Output()
	if err == nil {
		return out, nil
	}
	if out, err = exec.CommandContext(ctx, "ps", args...).Output(); err == nil {
		return out, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errdefs.ErrFailedPrecondition.WithMessage("top needs the program ps on this machine\nhint: install the package procps")
	}
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		if why, _, _ := strings.Cut(string(failed.Stderr), "\n"); why != "" { // the rest is how ps is called
			return nil, fmt.Errorf("ps: %s", why)
		}
	}
	return nil, fmt.Errorf("ps: %w", err)
}

// checkPsArgs refuses what would hide the column that tells the processes apart; docker's check.
func checkPsArgs(args []string) error {
	for i, arg := range args {
		list, isO := strings.CutPrefix(arg, "-o")
		if !isO && !strings.HasPrefix(arg, "o") {
			continue
		}
		if !isO {
			list = strings.TrimPrefix(arg, "o")
		}
		if list == "" && i+1 < len(args) {
			list = args[i+1]
		}
		for column := range strings.SplitSeq(strings.TrimPrefix(list, "="), ",") {
			if name, title, ok := strings.Cut(column, "="); ok && title == "PID" && name != "pid" {
				return invalid("specifying \"%s=PID\" is not allowed", name)
			}
		}
	}
	return nil
}

// processes gives the ids of the processes in a cgroup and below it.
func processes(cgroup string) (map[int]bool, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	pids := map[int]bool{}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(dir.Name())
		if err != nil {
			continue
		}
		memberships, err := os.ReadFile(filepath.Join("/proc", dir.Name(), "cgroup"))
		if err != nil { // ended meanwhile
			continue
		}
		for line := range strings.SplitSeq(string(memberships), "\n") {
			if fields := strings.SplitN(line, ":", 3); len(fields) == 3 && (fields[2] == cgroup || strings.HasPrefix(fields[2], cgroup+"/")) {
				pids[pid] = true
				break
			}
		}
	}
	return pids, nil
}

// parsePs keeps the lines of the container's processes. The last column may
// contain spaces.
func parsePs(out []byte, pids map[int]bool) (container.TopResponse, error) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return container.TopResponse{}, errors.New("ps printed nothing")
	}
	top := container.TopResponse{Titles: strings.Fields(lines.Text()), Processes: [][]string{}}
	column := slices.Index(top.Titles, "PID")
	if column < 0 {
		return top, errdefs.ErrInternal.WithMessage("Couldn't find PID field in ps output")
	}
	ours := false // the process that was seen last
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= column {
			continue
		}
		if fields[column] != "-" { // else a thread of the process before
			pid, err := strconv.Atoi(fields[column])
			if err != nil {
				return top, errdefs.ErrInternal.WithMessage(fmt.Sprintf("Unexpected pid '%s': %v", fields[column], err))
			}
			ours = pids[pid]
		}
		if !ours {
			continue
		}
		if n := len(top.Titles); len(fields) > n {
			fields = append(fields[:n-1:n-1], strings.Join(fields[n-1:], " "))
		}
		top.Processes = append(top.Processes, fields)
	}
	return top, lines.Err()
}
