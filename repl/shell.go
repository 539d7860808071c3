// Package repl reads shell text and runs it. The language is mvdan.cc/sh's:
// variables, pipes, loops, $(…), functions. Words that are nacre commands run
// in this process, through the door in package plugins; other words run the
// host's programs. Lines come from a string, a file, standard input, or an
// Editor at a terminal.
//
// A typed line goes: read (loop.go, source.go) → parsed and made ours where a
// shell keyword hides a container command (rewrite.go) → run by the interpreter
// → each command dispatched (dispatch.go) → a nacre command, or a program of
// the host in a process group of its own (program.go, job.go, terminal.go).
package repl

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"

	"github.com/nacre-sh/nacre/plugins"
)

// Options are what a shell is made of. Nothing is taken from the process.
type Options struct {
	Registry *plugins.Registry
	Engine   plugins.Engine
	Globals  []string // docker's options before the command (-H, --context, …) that hold for every command
	In       io.Reader
	Out, Err io.Writer
	Env      []string
	Dir      string
	// Chdir makes the process follow the shell's working directory, because
	// docker/cli resolves relative paths against the process's. May be nil.
	Chdir func(dir string) error
	// Signals delivers what ends the line that runs: Ctrl-C, and SIGTERM and SIGHUP, which cancel the shell's context too. May be nil.
	Signals <-chan os.Signal
	// Journal keeps the lines of a session; nil where nobody does.
	Journal Journal
	// Terminal is the controlling terminal of an interactive shell; nil for any other.
	Terminal *os.File
	// Startup is shell text that a session at a terminal runs first, and again after `reload`: aliases, variables. May be nil.
	Startup func() string
	// Ended is told how a line of a session, or a job behind the prompt, ended. May be nil.
	Ended func(Ended)
	// Ask offers to mend lines that have failed; nil: nothing is offered.
	Ask Ask
	// Stops delivers Ctrl-Z while the shell itself has the terminal. May be nil.
	Stops <-chan os.Signal
	// Pager names the command that shows long output of a line that was typed, "" for none; it is given the line's environment. May be nil.
	Pager func(env []string) string
	// Above shows whole lines above the prompt, or where the cursor is when nothing is being typed; what jobs print behind
	// the prompt goes there. Nil: Out.
	Above io.Writer
}

// Journal keeps the lines that are typed.
type Journal interface {
	// Began is told of a line before it runs, and the folder that it runs in; what
	// it returns is called with the line's exit status. An error costs a warning.
	Began(line, dir string) (ended func(status int) error, _ error)
}

// Ended is how a line ended.
type Ended struct {
	Text     string
	Status   int
	Duration time.Duration
	Job      bool // it ran behind the prompt
}

// Shell runs lines. It is safe for concurrent use: every Source, Exec and run
// has an interpreter of its own.
type Shell struct {
	options  Options
	terminal *terminal // nil without one
	jobs     *jobTable // nil without a terminal

	reloading atomic.Bool // `reload` was typed

	mu    sync.Mutex // guards what a session's lines have changed last
	words map[string]string
	dir   string
	env   []string
}

var _ plugins.Shell = (*Shell)(nil)

// New returns a shell.
func New(o Options) (*Shell, error) {
	s := &Shell{options: o, dir: o.Dir, env: o.Env}
	if o.Terminal != nil {
		t, err := newTerminal(o.Terminal)
		if err != nil {
			return nil, fmt.Errorf("prepare the terminal: %w", err)
		}
		s.terminal, s.jobs = t, &jobTable{}
	}
	if s.options.Above == nil {
		s.options.Above = s.options.Out
	}
	return s, nil
}

// Registry implements plugins.Shell.
func (s *Shell) Registry() *plugins.Registry { return s.options.Registry }

// Exec implements plugins.Shell. Words of the invocation are not expanded.
func (s *Shell) Exec(ctx context.Context, inv *plugins.Invocation) int {
	inv.Shell = s
	if inv.Engine == nil {
		inv.Engine = s.options.Engine
	}
	if c, ok := s.options.Registry.Lookup(inv.Args[0]); ok {
		s.follow(inv.Dir)
		return plugins.Execute(ctx, c, inv)
	}
	return s.runProgram(ctx, jobOf(ctx), program{
		args: inv.Args, env: inv.Env, dir: inv.Dir, in: inv.In, out: inv.Out, err: inv.Err,
	})
}

// Source implements plugins.Shell: it runs text as a script of its own, whose
// variables and working directory do not outlive it.
func (s *Shell) Source(ctx context.Context, inv *plugins.Invocation, name string, text io.Reader) int {
	o := s.options
	o.In, o.Out, o.Err, o.Env, o.Dir, o.Globals = inv.In, inv.Out, inv.Err, inv.Env, inv.Dir, inv.Globals
	o.Pager = nil // a script's output is no reading
	if inv.Engine != nil {
		o.Engine = inv.Engine
	}
	child := &Shell{options: o, terminal: s.terminal, jobs: s.jobs}
	r, err := child.newRunner(name, inv.Args[min(1, len(inv.Args)):])
	if err != nil {
		fmt.Fprintln(inv.Err, "nacre:", err)
		return 1
	}
	return child.runText(ctx, r, name, text)
}

// Once runs one command whose words need no shell and returns its exit status.
func (s *Shell) Once(ctx context.Context, words []string) int {
	status, _ := s.attended(ctx, func(ctx context.Context) int { return s.Exec(ctx, s.invocation(words)) })
	return status
}

// invocation is what a command of this shell starts from.
func (s *Shell) invocation(args []string) *plugins.Invocation {
	o := s.options
	return &plugins.Invocation{
		Args: args, In: o.In, Out: o.Out, Err: o.Err, Dir: o.Dir, Env: o.Env, Engine: o.Engine,
		Globals: slices.Clone(o.Globals), Interactive: s.terminal != nil, Shell: s,
	}
}

// newRunner makes an interpreter with the shell's streams, environment and folder.
func (s *Shell) newRunner(name string, params []string) (*interp.Runner, error) {
	r, err := interp.New(
		interp.StdIO(s.options.In, s.options.Out, s.options.Err),
		interp.Env(expand.ListEnviron(s.options.Env...)),
		interp.Dir(s.options.Dir),
		interp.Interactive(s.terminal != nil),
		interp.Params(append([]string{"--"}, params...)...),
		interp.CallHandler(s.call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec }),
	)
	if err != nil {
		return nil, fmt.Errorf("start the shell for %s: %w", name, err)
	}
	return r, nil
}

// Dir and Env are the session's working directory and exported variables after
// its last line: completion works with them.
func (s *Shell) Dir() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir
}

// Env: see Dir.
func (s *Shell) Env() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.env
}

// Words are the session's functions and aliases, with what they are.
func (s *Shell) Words() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.words // replaced as a whole, never changed
}

// noteAlias keeps what `alias NAME=text` and `unalias NAME` say: the interpreter does not tell.
func (s *Shell) noteAlias(args []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	words := maps.Clone(s.words)
	if words == nil {
		words = map[string]string{}
	}
	for _, a := range args[1:] {
		name, text, defined := strings.Cut(a, "=")
		switch {
		case args[0] == "alias" && defined:
			words[name] = aliasMark + text
		case args[0] == "unalias":
			delete(words, name)
		}
	}
	s.words = words
}

// aliasMark begins what Words tells of an alias.
const aliasMark = "alias: "

// remember keeps what completion asks for.
func (s *Shell) remember(r *interp.Runner) {
	var env []string
	for name, v := range r.Vars {
		if v.Exported && v.IsSet() && v.Kind == expand.String {
			env = append(env, name+"="+v.Str)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir, s.env = r.Dir, env
	words := map[string]string{}
	for name := range r.Funcs {
		words[name] = "function"
	}
	for name, about := range s.words {
		if strings.HasPrefix(about, aliasMark) {
			words[name] = about
		}
	}
	s.words = words
}

// follow moves the process to the shell's working directory.
func (s *Shell) follow(dir string) {
	if s.options.Chdir != nil && dir != "" {
		if err := s.options.Chdir(dir); err != nil {
			fmt.Fprintln(s.options.Err, "nacre:", err)
		}
	}
}
