package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	objects     = 100 // containers, and tags of the image
	atOnce      = 16
	promptRun   = "`run --rm busybox true` at the prompt"
	oneShotRun  = "`run --rm busybox true` one-shot"
	parallelRun = "the same, 16 processes at once, the slowest"
)

// samples are what was measured, per line of the table and engine.
type samples map[string]map[string][]float64 // milliseconds, or MiB

func (s samples) add(line, engine string, value float64) {
	if s[line] == nil {
		s[line] = map[string][]float64{}
	}
	s[line][engine] = append(s[line][engine], value)
}

func (s samples) median(line, engine string) (float64, bool) {
	values := slices.Sorted(slices.Values(s[line][engine]))
	if len(values) == 0 {
		return 0, false
	}
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2, true
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// bench measures everything and prints the table.
func bench(ctx context.Context, opts options, dir string, out, log io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(log, "bench: "+format+"\n", args...) }
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o711); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", run, "tmpfs", 0, "mode=0711"); err != nil {
		return fmt.Errorf("mount a tmpfs for the run roots: %w", err)
	}
	defer unix.Unmount(run, unix.MNT_DETACH)
	l, closeAll, err := setUp(ctx, opts, dir, say)
	if err != nil {
		return err
	}
	defer closeAll()
	defer l.removeContainers()
	s := samples{}
	for _, m := range []struct {
		lines   []string
		measure func(context.Context, samples) error
	}{
		{[]string{promptRun}, l.measurePrompt},
		{[]string{oneShotRun}, l.measureOneShot},
		{[]string{parallelRun}, l.measureParallel},
		{[]string{"start to prompt"}, l.measureStart},
		{[]string{"private memory per idle shim", "processes for 3 idle containers"}, l.measureIdle},
		{[]string{"`ps -a` one-shot, 100 containers", "`images` one-shot, 100 names", "`ps -a` at the prompt, 100 containers", "`images` at the prompt, 100 names"}, l.measureLists},
	} {
		if !slices.ContainsFunc(m.lines, opts.only.MatchString) {
			continue
		}
		say("%s …", strings.Join(m.lines, ", "))
		if err := m.measure(ctx, s); err != nil {
			return err
		}
	}
	return l.print(out, s)
}

func (l *lab) measurePrompt(ctx context.Context, s samples) error {
	at, err := l.nacre.session(ctx)
	if err != nil {
		return err
	}
	defer at.end()
	if err := at.await(promptSign); err != nil {
		return err
	}
	if _, err := at.line("run --rm " + l.image + " true"); err != nil { // the first one opens the store
		return err
	}
	for range l.runs {
		took, err := at.line("run --rm " + l.image + " true")
		if err != nil {
			return err
		}
		s.add(promptRun, "nacre", ms(took))
		// Docker and podman have no prompt of their own: their command, from a shell's point of view.
		for _, e := range l.peers() {
			if err := e.timed(ctx, s, promptRun, "run", "--rm", e.image, "true"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) measureOneShot(ctx context.Context, s samples) error {
	return l.inTurn(ctx, s, oneShotRun, l.runs, func(e *engine) []string { return []string{"run", "--rm", e.image, "true"} })
}

// inTurn measures one command on all engines, one after the other, runs times.
func (l *lab) inTurn(ctx context.Context, s samples, line string, runs int, args func(*engine) []string) error {
	for range runs {
		for _, e := range l.engines {
			if err := e.timed(ctx, s, line, args(e)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// timed measures one process of an engine, from its start to its end.
func (e *engine) timed(ctx context.Context, s samples, line string, args ...string) error {
	start := time.Now()
	if _, err := e.run(ctx, args...); err != nil {
		return err
	}
	s.add(line, e.name, ms(time.Since(start)))
	return nil
}

func (l *lab) measureParallel(ctx context.Context, s samples) error {
	for range max(3, l.runs/4) {
		for _, e := range l.engines {
			took, err := e.together(ctx)
			if err != nil {
				return err
			}
			s.add(parallelRun, e.name, ms(slices.Max(took)))
		}
	}
	return nil
}

// together runs the same container from many processes at once.
func (e *engine) together(ctx context.Context) ([]time.Duration, error) {
	took := make([]time.Duration, atOnce)
	errs := make([]error, atOnce)
	var wg sync.WaitGroup
	for i := range atOnce {
		wg.Go(func() {
			start := time.Now()
			_, errs[i] = e.run(ctx, "run", "--rm", e.image, "true")
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

func (l *lab) measureStart(ctx context.Context, s samples) error {
	for range l.runs {
		at, err := l.nacre.session(ctx)
		if err != nil {
			return err
		}
		err = at.await(promptSign)
		s.add("start to prompt", "nacre", ms(time.Since(at.started)))
		at.end()
		if err != nil {
			return err
		}
	}
	return nil
}

// measureIdle starts three containers and looks at the parents of their first
// processes: nacre-shim, containerd-shim, conmon.
func (l *lab) measureIdle(ctx context.Context, s samples) error {
	const idle = 3
	for _, e := range l.engines {
		var shims []int
		for i := range idle {
			name := fmt.Sprint("idle", i)
			if _, err := e.run(ctx, "run", "-d", "--name", name, e.image, "sleep", "1000"); err != nil {
				return err
			}
			out, err := e.run(ctx, "inspect", "--format", "{{.State.Pid}}", name)
			if err != nil {
				return err
			}
			shim, err := parentOf(strings.TrimSpace(out))
			if err != nil {
				return err
			}
			shims = append(shims, shim)
		}
		time.Sleep(time.Second) // let them settle
		for _, pid := range shims {
			private, err := privateMemory(pid)
			if err != nil {
				return err
			}
			s.add("private memory per idle shim", e.name, private)
		}
		if e == l.nacre {
			ours := processesOf(filepath.Dir(l.options.nacre))
			if len(ours) != idle {
				l.say("processes for %d idle containers: %q", idle, ours)
			}
			s.add("processes for 3 idle containers", e.name, float64(len(ours)))
		}
		if _, err := e.run(ctx, "rm", "-f", "idle0", "idle1", "idle2"); err != nil {
			return err
		}
	}
	return nil
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

func (l *lab) measureLists(ctx context.Context, s samples) error {
	for _, e := range l.engines {
		for i := range objects {
			if _, err := e.run(ctx, "create", "--name", fmt.Sprint("made", i), e.image, "true"); err != nil {
				return err
			}
			if _, err := e.run(ctx, "tag", e.image, fmt.Sprintf("made/image%d:latest", i)); err != nil {
				return err
			}
		}
	}
	lists := map[string][]string{"`ps -a` %s, 100 containers": {"ps", "-a"}, "`images` %s, 100 names": {"images"}}
	for line, args := range lists {
		if err := l.inTurn(ctx, s, fmt.Sprintf(line, "one-shot"), l.runs, func(*engine) []string { return args }); err != nil {
			return err
		}
	}
	at, err := l.nacre.session(ctx)
	if err != nil {
		return err
	}
	defer at.end()
	if err := at.await(promptSign); err != nil {
		return err
	}
	for range max(3, l.runs/4) {
		for line, args := range lists {
			took, err := at.each(strings.Join(args, " "))
			if err != nil {
				return err
			}
			s.add(fmt.Sprintf(line, "at the prompt"), "nacre", ms(took))
		}
	}
	return nil
}

func (l *lab) peers() (others []*engine) {
	for _, e := range l.engines {
		if e != l.nacre {
			others = append(others, e)
		}
	}
	return others
}

// removeContainers ends what is left, so that no control group stays behind.
func (l *lab) removeContainers() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, e := range l.engines {
		if ids, err := e.run(ctx, "ps", "-aq"); err == nil && ids != "" {
			e.run(ctx, append([]string{"rm", "-f"}, strings.Fields(ids)...)...)
		}
	}
}
