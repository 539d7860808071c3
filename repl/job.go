package repl

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
)

// jobState is where a job stands.
type jobState int

const (
	jobForeground jobState = iota // the shell waits for it; its programs have the terminal
	jobBackground                 // it runs beside the prompt
	jobStopped                    // Ctrl-Z: its programs rest until fg or bg
	jobDone
)

// job is one statement that runs: the nacre commands and the host's programs in
// it are ended together. At a terminal its programs share one process group,
// which has the terminal while any of them runs in the foreground. A script
// inside a statement has a job of its own, a part of the statement's.
type job struct {
	cancel     context.CancelCauseFunc
	background []span
	whole      *job // the statement's job; itself, but for a part

	mu      sync.Mutex
	group   int // process group of the programs in the foreground, 0 without
	members int

	// Of a whole job.
	id     int // as %N shows it; 0 while it has never left the foreground
	text   string
	began  time.Time
	state  jobState
	status int              // once done
	rested map[int]struct{} // process groups that Ctrl-Z has stopped
	stops  chan struct{}    // tells the shell that a program has stopped
	ended  chan struct{}    // closed when the job is done

	mending *mending // how the line could go on after it has failed; nil where it is not to be asked

	front   *attendance // what brings it back to the foreground
	watched sync.Once   // somebody waits for its end
}

type jobKey struct{}

// newJob returns a whole job in the foreground.
func newJob(text string, cancel context.CancelCauseFunc) *job {
	j := &job{cancel: cancel, text: text, began: time.Now(), rested: map[int]struct{}{}, stops: make(chan struct{}, 1), ended: make(chan struct{})}
	j.whole = j
	return j
}

// withJob starts a job, or a part of the one that ctx belongs to. Its cancel
// function ends everything in it.
func withJob(ctx context.Context, text string) (context.Context, *job) {
	outer, _ := ctx.Value(jobKey{}).(*job)
	ctx, cancel := context.WithCancelCause(ctx)
	j := newJob(text, cancel)
	if outer != nil {
		j.whole = outer.whole
	}
	return context.WithValue(ctx, jobKey{}, j), j
}

// jobOf returns the job that a command belongs to. A command that was started
// from outside any line is a job of its own.
func jobOf(ctx context.Context) *job {
	if j, ok := ctx.Value(jobKey{}).(*job); ok {
		return j
	}
	return newJob("", func(error) {})
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

// stateNow is where the whole job stands.
func (j *job) stateNow() jobState {
	j.whole.mu.Lock()
	defer j.whole.mu.Unlock()
	return j.whole.state
}

func (j *job) setState(s jobState) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state != jobDone {
		j.state = s
	}
}

// finish records how a whole job ended.
func (j *job) finish(status int) {
	j.mu.Lock()
	j.state, j.status = jobDone, status
	j.mu.Unlock()
	close(j.ended)
}

// start runs a program's start function with the attributes that put it into
// the job's group and, in the foreground, hand it the terminal.
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
	attr := &syscall.SysProcAttr{Setpgid: true, Pgid: j.group}
	if j.foregroundLocked() {
		attr.Foreground, attr.Ctty = true, t.fd()
	}
	pid, err := start(attr)
	if err != nil {
		return err
	}
	if j.group == 0 {
		j.group = pid
	}
	j.members++
	return nil
}

// foregroundLocked is called with j's own lock held.
func (j *job) foregroundLocked() bool {
	if j.whole == j {
		return j.state == jobForeground
	}
	return j.stateNow() == jobForeground
}

// programEnded takes a program off the job. When it was the last, the shell has the
// terminal again. A program that Ctrl-C has killed takes the whole line with it.
func (j *job) programEnded(t *terminal, background bool, status syscall.WaitStatus) {
	if t == nil || background {
		return
	}
	j.mu.Lock()
	j.members--
	if j.members == 0 {
		j.group = 0
		if j.foregroundLocked() {
			t.take()
		}
	}
	j.mu.Unlock()
	if status.Signaled() && status.Signal() == syscall.SIGINT {
		j.cancel(&plugins.SignalError{Signal: os.Interrupt})
	}
}

// programStopped notes that Ctrl-Z has stopped a program of the group, and
// tells the shell.
func (j *job) programStopped(group int) {
	w := j.whole
	w.mu.Lock()
	w.rested[group] = struct{}{}
	w.mu.Unlock()
	select {
	case w.stops <- struct{}{}:
	default: // it has been told already
	}
}

// resume lets a whole job go on, in the foreground with the terminal.
func (j *job) resume(t *terminal, state jobState) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state == jobDone {
		return
	}
	j.state = state
	select {
	case <-j.stops: // an old one
	default:
	}
	if state == jobForeground && j.group != 0 {
		t.give(j.group)
	}
	for group := range j.rested {
		if state == jobForeground {
			t.give(group)
		}
		unix.Kill(-group, unix.SIGCONT)
	}
	clear(j.rested)
}

// hangUp ends what rests in a job when the shell itself ends.
func (j *job) hangUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for group := range j.rested {
		unix.Kill(-group, unix.SIGHUP)
		unix.Kill(-group, unix.SIGCONT)
	}
}
