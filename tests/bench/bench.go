package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bench measures the chosen rows and prints each as soon as it is known.
func bench(ctx context.Context, opts options, dir string, out, log io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(log, "bench: "+format+"\n", args...) }
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o711); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", run, "tmpfs", 0, "mode=0711"); err != nil {
		return fmt.Errorf("mount a tmpfs for the run roots: %w", err)
	}
	defer unix.Unmount(run, unix.MNT_DETACH)
	l, closeAll, err := setUp(ctx, opts, dir, say)
	if err != nil {
		return err
	}
	defer closeAll()
	defer l.removeContainers()
	if err := l.printHead(out); err != nil {
		return err
	}
	var notes []string
	for _, r := range opts.rows {
		say("%s …", r.name)
		var s sample
		if err := r.measure(ctx, l, &s); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if err := r.print(out, s.medians()); err != nil {
			return err
		}
		notes = append(notes, s.notes...)
	}
	if len(notes) > 0 {
		_, err = fmt.Fprintf(out, "\n%s\n", strings.Join(notes, "\n"))
	}
	return err
}

// once does what several rows need, the first time that one of them asks.
func (l *lab) once(ctx context.Context, what string, do func(context.Context) error) error {
	if l.done[what] {
		return nil
	}
	l.say("first: %s …", what)
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if l.done == nil {
		l.done = map[string]bool{}
	}
	l.done[what] = true
	return nil
}

func (l *lab) peers() (others []*engine) {
	for _, e := range l.engines {
		if e != l.nacre {
			others = append(others, e)
		}
	}
	return others
}

// prompt starts nacre at a terminal and returns when it reads lines.
func (l *lab) prompt(ctx context.Context) (*session, error) {
	at, err := l.nacre.session(ctx)
	if err != nil {
		return nil, err
	}
	if err := at.await(promptSign); err != nil {
		at.end()
		return nil, err
	}
	return at, nil
}

// removeContainers ends what is left, so that no control group stays behind.
func (l *lab) removeContainers() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for _, e := range l.engines {
		if err := e.removeAll(ctx); err != nil {
			l.say("containers are left behind: %v", err)
		}
	}
}

// removeAll removes all containers of an engine.
func (e *engine) removeAll(ctx context.Context) error {
	ids, err := e.run(ctx, "ps", "-aq")
	if err != nil || ids == "" {
		return err
	}
	_, err = e.run(ctx, append([]string{"rm", "-f"}, strings.Fields(ids)...)...)
	return err
}
