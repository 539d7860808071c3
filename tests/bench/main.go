// Command bench measures nacre beside docker and podman, in one run, and
// prints a Markdown table with the ratios and the budgets:
//
//	go run ./tests/bench -nacre bin/nacre [-runs N] [-only REGEXP]
//
// The engines take turns, so that whatever else happens on the machine hits
// them alike; numbers are medians. What is not installed is left out, with a
// line saying so.
//
// Everything happens in namespaces of its own (network, mounts, processes):
// one registry, one dockerd, podman and nacre, each with roots of its own on
// the same file system and run roots on the same tmpfs. When the program
// ends, however it ends, so does everything in there.
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
	"regexp"
	"syscall"
)

// options are the command line.
type options struct {
	nacre string
	runs  int
	only  *regexp.Regexp
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
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if dir == "" {
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
	f.StringVar(&only, "only", "", "regular expression: measure only the lines of the table that match")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.runs < 1 {
		return o, errors.New("usage: bench [-nacre FILE] [-runs N] [-only REGEXP]")
	}
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return o, err
	}
	o.nacre, err = filepath.Abs(o.nacre)
	return o, err
}
