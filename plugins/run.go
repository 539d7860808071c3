package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/containerd/errdefs"
)

// StatusError ends a command with an exit status of its own. Err is what the
// user reads; nil ends it silently (the container's own status, for example).
type StatusError struct {
	Status int
	Err    error
}

func (e *StatusError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

func (e *StatusError) Unwrap() error { return e.Err }

// SignalError is the cause with which a context is cancelled when a signal
// ends a command: Ctrl-C at the prompt, SIGTERM at a one-shot nacre.
type SignalError struct{ Signal os.Signal }

func (e *SignalError) Error() string { return "ended by " + e.Signal.String() }

// Status is the exit status that shells give to a command ended by this signal.
func (e *SignalError) Status() int {
	if s, ok := e.Signal.(syscall.Signal); ok {
		return 128 + int(s)
	}
	return 1
}

// Execute runs a command: it builds the tree, runs it with the invocation's
// arguments and streams, prints the error and returns the exit status. The
// shell outlives it: a panic of the command becomes an error message.
func Execute(ctx context.Context, c *Command, inv *Invocation) (status int) {
	inv.streams = nil
	inv.cleanup = &cleanups{} // a copy of another invocation has nothing of its own yet
	inv.detach, _ = ctx.Value(detachKey{}).(func(func()))
	defer inv.End()
	if abandoned, ok := ctx.Value(abandonKey{}).(context.Context); ok {
		defer context.AfterFunc(abandoned, inv.End)()
	}
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(inv.Err, "nacre: %s: internal error: %v\n%s", c.Name, p, debug.Stack())
			status = 2
		}
	}()
	root, err := c.Build(inv)
	if err != nil {
		return report(ctx, inv, err)
	}
	root.SetArgs(inv.Args)
	root.SilenceErrors, root.SilenceUsage = true, true
	if inv.In != nil {
		root.SetIn(inv.In)
	}
	root.SetOut(inv.Out)
	root.SetErr(inv.Err)
	withPager(root, inv)
	return report(ctx, inv, root.ExecuteContext(context.WithValue(ctx, envKey{}, inv.Env)))
}

type abandonKey struct{}

// WithAbandon returns a context whose commands lose what they have deferred to
// give back (their input, their connections) when abandon is called, although
// they have not ended: a shell goes on without a command that ignores Ctrl-C.
func WithAbandon(ctx context.Context) (_ context.Context, abandon func()) {
	abandoned, cancel := context.WithCancel(context.Background())
	return context.WithValue(ctx, abandonKey{}, abandoned), cancel
}

// End calls what was deferred, once. Execute does so itself; who only builds a
// tree calls it, and a shell that gives a command up: its input is needed.
func (inv *Invocation) End() {
	if inv.cleanup == nil {
		return
	}
	inv.cleanup.mu.Lock()
	list := inv.cleanup.list
	inv.cleanup.list = nil
	inv.cleanup.mu.Unlock()
	for i := len(list) - 1; i >= 0; i-- {
		list[i]()
	}
}

// report prints an error as docker does: its text as it is, nothing for a
// command that the user broke off.
func report(ctx context.Context, inv *Invocation, err error) int {
	if err == nil {
		return 0
	}
	if readerLeft(err) {
		return 128 + int(syscall.SIGPIPE)
	}
	var status *StatusError
	if errors.As(err, &status) {
		if status.Err == nil {
			return status.Status
		}
		if !broken(ctx, err) {
			complain(inv, err)
		}
		return status.Status
	}
	if broken(ctx, err) {
		var sig *SignalError
		if errors.As(context.Cause(ctx), &sig) {
			return sig.Status()
		}
		return 1
	}
	complain(inv, err)
	return 1
}

// complain prints an error. At the prompt it shows which word it is about.
func complain(inv *Invocation, err error) {
	fmt.Fprintln(inv.Err, err)
	if inv.Interactive && shownTo(inv.Err) {
		io.WriteString(inv.Err, pointAt(inv.Args, err))
	}
	offer(inv, err)
}

// readerLeft is true when the reader of a command's output has ended, as in
// `images | head -1`: a program would die of SIGPIPE without a word.
func readerLeft(err error) bool {
	var file *fs.PathError
	return errors.As(err, &file) && file.Op == "write" && errors.Is(file.Err, syscall.EPIPE)
}

// broken tells whether the command ended because its context did.
func broken(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errdefs.IsCanceled(err) || errors.Is(err, context.Cause(ctx)))
}
