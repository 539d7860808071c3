package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/term"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/boot"
	"github.com/nacre-sh/nacre/plugins/builtin/docker"
	"github.com/nacre-sh/nacre/plugins/builtin/doctor"
	"github.com/nacre-sh/nacre/plugins/builtin/lua"
	"github.com/nacre-sh/nacre/plugins/builtin/mirror"
	"github.com/nacre-sh/nacre/plugins/builtin/plugin"
	"github.com/nacre-sh/nacre/plugins/builtin/registry"
	"github.com/nacre-sh/nacre/plugins/builtin/trash"
	"github.com/nacre-sh/nacre/plugins/builtin/xargs"
	"github.com/nacre-sh/nacre/plugins/discover"
	"github.com/nacre-sh/nacre/repl"
	"github.com/nacre-sh/nacre/repl/abbr"
	"github.com/nacre-sh/nacre/scripts"
)

// program is nacre with its parts put together.
type program struct {
	options       *options
	registry      *plugins.Registry
	engine        *lazyEngine
	history       *lazyHistory
	abbreviations *abbr.File
	namer         docker.EngineNamer
	prompting     atomic.Pointer[repl.Shell] // the shell at the terminal, if there is one
	in            *os.File
	out, err      *os.File
	environment   []string
	dir           string
	stops         <-chan os.Signal // Ctrl-Z
}

// assemble makes the parts. A plugin that fails costs a warning, never the shell.
func assemble(ctx context.Context, o *options, in, out, errs *os.File) *program {
	dir := workingDir(errs)
	p := &program{
		options: o, registry: plugins.NewRegistry(), engine: newLazyEngine(o, errs),
		in: in, out: out, err: errs, environment: os.Environ(), dir: dir,
	}
	// The shell's environment is the one that counts; docker/cli would go on reading the process's.
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT"} {
		os.Unsetenv(name)
	}
	for _, plugin := range p.builtins() {
		if err := p.registry.Load(ctx, plugin); err != nil {
			fmt.Fprintln(errs, "nacre: warning:", firstLine(err))
		}
	}
	p.history = &lazyHistory{environment: p.environment, engine: p.engineName}
	p.wrapHistory()
	p.abbreviations = &abbr.File{Path: abbr.Path(expandEnv(p.environment))}
	if err := p.registry.Add(p.abbreviations.Command()); err != nil {
		fmt.Fprintln(errs, "nacre: warning:", firstLine(err))
	}
	for _, err := range p.discover(ctx) {
		fmt.Fprintln(errs, "nacre: warning:", firstLine(err))
	}
	return p
}

// workingDir is where the shell begins: here, or at the root when the folder is
// gone or may not be entered, as other shells do.
func workingDir(errs io.Writer) string {
	dir, err := os.Getwd()
	if err == nil {
		if _, err = os.Stat(dir); err == nil {
			return dir
		}
	}
	fmt.Fprintln(errs, "nacre: warning: starting in /:", err)
	return "/"
}

// builtins is the list of what comes with nacre, in the order of loading: who
// comes first keeps a name.
func (p *program) builtins() []plugins.Plugin {
	return []plugins.Plugin{
		docker.New(docker.Options{Version: version, Flags: p.options.flags, Except: []string{"bake", "plugin"}}),
		xargs.Plugin{},
		mirror.Plugin{},
		registry.Plugin{},
		boot.Plugin{Self: os.Executable},
		trash.Plugin{},
		doctor.Plugin{},
		plugin.Plugin{},
		lua.New(scripts.Files(), discover.ConfigDir(p.environment)),
		servePlugin{p.engine},
	}
}

// discover loads the user's plugins: Lua files and executables.
func (p *program) discover(ctx context.Context) []error {
	self, err := os.Executable()
	if err != nil {
		return []error{fmt.Errorf("plugins: find nacre's own file: %w", err)}
	}
	return discover.Load(ctx, p.registry, discover.Options{Env: p.environment, Self: self, Stderr: p.err})
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (p *program) close() {
	for _, plugin := range p.registry.Plugins() {
		p.registry.Unload(plugin.Name())
	}
	if err := p.history.close(); err != nil {
		fmt.Fprintln(p.err, "nacre: warning:", err)
	}
	p.engine.close()
}

// start does what the options ask for and returns the exit status.
func (p *program) start(ctx context.Context, signals <-chan os.Signal) int {
	o := p.options
	if o.version {
		return p.once(ctx, signals, []string{"nacre", "--version"})
	}
	if o.help {
		return p.once(ctx, signals, append([]string{"nacre", "--help"}, o.words...))
	}
	switch {
	case o.flags.Changed("command"):
		name, params := "nacre", o.words
		if len(params) > 0 {
			name, params = params[0], params[1:]
		}
		return p.script(ctx, signals, name, params, strings.NewReader(o.text))
	case o.flags.Changed("eval"):
		return p.once(ctx, signals, append([]string{"lua", "-e", o.lua}, o.words...))
	case len(o.words) > 0:
		return p.words(ctx, signals)
	case term.IsTerminal(int(p.in.Fd())) && term.IsTerminal(int(p.out.Fd())):
		return p.interactive(ctx, signals)
	}
	shell, err := p.shell(signals, nil)
	if err != nil {
		fmt.Fprintln(p.err, "nacre:", err)
		return 1
	}
	return shell.Loop(ctx, "stdin", repl.NewLines(p.in))
}

// words runs a command, or else a file: a shell script, or Lua by its ending.
func (p *program) words(ctx context.Context, signals <-chan os.Signal) int {
	words := p.options.words
	if _, command := p.registry.Lookup(words[0]); command {
		return p.once(ctx, signals, words)
	}
	if filepath.Ext(words[0]) == ".lua" { // also one that comes with nacre
		return p.once(ctx, signals, append([]string{"lua"}, words...))
	}
	text, err := os.ReadFile(words[0])
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.Contains(words[0], "/") && filepath.Ext(words[0]) == "":
		fmt.Fprintln(p.err, docker.UnknownCommand(p.registry, words[0]))
		return 1
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(p.err, "nacre: %s: no such file\n", words[0])
		return 127
	case err != nil:
		fmt.Fprintln(p.err, "nacre:", err)
		return 126
	}
	return p.script(ctx, signals, words[0], words[1:], bytes.NewReader(text))
}

// once runs one command.
func (p *program) once(ctx context.Context, signals <-chan os.Signal, words []string) int {
	shell, err := p.shell(signals, nil)
	if err != nil {
		fmt.Fprintln(p.err, "nacre:", err)
		return 1
	}
	return shell.Once(ctx, words)
}

func (p *program) script(ctx context.Context, signals <-chan os.Signal, name string, params []string, text io.Reader) int {
	shell, err := p.shell(signals, nil)
	if err != nil {
		fmt.Fprintln(p.err, "nacre:", err)
		return 1
	}
	return shell.RunText(ctx, name, params, text)
}

func (p *program) shell(signals <-chan os.Signal, more func(*repl.Options)) (*repl.Shell, error) {
	o := repl.Options{
		Registry: p.registry, Engine: p.engine, Globals: p.options.globals,
		In: p.in, Out: p.out, Err: p.err, Env: p.environment, Dir: p.dir,
		Chdir: follow(p.dir), Signals: signals,
	}
	if more != nil {
		more(&o)
	}
	return repl.New(o)
}

// follow returns a chdir that does nothing while the folder stays the same.
func follow(dir string) func(string) error {
	var mu sync.Mutex
	return func(to string) error {
		mu.Lock()
		defer mu.Unlock()
		if to == dir {
			return nil
		}
		if err := os.Chdir(to); err != nil {
			return err
		}
		dir = to
		return nil
	}
}
