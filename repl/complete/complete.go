// Package complete finds what the word under the cursor can become. The line
// is read with the shell's own parser, also where it is not finished: inside
// $(…), after a pipe, after a leading `docker`.
//
// The way of a word: locate.go says which command it belongs to; tree.go builds
// that command's tree and says what the word is in it: an option, the value of
// one, an argument; values.go and arguments.go know docker's words and objects
// (objects.go keeps those of each engine, and its events keep them true),
// everything else is asked from the command itself through cobra, as any shell
// would ask a program, but in this process. rank.go chooses and orders.
//
// Everything here runs beside the editor. Drawing is the prompt's business.
package complete

import (
	"context"
	"strings"
	"sync"

	"github.com/nacre-sh/nacre/plugins"
)

// Options are what a Completer works with. Dir and Env are asked each time,
// because the shell changes them. What is nil is done without.
type Options struct {
	Shell   plugins.Shell
	Engine  plugins.Engine
	Globals []string
	Dir     func() string
	Env     func() []string
	// Words are further words that run something: functions, aliases.
	Words func() []plugins.Candidate
	// EngineName tells engines from each other, by docker's options before the command.
	EngineName func(globals []string) string
	// Habits are the lines that were typed, oldest first: what is used often and lately comes first.
	Habits func() []string
	// Lua lists the names that Lua scripts may use ("nacre.images").
	Lua func() []plugins.Candidate
	// Auth gives the value of docker's X-Registry-Auth header for a registry, "" without credentials.
	Auth func(registry string) string
	// Servers lists the registries that there are credentials for.
	Servers func() []string
	// Changed is called, from any goroutine, when something is known of an
	// engine that colours or previews may show.
	Changed func()
}

// Completer completes lines of one shell. It is safe for concurrent use.
type Completer struct {
	options  Options
	habits   habits
	programs programs
	remote   remote
	shapes   shapes

	mu      sync.Mutex
	engines map[string]*engine // by name
	closed  bool
}

// New returns a completer.
func New(o Options) *Completer { return &Completer{options: o, engines: map[string]*engine{}} }

// Close ends what follows the engines.
func (c *Completer) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for name, e := range c.engines {
		e.close()
		delete(c.engines, name)
	}
}

// mostEngines is how many engines are followed at a time.
const mostEngines = 4

// engine returns what is known of the engine that these options mean.
func (c *Completer) engine(globals []string) *engine {
	name := strings.Join(globals, "\x00")
	if c.options.EngineName != nil {
		name = c.options.EngineName(globals)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.engines[name]; e != nil {
		return e
	}
	for old, e := range c.engines {
		if len(c.engines) < mostEngines {
			break
		}
		e.close()
		delete(c.engines, old)
	}
	e := newEngine(c.invocation(globals, nil), c.options.Changed)
	if c.closed {
		return e
	}
	c.engines[name] = e
	return e
}

// Complete returns the candidates for the word that ends at cursor (a byte
// offset into line). A candidate replaces line[start:cursor]. The order is the
// one to show.
func (c *Completer) Complete(ctx context.Context, line string, cursor int) (start int, _ []plugins.Candidate, _ plugins.Directive) {
	text := line[:min(max(cursor, 0), len(line))]
	if start, list, ok := c.variables(text); ok {
		return start, c.ranked(list, text[start:], "", false), plugins.Directive{NoFiles: true}
	}
	p := locate(text)
	if p.redirect || strings.HasPrefix(p.word, "~") || (len(p.before) == 0 && strings.Contains(p.word, "/")) {
		return c.files(p, plugins.Directive{Files: true})
	}
	before, host := hostCommand(p.before)
	if host && len(before) > 0 {
		return c.hostArgument(p, before)
	}
	words, globals, bare := c.unwrap(before)
	if len(words) > 0 && words[0] == "help" {
		words, bare = words[1:], false // what follows names a command
	}
	switch {
	case len(words) == 0 && strings.HasPrefix(p.word, "-"):
		return p.start, nil, plugins.Directive{NoFiles: true}
	case len(words) == 0:
		return p.start, c.commands(p.word, bare, host), plugins.Directive{NoFiles: true}
	}
	command, ours := c.options.Shell.Registry().Lookup(words[0])
	if list := c.shellArgument(words[0], p.word, ours); len(list) > 0 {
		return p.start, list, plugins.Directive{NoFiles: true}
	}
	if !ours {
		return c.hostArgument(p, words)
	}
	return c.argument(ctx, p, command, globals, words)
}

// argument completes an option or an argument of a command of ours.
func (c *Completer) argument(ctx context.Context, p place, command *plugins.Command, globals, words []string) (int, []plugins.Candidate, plugins.Directive) {
	t, ok := c.tree(command, globals, words, p.word)
	defer t.inv.End()
	if !ok {
		return p.start, nil, plugins.Directive{NoFiles: true}
	}
	a := c.answer(ctx, &t)
	if len(a.list) == 0 && !a.d.NoFiles {
		a.d.Files = a.d.Files || !a.d.Dirs
	}
	// `--name=value`: only the value is completed; so it is with a part of a value.
	inner := len(p.word) - len(t.word) + a.skip
	kept := p.word[:inner]
	p.word = p.word[inner:]
	if p.raw == kept+p.word {
		p.start, kept = p.start+inner, "" // nothing is quoted: what is before stays
	}
	list := a.list
	if !a.done {
		list = c.ranked(list, p.word, t.path, a.d.KeepOrder)
	}
	for i := range list {
		list[i].Text = quoted(kept + list[i].Text)
	}
	if (a.d.Files || a.d.Dirs) && !a.done {
		_, files, d := c.files(p, a.d)
		named := len(list) > 0
		for _, f := range files {
			if !named || strings.HasPrefix(f.Text, p.word) { // names before files that only have the letters
				list = append(list, plugins.Candidate{Text: quoted(kept) + f.Text})
			}
		}
		a.d = d
	}
	return p.start, list, a.d
}

// answer is what a word can become.
type answer struct {
	list []plugins.Candidate
	d    plugins.Directive
	skip int  // so many bytes of the word stay as they are; candidates follow them
	done bool // chosen and ordered already
}

func (c *Completer) answer(ctx context.Context, t *typing) answer {
	none := plugins.Directive{NoFiles: true}
	switch {
	case t.flag != nil:
		if a, ok := c.value(ctx, t); ok {
			return a
		}
	case t.options && strings.HasPrefix(t.word, "-"):
		return answer{list: t.flags(), d: none}
	case t.cmd.HasAvailableSubCommands() && len(t.args) == 0:
		list := t.subcommands()
		if a, ok := c.positional(ctx, t); ok { // `history search`, `history IMAGE`
			list = append(list, a.list...)
		}
		if len(list) > 0 {
			return answer{list: list, d: none}
		}
	default:
		if a, ok := c.positional(ctx, t); ok {
			return a
		}
	}
	list, d := t.asked(ctx)
	if len(list) == 0 && t.flag == nil && builtIn[firstWord(t.path)] && !takesArguments(t.cmd.Use) {
		d.NoFiles = true
	}
	return answer{list: list, d: d}
}

// takesArguments tells whether a line of use names more than the command and its options.
func takesArguments(use string) bool {
	words := strings.Fields(use)
	return len(words) > 1 && !(len(words) == 2 && words[1] == "[OPTIONS]")
}

// valued are the options of docker and xargs that take the next word.
var valued = map[string]string{
	"docker": " -H --host -c --context --config -l --log-level --tlscacert --tlscert --tlskey ",
	"xargs":  " -n --max-args -I --replace -L --max-lines -P --max-procs -s --max-chars -d --delimiter -a --arg-file ",
}

// unwrap takes off what may stand before a command: docker or nacre with their
// options, xargs with its. It returns the options of docker that it has seen;
// bare is true when nothing was taken off.
func (c *Completer) unwrap(words []string) (rest, globals []string, bare bool) {
	globals, bare = append(globals, c.options.Globals...), true
	for len(words) > 0 {
		kind := words[0]
		switch kind {
		case "nacre":
			kind = "docker"
		case "docker", "xargs":
		default:
			return words, globals, bare
		}
		if bare = false; len(words) == 1 {
			return nil, globals, bare
		}
		words = words[1:]
		for len(words) > 0 && strings.HasPrefix(words[0], "-") {
			n := 1
			if strings.Contains(valued[kind], " "+words[0]+" ") {
				n = min(2, len(words))
			}
			if kind == "docker" {
				globals = append(globals, words[:n]...)
			}
			words = words[n:]
		}
	}
	return nil, globals, bare
}
