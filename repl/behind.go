package repl

import (
	"context"
	"fmt"
	"os"
	"time"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// conclude waits for a job in the foreground. finished is false when it has
// been left alone or goes on behind the prompt.
func (l *session) conclude(ctx context.Context, a *attendance) (finished bool) {
	var how outcome
	l.status, how = a.wait(ctx)
	switch how {
	case jobEnded:
		if a.streams != l.streams {
			a.close()
		}
		return true
	case jobBehind:
		l.putBehind(a)
	}
	return false
}

// close gives the job's descriptors back.
func (a *attendance) close() {
	if a.streams != nil {
		a.streams.close()
	}
	if a.output != nil {
		a.output.flush()
	}
}

// putBehind moves a job out of the foreground after Ctrl-Z. What of it runs in
// this process cannot be stopped: it goes on without the terminal.
func (l *session) putBehind(a *attendance) {
	if a.output == nil {
		a.output = newJobOutput(l.options.Above)
	}
	if a.streams != nil {
		if a.streams == l.streams {
			l.streams = nil // the next statement gets others
		}
		if err := a.streams.detach(a.output); err != nil {
			fmt.Fprintln(l.options.Err, "nacre: take the terminal from the command:", err)
		}
	}
	id := l.jobs.add(a.job)
	a.job.front = a
	fmt.Fprintf(l.options.Err, "\n%s\n", l.jobs.line(a.job))
	if id == 1 && a.job.stateNow() == jobBackground {
		fmt.Fprintf(l.options.Err, "It goes on behind the prompt; `fg` brings it back.\n")
	}
	a.job.watched.Do(func() { go l.watch(a) })
}

// startBehind runs `statement &` beside the prompt. What it prints appears above
// the line that is being typed.
func (l *session) startBehind(ctx context.Context, stmt *syntax.Stmt, text string) {
	inner := *stmt
	inner.Background = false
	runner := l.runner.Subshell()
	a := &attendance{shell: l.Shell, output: newJobOutput(l.options.Above)}
	if err := interp.StdIO(nil, a.output, a.output)(runner); err != nil {
		fmt.Fprintln(l.options.Err, "nacre: start a job:", err)
		l.setStatus(ctx, 1)
		return
	}
	a.ctx, a.job = withJob(ctx, text)
	a.abandon = func() {}
	a.job.state, a.job.front = jobBackground, a
	id := l.jobs.add(a.job)
	fmt.Fprintf(l.options.Err, "[%d]\n", id)
	a.begin(func(ctx context.Context) int {
		status, _ := l.runStatement(ctx, runner, &inner)
		return status
	})
	a.job.watched.Do(func() { go l.watch(a) })
	l.followJob(ctx, a.job)
	l.status = 0
}

// followJob makes $! and a plain `wait` know the job: to the interpreter it is
// a command in the background that ends when the job does.
func (l *session) followJob(ctx context.Context, j *job) {
	word := func(s string) *syntax.Word { return &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{Value: s}}} }
	key := l.jobs.follow(j)
	l.runner.Run(ctx, &syntax.Stmt{Background: true, Cmd: &syntax.CallExpr{Args: []*syntax.Word{word(shellMark + "follow"), word(key)}}})
}

// watch says when a job behind the prompt has ended.
func (l *session) watch(a *attendance) {
	<-a.job.ended
	if !l.jobs.has(a.job) {
		return // it ended in the foreground, or is disowned
	}
	a.close()
	line := l.jobs.line(a.job)
	if !l.jobs.remove(a.job) {
		return
	}
	l.jobs.notify(l.options.Above, line)
	if l.options.Ended != nil {
		l.options.Ended(Ended{Text: a.job.text, Status: a.job.status, Duration: time.Since(a.job.began), Job: true})
	}
}

// bringBack is fg: the job has the terminal again and the shell waits for it.
// goOn is false when the rest of the line is to be dropped.
func (l *session) bringBack(ctx context.Context, j *job) (goOn bool) {
	if !l.jobs.remove(j) {
		fmt.Fprintf(l.options.Err, "nacre: fg: %s: the job has ended\n", j.text)
		l.setStatus(ctx, 1)
		return true
	}
	fmt.Fprintln(l.options.Err, j.text)
	a := j.front
	if a.streams != nil {
		out, okOut := l.options.Out.(*os.File)
		errs, okErr := l.options.Err.(*os.File)
		if okOut && okErr {
			if err := a.streams.attach(out, errs); err != nil {
				fmt.Fprintln(l.options.Err, "nacre: give the command the terminal:", err)
			}
		}
	}
	l.snapshot = l.runner
	j.resume(l.terminal, jobForeground)
	finished := l.conclude(ctx, a)
	l.setStatus(ctx, l.status)
	return finished
}

// warnJobs says why the shell does not end yet.
func (l *session) warnJobs(n int) {
	fmt.Fprintf(l.options.Err, "nacre: jobs behind the prompt: %d (`jobs` lists them); leave once more to end\n", n)
}

// Jobs is the number of jobs behind the prompt.
func (s *Shell) Jobs() int {
	if s.jobs == nil {
		return 0
	}
	return len(s.jobs.list())
}
