package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/nacre-sh/nacre/plugins"
)

// listen turns signals into what the shell understands: those on the channel end
// a line; SIGTERM and SIGHUP cancel the context as well and end the shell. At a
// terminal Ctrl-Z goes to stops, for the line that runs, and the signals that
// would stop a background process are caught and dropped: a shell does not stop
// itself. Caught, not ignored, because programs inherit what is ignored.
func listen(ctx context.Context, in *os.File) (_ context.Context, interrupts, stops chan os.Signal, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	caught := make(chan os.Signal, 16)
	interrupts, stops = make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	if term.IsTerminal(int(in.Fd())) {
		signal.Notify(caught, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	}
	go func() {
		for sig := range caught {
			to := interrupts
			switch sig {
			case unix.SIGTSTP:
				to = stops
			case unix.SIGTERM, unix.SIGHUP:
				cancel(&plugins.SignalError{Signal: sig})
			case unix.SIGINT:
			default:
				continue
			}
			select {
			case to <- sig:
			default: // the last one has not been noticed yet
			}
		}
	}()
	return ctx, interrupts, stops, func() {
		signal.Stop(caught)
		close(caught)
		cancel(nil)
	}
}
