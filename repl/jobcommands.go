package repl

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/interp"

	"github.com/nacre-sh/nacre/plugins"
)

// own are the shell's own commands at a terminal, by the name that the call
// handler marks. They print to out and complain to errs.
func (s *Shell) own(ctx context.Context, name string, args []string, out, errs io.Writer) error {
	var err error
	switch name {
	case "jobs":
		err = s.listJobs(args, out)
	case "fg":
		err = s.bring(args)
	case "bg":
		err = s.sendBack(args, out)
	case "disown":
		err = s.disown(args)
	case "wait":
		return s.waitFor(ctx, args, errs)
	case "kill":
		err = s.killJobs(args)
	case "reload":
		s.reloading.Store(true)
	case "follow":
		return s.awaitJob(ctx, s.jobs.unfollow(args[0]))
	}
	if err != nil {
		fmt.Fprintf(errs, "nacre: %s: %v\n", name, err)
		return interp.ExitStatus(1)
	}
	return nil
}

// jobWords tells whether a command is about jobs: `kill %1`, `wait %2 %3`.
func jobWords(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "%") })
}

func (s *Shell) listJobs(args []string, out io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("takes no arguments, got %q", args)
	}
	for _, j := range s.jobs.list() {
		fmt.Fprintln(out, s.jobs.line(j))
	}
	return nil
}

// pick resolves the one job that fg, bg and disown work on.
func (s *Shell) pick(args []string) (*job, error) {
	switch len(args) {
	case 0:
		if j := s.jobs.current(); j != nil {
			return j, nil
		}
		return nil, fmt.Errorf("there are no jobs")
	case 1:
		return s.jobs.find(args[0])
	}
	return nil, fmt.Errorf("one job at a time, got %q", args)
}

// bring is fg: the loop does it, when this statement has ended.
func (s *Shell) bring(args []string) error {
	j, err := s.pick(args)
	if err == nil {
		s.jobs.want(j)
	}
	return err
}

func (s *Shell) sendBack(args []string, out io.Writer) error {
	j, err := s.pick(args)
	if err != nil {
		return err
	}
	if j.stateNow() != jobStopped {
		return fmt.Errorf("%%%d runs already", j.id)
	}
	j.resume(s.terminal, jobBackground)
	fmt.Fprintln(out, s.jobs.line(j))
	return nil
}

// disown forgets a job: it goes on, and nothing is said when it ends.
func (s *Shell) disown(args []string) error {
	j, err := s.pick(args)
	if err == nil {
		s.jobs.remove(j)
	}
	return err
}

// waitFor waits for jobs and returns the status of the last.
func (s *Shell) waitFor(ctx context.Context, args []string, errs io.Writer) error {
	status := 0
	for _, word := range args {
		j, err := s.jobs.findEnded(word)
		if err != nil {
			fmt.Fprintln(errs, "nacre: wait:", err)
			status = 127
			continue
		}
		select {
		case <-j.ended:
			status = j.status
		case <-ctx.Done():
			return exitStatus(s.statusOf(ctx, ctx.Err()))
		}
	}
	return exitStatus(status)
}

// awaitJob waits for one job and returns its status.
func (s *Shell) awaitJob(ctx context.Context, j *job) error {
	select {
	case <-j.ended:
		return exitStatus(j.status)
	case <-ctx.Done():
		return exitStatus(s.statusOf(ctx, ctx.Err()))
	}
}

// killJobs is `kill [-SIGNAL] %N…`. What a job runs of the host gets the
// signal; the nacre commands in it end as with Ctrl-C.
func (s *Shell) killJobs(args []string) error {
	sig := unix.SIGTERM
	if name, isSignal := strings.CutPrefix(args[0], "-"); isSignal {
		named, err := signalNamed(strings.TrimPrefix(name, "s"), args)
		if err != nil {
			return err
		}
		sig, args = named, args[1:]
	}
	for _, word := range args {
		j, err := s.jobs.find(word)
		if err != nil {
			return err
		}
		j.signal(sig)
	}
	return nil
}

// signalNamed reads 9, KILL, SIGKILL.
func signalNamed(name string, args []string) (unix.Signal, error) {
	var n int
	if _, err := fmt.Sscanf(name, "%d", &n); err == nil && n > 0 && n < 65 {
		return unix.Signal(n), nil
	}
	full := strings.ToUpper(name)
	if !strings.HasPrefix(full, "SIG") {
		full = "SIG" + full
	}
	if sig := unix.SignalNum(full); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal in %q", args[0])
}

// signal delivers a signal to everything in a job.
func (j *job) signal(sig unix.Signal) {
	j.mu.Lock()
	groups := []int{}
	if j.group != 0 {
		groups = append(groups, j.group)
	}
	for g := range j.rested {
		groups = append(groups, g)
	}
	j.mu.Unlock()
	for _, g := range groups {
		unix.Kill(-g, sig)
		if sig != unix.SIGSTOP && sig != unix.SIGTSTP {
			unix.Kill(-g, unix.SIGCONT)
		}
	}
	switch sig {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGCONT:
	default:
		j.cancel(&plugins.SignalError{Signal: sig})
	}
}
