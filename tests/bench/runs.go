package main

import (
	"context"
	"time"
)

const running = "runner" // the container that exec enters

// runRows are one container, one exec, one start.
var runRows = []row{
	{"run-prompt", "`run --rm busybox true` at the prompt", "ms", "docker ≥ 8 ×, podman ≥ 6 ×",
		func(v values) bool { return dockerTimes(8)(v) && bothTimes(6)(v) }, measureRunAtPrompt},
	{"run", "`run --rm busybox true` one-shot", "ms", "docker ≥ 5 ×", dockerTimes(5),
		inTurn(func(e *engine) []string { return []string{"run", "--rm", e.image, "true"} })},
	{"exec-prompt", "`exec x true` at the prompt", "ms", "docker ≥ 4 ×", dockerTimes(4), measureExecAtPrompt},
	{"exec", "`exec x true` one-shot", "ms", "docker ≥ 4 ×", dockerTimes(4), measureExec},
	{"start", "start to prompt", "ms", "< 60 ms", atMost(60), measureStart},
}

func measureRunAtPrompt(ctx context.Context, l *lab, s *sample) error {
	return l.besidePrompt(ctx, s, "run --rm "+l.image+" true", func(e *engine) []string {
		return []string{"run", "--rm", e.image, "true"}
	})
}

// besidePrompt measures a line at nacre's prompt, and in turn the commands of
// the others: they have no prompt of their own, so it is their process, from a
// shell's point of view.
func (l *lab) besidePrompt(ctx context.Context, s *sample, line string, args func(*engine) []string) error {
	at, err := l.prompt(ctx)
	if err != nil {
		return err
	}
	defer at.end()
	if _, err := at.line(line); err != nil { // the first one opens the store
		return err
	}
	for range l.runs {
		took, err := at.line(line)
		if err != nil {
			return err
		}
		s.add(l.nacre, ms(took))
		for _, e := range l.peers() {
			if err := e.timed(ctx, s, args(e)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func execTrue(*engine) []string { return []string{"exec", running, "true"} }

func measureExecAtPrompt(ctx context.Context, l *lab, s *sample) error {
	return l.withRunner(ctx, func() error { return l.besidePrompt(ctx, s, "exec "+running+" true", execTrue) })
}

func measureExec(ctx context.Context, l *lab, s *sample) error {
	return l.withRunner(ctx, func() error { return inTurn(execTrue)(ctx, l, s) })
}

// withRunner measures while every engine has a container that sleeps.
func (l *lab) withRunner(ctx context.Context, measure func() error) error {
	for _, e := range l.engines {
		if _, err := e.run(ctx, "run", "-d", "--name", running, e.image, "sleep", "10000"); err != nil {
			return err
		}
	}
	if err := measure(); err != nil {
		return err
	}
	for _, e := range l.engines {
		if _, err := e.run(ctx, "rm", "-f", running); err != nil {
			return err
		}
	}
	return nil
}

func measureStart(ctx context.Context, l *lab, s *sample) error {
	return measureStartOf(ctx, l.nacre, l, s)
}

func measureStartOf(ctx context.Context, e *engine, l *lab, s *sample) error {
	for range l.runs {
		at, err := e.session(ctx)
		if err != nil {
			return err
		}
		err = at.await(promptSign)
		s.add(l.nacre, ms(time.Since(at.started)))
		at.end()
		if err != nil {
			return err
		}
	}
	return nil
}
