// Package xargs is the command of that name for a shell whose commands are no
// programs: `ps -aq | xargs docker rm -f` runs rm in this process. It follows
// GNU xargs; words that are no nacre command run the host's programs.
package xargs

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins"
)

// Plugin provides xargs.
type Plugin struct{}

var _ plugins.Plugin = Plugin{}

func (Plugin) Name() string { return "xargs" }
func (Plugin) Close() error { return nil }

// Register implements plugins.Plugin.
func (Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "xargs", Short: "Run a command with arguments read from the input", Group: "Shell Commands", Build: build,
	})
}

// Limits and exit statuses of GNU xargs.
const (
	defaultChars   = 128 << 10
	statusFailed   = 123 // a run ended with 1–125
	statusAborted  = 124 // a run ended with 255: stop at once
	statusNotFound = 127
)

type options struct {
	perRun, perLine, procs, chars int
	replace, delimiter, file      string
	null, noRunIfEmpty, trace     bool
	exitTooBig                    bool
}

func build(inv *plugins.Invocation) (*cobra.Command, error) {
	o := &options{}
	root := plugins.NewRoot()
	cmd := &cobra.Command{
		Use:                   "xargs [OPTIONS] [COMMAND [ARG...]]",
		Short:                 "Run a command with arguments read from the input",
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, words []string) error { return o.run(cmd, inv, words) },
	}
	o.flags(cmd.Flags())
	root.AddCommand(cmd)
	return root, nil
}

func (o *options) flags(f *pflag.FlagSet) {
	f.SetInterspersed(false)
	f.BoolVarP(&o.null, "null", "0", false, "Items end with a null byte, and quotes mean nothing")
	f.StringVarP(&o.file, "arg-file", "a", "", "Read items from a file")
	f.StringVarP(&o.delimiter, "delimiter", "d", "", "Items end with this character, and quotes mean nothing")
	f.StringVarP(&o.replace, "replace", "I", "", "Replace this text in the arguments by one line of input per run")
	f.IntVarP(&o.perLine, "max-lines", "L", 0, "At most this many lines of input per run")
	f.IntVarP(&o.perRun, "max-args", "n", 0, "At most this many arguments per run")
	f.IntVarP(&o.procs, "max-procs", "P", 1, "Up to this many runs at a time; 0: as many as possible")
	f.BoolVarP(&o.noRunIfEmpty, "no-run-if-empty", "r", false, "Without items, do not run the command")
	f.IntVarP(&o.chars, "max-chars", "s", defaultChars, "At most this many characters per run")
	f.BoolVarP(&o.trace, "verbose", "t", false, "Print each command line before it runs")
	f.BoolVarP(&o.exitTooBig, "exit", "x", false, "Stop when a line is longer than -s allows")
}

// run reads the items, cuts them into command lines and runs those.
func (o *options) run(cmd *cobra.Command, inv *plugins.Invocation, words []string) error {
	if len(words) == 0 {
		words = []string{"echo"}
	}
	in, err := o.input(inv)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("xargs: read the items: %w", err)
	}
	groups, err := o.items(string(text))
	if err != nil {
		return err
	}
	lines, err := o.lines(words, groups)
	if err != nil {
		return err
	}
	if status := o.execute(cmd.Context(), inv, lines); status != 0 {
		return &plugins.StatusError{Status: status}
	}
	return nil
}

func (o *options) input(inv *plugins.Invocation) (io.Reader, error) {
	if o.file != "" {
		file := o.file
		if !strings.HasPrefix(file, "/") {
			file = inv.Dir + "/" + file
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("xargs: %w", err)
		}
		inv.Defer(func() { f.Close() })
		return f, nil
	}
	if inv.In == nil {
		return strings.NewReader(""), nil
	}
	return inv.In, nil
}

// execute runs the command lines, at most -P at a time, and returns GNU's status.
func (o *options) execute(ctx context.Context, inv *plugins.Invocation, lines [][]string) int {
	limit := o.procs
	if limit <= 0 || limit > len(lines) {
		limit = max(1, len(lines))
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		worst  int
		tokens = make(chan struct{}, limit)
	)
	stop := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return worst >= statusAborted || ctx.Err() != nil
	}
	for _, line := range lines {
		tokens <- struct{}{}
		if stop() {
			break
		}
		if o.trace {
			fmt.Fprintln(inv.Err, strings.Join(line, " "))
		}
		wg.Go(func() {
			defer func() { <-tokens }()
			child := plugins.Invocation{
				Args: line, Out: inv.Out, Err: inv.Err, Dir: inv.Dir, Env: inv.Env,
				Engine: inv.Engine, Globals: inv.Globals, Shell: inv.Shell,
			}
			status := gnuStatus(inv.Shell.Exec(ctx, &child))
			mu.Lock()
			worst = max(worst, status)
			mu.Unlock()
		})
	}
	wg.Wait()
	return worst
}

func gnuStatus(status int) int {
	switch {
	case status == 0:
		return 0
	case status == 255:
		return statusAborted
	case status == 126 || status == statusNotFound:
		return status
	case status > 128:
		return 125 // killed by a signal
	}
	return statusFailed
}
