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
// a line; SIGTERM and SIGHUP cancel the context as well and end the shell. At a terminal the signals that would stop a background process are
// caught and dropped: a shell does not stop itself. Caught, not ignored, because
// programs inherit what is ignored.
func listen(ctx context.Context, in *os.File) (context.Context, <-chan os.Signal, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	caught := make(chan os.Signal, 16)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	if term.IsTerminal(int(in.Fd())) {
		signal.Notify(caught, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	}
	go func() {
		for sig := range caught {
			switch sig {
			case unix.SIGTERM, unix.SIGHUP:
				cancel(&plugins.SignalError{Signal: sig})
			case unix.SIGINT:
			default:
				continue
			}
			select {
			case interrupts <- sig:
			default: // the last one has not been noticed yet
			}
		}
	}()
	return ctx, interrupts, func() {
		signal.Stop(caught)
		close(caught)
		cancel(nil)
	}
}
