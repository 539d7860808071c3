package repl

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/plugins"
)

// patience is how long a shell at a terminal waits, once told to end, for what it runs.
const patience = 10 * time.Second

// attendance is a job with what the shell needs to wait for it, to give it up,
// and to move it behind the prompt and back.
type attendance struct {
	shell   *Shell
	job     *job
	ctx     context.Context
	abandon func()
	streams *lineStreams // nil where the job has no terminal to lose
	output  *jobOutput   // what it prints behind the prompt
}

// outcome is how the shell's waiting for a job ended.
type outcome int

const (
	jobEnded  outcome = iota
	jobLeft           // it ignores Ctrl-C, or the shell itself ends: left alone
	jobBehind         // Ctrl-Z
)

// attend prepares a job in the foreground, which has these streams (nil where
// there is no terminal to lose).
func (s *Shell) attend(ctx context.Context, text string, streams *lineStreams) *attendance {
	a := &attendance{shell: s, streams: streams}
	a.ctx, a.job = withJob(ctx, text)
	a.ctx, a.abandon = plugins.WithAbandon(a.ctx)
	if streams != nil {
		a.ctx = streams.context(a.ctx)
	}
	return a
}

// begin runs the job.
func (a *attendance) begin(run func(context.Context) int) {
	go func() { a.job.finish(run(a.ctx)) }()
}

// attended runs something while listening to Ctrl-C; see wait.
func (s *Shell) attended(ctx context.Context, run func(context.Context) int) (status int, finished bool) {
	a := s.attend(ctx, "", nil)
	a.begin(run)
	status, how := a.wait(ctx)
	return status, how == jobEnded
}

// wait waits for the job while listening to the terminal's signals: the first
// Ctrl-C cancels it, the third one leaves it alone; Ctrl-Z sends it behind the
// prompt. When the shell itself is to end, it waits a while.
func (a *attendance) wait(ctx context.Context) (status int, how outcome) {
	s := a.shell
	defer s.settle()
	ending, timeout := ctx.Done(), (<-chan time.Time)(nil)
	drain(s.options.Stops)
	for count := 0; ; {
		select {
		case <-a.job.ended:
			return a.job.status, jobEnded
		case <-a.job.stops:
			a.job.setState(jobStopped)
			return 128 + int(unix.SIGTSTP), jobBehind
		case <-s.options.Stops:
			a.job.setState(jobBackground)
			return 128 + int(unix.SIGTSTP), jobBehind
		case sig := <-s.options.Signals:
			count++
			cause := &plugins.SignalError{Signal: sig}
			a.job.cancel(cause)
			if count >= abandonAfter {
				fmt.Fprintln(s.options.Err, "\ngot 3 SIGTERM/SIGINTs, leaving the command alone")
				a.abandon()
				return cause.Status(), jobLeft
			}
		case <-ending:
			if ending = nil; s.terminal != nil { // a script or a single command, as docker's, ends with its container
				timeout = time.After(patience)
			}
		case <-timeout:
			a.abandon()
			return s.statusOf(ctx, ctx.Err()), jobLeft
		}
	}
}

// drain forgets a signal that came while nothing ran.
func drain(signals <-chan os.Signal) {
	select {
	case <-signals:
	default:
	}
}
