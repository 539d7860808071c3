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
	"time"
)

// What is written: lines of a hundred bytes, as programs log them.
const (
	outputMiB = 256
	line      = 100
)

// streamRows are containers that write a lot.
var streamRows = []row{
	{"output", fmt.Sprintf("`run --rm`, %d MiB of lines through a pipe, logged too", outputMiB), "ms", "≤ docker's", noSlower, measureOutput},
	{"output-unlogged", "the same with `--log-driver none`", "ms", "≤ docker's", noSlower, measureUnlogged},
	{"logging-cpu", fmt.Sprintf("processor time of the engine to log %d MiB of lines", outputMiB), "ms", "≤ docker's", noSlower, measureLogging},
}

// writeLines are the options for a container that writes them, and its
// command. It reads them from a file: making them takes longer than the engine.
func (l *lab) writeLines() (options, command []string, err error) {
	file := filepath.Join(l.dir, "lines")
	err = l.once(context.Background(), "write lines", func(context.Context) error {
		text := strings.Repeat(strings.Repeat("x", line-1)+"\n", outputMiB<<20/line+1)
		return os.WriteFile(file, []byte(text[:outputMiB<<20]), 0o644)
	})
	return []string{"-v", file + ":/lines:ro"}, []string{"sh", "-c", "dd if=/lines bs=64k 2>/dev/null"}, err
}

func measureOutput(ctx context.Context, l *lab, s *sample) error { return l.output(ctx, s) }

func measureUnlogged(ctx context.Context, l *lab, s *sample) error {
	return l.output(ctx, s, "--log-driver", "none")
}

func (l *lab) output(ctx context.Context, s *sample, options ...string) error {
	with, write, err := l.writeLines()
	if err != nil {
		return err
	}
	for range l.fewRuns() {
		for _, e := range l.engines {
			cmd := e.cmd(ctx, slices.Concat([]string{"run", "--rm"}, options, with, []string{e.image}, write)...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				return err
			}
			start := time.Now()
			if err := cmd.Start(); err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, out)
			if ended := cmd.Wait(); err == nil {
				err = ended
			}
			if err != nil || n != outputMiB<<20 {
				return fmt.Errorf("%s gave %d bytes of output: %v", e.name, n, err)
			}
			s.add(e, ms(time.Since(start)))
		}
	}
	return nil
}

// measureLogging counts the time of the engine's own processes while a
// container writes that nobody is attached to.
func measureLogging(ctx context.Context, l *lab, s *sample) error {
	for range l.fewRuns() {
		for _, e := range l.engines {
			if err := l.logOnce(ctx, e, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) logOnce(ctx context.Context, e *engine, s *sample) error {
	const name, end = "talker", "31536000" // seconds that nothing else sleeps
	with, write, err := l.writeLines()
	if err != nil {
		return err
	}
	write[2] += "; sleep " + end
	if _, err := e.run(ctx, slices.Concat([]string{"create", "--name", name}, with, []string{e.image}, write)...); err != nil {
		return err
	}
	defer e.run(ctx, "rm", "-f", name)
	before, err := engineTime(e)
	if err != nil {
		return err
	}
	if _, err := e.run(ctx, "start", name); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); !runs("sleep " + end); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: the container does not come to the end of its lines", e.name)
		}
	}
	time.Sleep(200 * time.Millisecond) // what is left in the pipe
	after, err := engineTime(e)
	if err != nil {
		return err
	}
	s.add(e, ms(after-before))
	return nil
}

// runs says whether there is a process with such a command line.
func runs(command string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
	return slices.ContainsFunc(files, func(file string) bool {
		line, err := os.ReadFile(file)
		return err == nil && strings.ReplaceAll(strings.TrimSuffix(string(line), "\x00"), "\x00", " ") == command
	})
}

// engineTime is the processor time that the processes of an engine have taken
// so far: all whose program has one of its names.
func engineTime(e *engine) (time.Duration, error) {
	names := map[string][]string{
		"nacre": {"nacre-shim"}, "docker": {"dockerd", "containerd"}, "podman": {"conmon"},
	}[e.name]
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var ticks int
	for _, file := range stats {
		program, err := os.Readlink(filepath.Join(filepath.Dir(file), "exe"))
		if err != nil || !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(filepath.Base(program), n) }) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		if len(fields) < 13 {
			return 0, fmt.Errorf("%s: %q", file, text)
		}
		for _, field := range fields[11:13] { // utime and stime, see proc_pid_stat(5)
			n, err := strconv.Atoi(field)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100, nil // USER_HZ is 100 on every Linux
}
