package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
)

const (
	atOnce  = 16  // runs that start together
	inAll   = 100 // runs for the throughput
	workers = 8   // of them at a time
	made    = 200 // containers to create and remove
)

// loadRows are many containers at once.
var loadRows = []row{
	{"run-16", "`run --rm busybox true`, 16 processes at once: the slowest against one alone", "×", "≤ 4 ×", atMost(4), measureTogether},
	{"run-100", "100 × `run --rm busybox true`, 8 at a time", "ms", "docker ≥ 6 ×", dockerTimes(6), measureThroughput},
	{"create-rm-200", "a script of 200 × `create`, then one `rm` of all", "ms", "docker ≥ 10 ×", dockerTimes(10), measureCreate},
}

func measureTogether(ctx context.Context, l *lab, s *sample) error {
	slowest := map[string][]float64{}
	for range max(3, l.runs/4) {
		for _, e := range l.engines {
			alone, err := e.together(ctx, 1, 1)
			if err != nil {
				return err
			}
			all, err := e.together(ctx, atOnce, atOnce)
			if err != nil {
				return err
			}
			s.add(e, ms(slices.Max(all))/ms(alone[0]))
			slowest[e.name] = append(slowest[e.name], ms(slices.Max(all)))
		}
	}
	var parts []string
	for _, e := range l.engines {
		parts = append(parts, fmt.Sprintf("%s %.0f ms", e.name, median(slowest[e.name])))
	}
	s.note("The slowest of %d at once: %s.", atOnce, strings.Join(parts, ", "))
	return nil
}

// together runs the same container n times, by so many processes at a time,
// and returns how long each took. A run that fails is an error.
func (e *engine) together(ctx context.Context, n, atATime int) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	errs := make([]error, n)
	slots := make(chan struct{}, atATime)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			start := time.Now()
			_, errs[i] = e.run(ctx, "run", "--rm", e.image, "true")
			took[i] = time.Since(start)
			<-slots
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

func measureThroughput(ctx context.Context, l *lab, s *sample) error {
	for range max(1, l.runs/7) {
		for _, e := range l.engines {
			start := time.Now()
			if _, err := e.together(ctx, inAll, workers); err != nil {
				return err
			}
			s.add(e, ms(time.Since(start)))
		}
	}
	return nil
}

// measureCreate measures a script that creates containers one by one and
// removes them all.
func measureCreate(ctx context.Context, l *lab, s *sample) error {
	numbers := strings.Repeat("x ", made)
	return l.scripts(ctx, s, func(e *engine, do string) string {
		return fmt.Sprintf("for i in %s; do %s create %s true; done >/dev/null; %s rm $(%s ps -aq) >/dev/null", numbers, do, e.image, do, do)
	})
}

// scripts measures a script of every engine's commands: nacre runs it itself,
// the others' commands need a shell.
func (l *lab) scripts(ctx context.Context, s *sample, script func(e *engine, do string) string) error {
	for range l.fewRuns() {
		for _, e := range l.engines {
			do := strings.Join(e.command, " ")
			shell := []string{"sh", "-c"}
			if e == l.nacre {
				do, shell = "", append(slices.Clone(e.command), "-c")
			}
			cmd := exec.CommandContext(ctx, shell[0], append(shell[1:], script(e, do))...)
			cmd.Env = program.Environ(e.env...)
			start := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", e.name, err, out)
			}
			s.add(e, ms(time.Since(start)))
		}
	}
	return nil
}
