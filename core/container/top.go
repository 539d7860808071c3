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
)

// Top lists a container's processes, as the host's ps shows them.
func (m *Module) Top(ctx context.Context, name string, psArgs []string) (container.TopResponse, error) {
	if err := checkPsArgs(psArgs); err != nil {
		return container.TopResponse{}, err
	}
	l, err := m.lookUp(ctx, name)
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
	args := slices.Clone(psArgs)
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	cmd := exec.CommandContext(ctx, "ps", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return container.TopResponse{}, errdefs.ErrFailedPrecondition.WithMessage("top needs the program ps on this machine\nhint: install the package procps")
	}
	if err != nil {
		return container.TopResponse{}, fmt.Errorf("error running ps: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return parsePs(out, pids)
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
		return top, errors.New("couldn't find PID field in ps output")
	}
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= column {
			continue
		}
		if fields[column] == "-" { // a thread: belongs to the process before it
			continue
		}
		pid, err := strconv.Atoi(fields[column])
		if err != nil {
			return top, fmt.Errorf("unexpected pid '%s': %w", fields[column], err)
		}
		if !pids[pid] {
			continue
		}
		if n := len(top.Titles); len(fields) > n {
			fields = append(fields[:n-1:n-1], strings.Join(fields[n-1:], " "))
		}
		top.Processes = append(top.Processes, fields)
	}
	return top, lines.Err()
}
