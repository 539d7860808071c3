package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const idle = 3 // containers that sleep

// idleRows are what containers cost that do nothing.
var idleRows = []row{
	{"idle-memory", "private memory per idle shim", "MiB", "≤ 2.5 MiB", atMost(2.5), measureIdleMemory},
	{"idle-processes", "processes for 3 idle containers", "", "3", atMost(idle), measureIdleProcesses},
}

// measureIdleMemory looks at the parents of the containers' first processes:
// nacre-shim, containerd-shim, conmon.
func measureIdleMemory(ctx context.Context, l *lab, s *sample) error {
	for _, e := range l.engines {
		pids, err := e.startIdle(ctx)
		if err != nil {
			return err
		}
		for _, pid := range pids {
			shim, err := parentOf(pid)
			if err != nil {
				return err
			}
			private, err := privateMemory(shim)
			if err != nil {
				return err
			}
			s.add(e, private)
		}
		if err := e.removeAll(ctx); err != nil {
			return err
		}
	}
	return nil
}

func measureIdleProcesses(ctx context.Context, l *lab, s *sample) error {
	if _, err := l.nacre.startIdle(ctx); err != nil {
		return err
	}
	ours := processesOf(filepath.Dir(l.options.nacre))
	if len(ours) != idle {
		l.say("processes for %d idle containers: %q", idle, ours)
	}
	s.add(l.nacre, float64(len(ours)))
	return l.nacre.removeAll(ctx)
}

// startIdle starts containers, lets them settle, and returns the process ids
// of their first processes.
func (e *engine) startIdle(ctx context.Context) (pids []string, err error) {
	for i := range idle {
		name := fmt.Sprint("idle", i)
		if _, err := e.run(ctx, "run", "-d", "--name", name, e.image, "sleep", "1000"); err != nil {
			return nil, err
		}
		pid, err := e.run(ctx, "inspect", "--format", "{{.State.Pid}}", name)
		if err != nil {
			return nil, err
		}
		pids = append(pids, strings.TrimSpace(pid))
	}
	time.Sleep(time.Second)
	return pids, nil
}

func parentOf(pid string) (int, error) {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("process %s has no parent", pid)
}

// privateMemory is what a process has for itself alone, in MiB.
func privateMemory(pid int) (float64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	var kib int
	for line := range strings.Lines(string(rollup)) {
		words := strings.Fields(line)
		if len(words) > 1 && (words[0] == "Private_Clean:" || words[0] == "Private_Dirty:") {
			n, err := strconv.Atoi(words[1])
			if err != nil {
				return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
			}
			kib += n
		}
	}
	return float64(kib) / 1024, nil
}

// processesOf lists the processes whose program lies in a folder, but this one.
func processesOf(dir string) (commands []string) {
	programs, _ := filepath.Glob("/proc/[0-9]*/exe") // the pattern is well formed
	for _, link := range programs {
		program, err := os.Readlink(link)
		if err != nil || filepath.Dir(program) != dir || link == fmt.Sprintf("/proc/%d/exe", os.Getpid()) || link == "/proc/1/exe" {
			continue
		}
		if line, err := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline")); err == nil {
			commands = append(commands, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return commands
}
