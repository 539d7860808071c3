package repl

import (
	"context"
	"os"
	"sync"
	"syscall"

	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
)

// job is one line that runs: the nacre commands and the host's programs in it
// are ended together. At a terminal the programs share one process group, which
// has the terminal while any of them runs.
type job struct {
	cancel     context.CancelCauseFunc
	background []span

	mu      sync.Mutex
	group   int // process group of the programs in the foreground, 0 without
	members int
}

type jobKey struct{}

// withJob starts a job. Its cancel function ends everything in it.
func withJob(ctx context.Context) (context.Context, *job) {
	ctx, cancel := context.WithCancelCause(ctx)
	j := &job{cancel: cancel}
	return context.WithValue(ctx, jobKey{}, j), j
}

// jobOf returns the job that a command belongs to. A command that was started
// from outside any line is a job of its own.
func jobOf(ctx context.Context) *job {
	if j, ok := ctx.Value(jobKey{}).(*job); ok {
		return j
	}
	return &job{cancel: func(error) {}}
}

func (j *job) inBackground(pos syntax.Pos) bool {
	if !pos.IsValid() {
		return false
	}
	for _, s := range j.background {
		if pos.Offset() >= s.from && pos.Offset() < s.to {
			return true
		}
	}
	return false
}

// start runs a program's start function with the attributes that put it into
// the job's group and hand it the terminal.
func (j *job) start(t *terminal, background bool, start func(*syscall.SysProcAttr) (pid int, err error)) error {
	if t == nil {
		_, err := start(nil)
		return err
	}
	if background {
		_, err := start(&syscall.SysProcAttr{Setpgid: true})
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	pid, err := start(&syscall.SysProcAttr{Setpgid: true, Pgid: j.group, Foreground: true, Ctty: t.fd()})
	if err != nil {
		return err
	}
	if j.group == 0 {
		j.group = pid
	}
	j.members++
	return nil
}

// ended takes a program off the job. When it was the last, the shell has the
// terminal again. A program that Ctrl-C has killed takes the whole line with it.
func (j *job) ended(t *terminal, background bool, status syscall.WaitStatus) {
	if t == nil || background {
		return
	}
	j.mu.Lock()
	j.members--
	if j.members == 0 {
		j.group = 0
		t.take()
	}
	j.mu.Unlock()
	if status.Signaled() && status.Signal() == syscall.SIGINT {
		j.cancel(&plugins.SignalError{Signal: os.Interrupt})
	}
}
