package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/interp"

	"github.com/nacre-sh/nacre/plugins"
)

// lineStreams are the terminal as statements see it: descriptors of their own.
// When Ctrl-Z sends a statement behind the prompt, the nacre commands in it,
// which run in this process and hold these descriptors, must lose the terminal
// although they go on: other files then take the descriptors' places, and the
// next statement gets new ones.
type lineStreams struct {
	in, out, err *os.File
	// away is what the commands print to, once detached.
	away *os.File
	// release are called with the detachment: inputs that commands have opened anew.
	mu       sync.Mutex
	release  []func()
	detached bool
	copied   chan struct{} // closed when all that was printed behind the prompt has been shown
}

// openStreams gives the session's statements descriptors of the terminal.
// Without them Ctrl-Z is less, and nothing else.
func (l *session) openStreams() {
	if l.terminal == nil {
		return
	}
	streams, err := l.openLineStreams()
	if err == nil && streams != nil {
		l.streams = streams
		err = interp.StdIO(streams.in, streams.out, streams.err)(l.runner)
	}
	if err != nil {
		fmt.Fprintln(l.options.Err, "nacre: warning: Ctrl-Z will not work:", err)
	}
}

func (l *session) closeStreams() {
	if l.streams != nil {
		l.streams.close()
	}
}

// openLineStreams duplicates the shell's streams; nil when they are no files.
func (s *Shell) openLineStreams() (*lineStreams, error) {
	in, okIn := s.options.In.(*os.File)
	out, okOut := s.options.Out.(*os.File)
	errs, okErr := s.options.Err.(*os.File)
	if !okIn || !okOut || !okErr {
		return nil, nil
	}
	l := &lineStreams{}
	for _, d := range []struct {
		from *os.File
		to   **os.File
	}{{in, &l.in}, {out, &l.out}, {errs, &l.err}} {
		fd, err := unix.FcntlInt(d.from.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			l.close()
			return nil, os.NewSyscallError("fcntl", err)
		}
		*d.to = os.NewFile(uintptr(fd), d.from.Name())
	}
	return l, nil
}

// close waits until everything printed behind the prompt has been shown.
func (l *lineStreams) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, f := range []*os.File{l.in, l.out, l.err, l.away} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if l.detached {
		<-l.copied
	}
	return errors.Join(errs...)
}

// context lets a statement's commands register what the detachment has to release.
func (l *lineStreams) context(ctx context.Context) context.Context {
	l.mu.Lock()
	l.release = nil
	l.mu.Unlock()
	return plugins.WithDetach(ctx, func(release func()) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.detached {
			release()
			return
		}
		l.release = append(l.release, release)
	})
}

// detach puts a pipe in the place of the outputs and nothing in that of the
// input. What comes through the pipe is copied to w until the streams are
// closed.
func (l *lineStreams) detach(w io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.detached {
		return nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	r, away, err := os.Pipe()
	if err != nil {
		return err
	}
	for _, d := range []struct{ from, to *os.File }{{null, l.in}, {away, l.out}, {away, l.err}} {
		if err := unix.Dup3(int(d.from.Fd()), int(d.to.Fd()), unix.O_CLOEXEC); err != nil {
			return errors.Join(os.NewSyscallError("dup3", err), r.Close(), away.Close())
		}
	}
	l.detached, l.away = true, away
	for _, release := range l.release {
		release()
	}
	l.release = nil
	copied := make(chan struct{})
	l.copied = copied
	go func() {
		defer close(copied)
		defer r.Close()
		io.Copy(w, r)
	}()
	return nil
}

// attach gives the outputs the terminal back; the input stays closed to what
// has lost it.
func (l *lineStreams) attach(out, errs *os.File) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.detached {
		return nil
	}
	l.detached = false
	err := errors.Join(
		unix.Dup3(int(out.Fd()), int(l.out.Fd()), unix.O_CLOEXEC),
		unix.Dup3(int(errs.Fd()), int(l.err.Fd()), unix.O_CLOEXEC),
		l.away.Close(),
	)
	l.away = nil
	return err
}
