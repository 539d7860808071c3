package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is a line of the table.
type row struct {
	name    string            // what -only calls it
	line    string            // what the table says
	unit    string            // of the values: "ms", "MiB", "×", or none
	budget  string            // in words; empty: none
	met     func(values) bool // nil: no budget
	measure func(context.Context, *lab, *sample) error
}

// allRows are the lines in the table's order. Rows that leave containers or
// names behind (by once) come after those that measure an empty store.
func allRows() []row {
	return slices.Concat(runRows, networkRows, iperfRows, loadRows, idleRows, listRows, imageRows, removalRows, streamRows, crowdRows, promptRows)
}

// list prints the names of the rows.
func list(rows []row, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.name, r.line, r.budget)
	}
	return w.Flush()
}

// values are the medians of one line; 0 for an engine that is not there.
type values struct{ nacre, docker, podman float64 }

// The usual budgets; an engine that was not measured breaks none.

func dockerTimes(factor float64) func(values) bool {
	return func(v values) bool { return v.docker == 0 || v.docker >= factor*v.nacre }
}

func bothTimes(factor float64) func(values) bool {
	return func(v values) bool { return dockerTimes(factor)(v) && (v.podman == 0 || v.podman >= factor*v.nacre) }
}

func noSlower(v values) bool { return dockerTimes(1)(v) }

func atMost(limit float64) func(values) bool {
	return func(v values) bool { return v.nacre <= limit }
}

// sample is what was measured for one row.
type sample struct {
	of    map[string][]float64 // by the engine's name
	notes []string             // lines under the table
}

func (s *sample) add(e *engine, value float64) {
	if s.of == nil {
		s.of = map[string][]float64{}
	}
	s.of[e.name] = append(s.of[e.name], value)
}

func (s *sample) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *sample) medians() values {
	return values{median(s.of["nacre"]), median(s.of["docker"]), median(s.of["podman"])}
}

func median(all []float64) float64 {
	v := slices.Sorted(slices.Values(all))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// command measures one command, which is the same for all engines.
func command(args ...string) func(context.Context, *lab, *sample) error {
	return inTurn(func(*engine) []string { return args })
}

// inTurn measures one command on all engines, one after the other.
func inTurn(args func(*engine) []string) func(context.Context, *lab, *sample) error {
	return func(ctx context.Context, l *lab, s *sample) error {
		for range l.runs {
			for _, e := range l.engines {
				if err := e.timed(ctx, s, args(e)...); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// timed measures one process of an engine, from its start to its end.
func (e *engine) timed(ctx context.Context, s *sample, args ...string) error {
	start := time.Now()
	if _, err := e.run(ctx, args...); err != nil {
		return err
	}
	s.add(e, ms(time.Since(start)))
	return nil
}
