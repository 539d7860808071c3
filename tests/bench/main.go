// Command bench measures nacre beside docker and podman, in one run, and
// prints a Markdown table with the ratios and the budgets, line by line as
// they are known:
//
//	go run ./tests/bench -nacre bin/nacre [-runs N] [-mib N] [-only NAME,NAME…]
//	go run ./tests/bench -list
//
// The engines take turns, so that whatever else happens on the machine hits
// them alike; numbers are medians. What is not installed is left out, with a
// line saying so.
//
// Everything happens in namespaces of its own (network, mounts, processes):
// one registry, one dockerd, podman and nacre, each with roots of its own on
// the same file system and run roots on the same tmpfs. When the program
// ends, however it ends, so does everything in there.
//
// # Adding a line to the table
//
// A line is a [row]: a name for -only, the words of the table, the unit, the
// budget, and a function that measures it. Put the row into the list of a file
// of its theme (runs.go, lists.go …; a new file adds its list to allRows in
// rows.go) in the place where the table shall show it. For a single command of
// each engine nothing else is needed:
//
//	{"info", "`info` one-shot", "ms", "≤ docker's", noSlower, command("info")},
//
// Anything else is a function func(ctx, *lab, *sample) error. It goes round
// l.engines (nacre first; docker and podman where they run) l.runs times and
// calls s.add(engine, value) for each measurement; [engine.timed] runs one
// command and adds its milliseconds. e.image is the busybox that each engine
// has; l.nacre.session gives a nacre at a terminal. What one engine cannot do
// is skipped for it: the table shows a dash. What several rows need first (a
// hundred containers, say) is made once, by [lab.once]. A row leaves behind
// what it found: rows that come later measure with what is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	nacre string
	runs  int
	list  bool
	mib   int // of the large image, unpacked
	rows  []row
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	var dir string // known inside: where everything happens
	switch {
	case len(args) > 1 && args[0] == initArgument:
		return runInit(args[1], args[2:])
	case len(args) > 1 && args[0] == workerArgument:
		dir, args = args[1], args[2:]
	}
	opts, err := parse(args, log)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case opts.list:
		return list(opts.rows, out)
	case dir == "":
		if err := opts.fetch(); err != nil {
			return err
		}
		return enter(ctx, args)
	}
	return bench(ctx, opts, dir, out, log)
}

func parse(args []string, log io.Writer) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(log)
	f.StringVar(&o.nacre, "nacre", "bin/nacre", "the program to measure; nacre-shim lies beside it")
	f.IntVar(&o.runs, "runs", 20, "how often each thing is measured")
	f.IntVar(&o.mib, "mib", 1024, "size of the large image, unpacked, in MiB")
	f.StringVar(&only, "only", "", "measure only these rows: names as -list shows them, with commas between")
	f.BoolVar(&o.list, "list", false, "show the names of the rows and measure nothing")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.runs < 1 || o.mib < largeLayers {
		return o, errors.New("usage: bench [-nacre FILE] [-runs N] [-mib N] [-only NAME,NAME…] | bench -list")
	}
	var err error
	if o.rows, err = choose(allRows(), only); err != nil {
		return o, err
	}
	o.nacre, err = filepath.Abs(o.nacre)
	return o, err
}

// choose returns the named rows in the table's order, all of them for "".
func choose(rows []row, only string) (chosen []row, err error) {
	if only == "" {
		return rows, nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	for _, r := range rows {
		if wanted[r.name] {
			chosen = append(chosen, r)
			delete(wanted, r.name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("no row is named %q: -list shows the names", name)
	}
	return chosen, nil
}
