package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/docker"
	"github.com/nacre-sh/nacre/repl"
	"github.com/nacre-sh/nacre/repl/complete"
	"github.com/nacre-sh/nacre/repl/highlight"
	"github.com/nacre-sh/nacre/repl/prompt"
	"github.com/nacre-sh/nacre/scripting"
)

// interactive opens the shell at the terminal.
func (p *program) interactive(ctx context.Context, signals <-chan os.Signal) int {
	p.greet()
	kept, err := p.history.open()
	if err != nil {
		fmt.Fprintln(p.err, "nacre: warning:", err)
	}
	lines := &journal{Store: kept}
	above := &later{to: p.out}
	look := newLook(ctx, p)
	defer look.close()
	shell, err := p.shell(signals, func(o *repl.Options) {
		o.Terminal, o.Journal, o.Stops, o.Above = p.in, lines, p.stops, above
		o.Startup, o.Ended, o.Ask, o.Pager = look.startup, look.ended, look.ask, look.pager
	})
	if err != nil {
		fmt.Fprintln(p.err, "nacre:", err)
		return 1
	}
	p.prompting.Store(shell)
	var changed refresher
	completer := p.completer(shell, lines, changed.call)
	defer completer.Close()
	editor, err := p.editor(shell, lines, completer, look)
	if err != nil {
		fmt.Fprintln(p.err, "nacre:", err)
		return 1
	}
	defer editor.Close()
	changed.set(editor.Recolour)
	_, _ = p.engine.settings() // its warnings, now; an error is what the first command says
	above.set(editor.Above())
	look.attach(shell, editor)
	go p.warm(ctx)
	return shell.Loop(ctx, "", lineReader{editor, signals})
}

// later is a writer whose end is known only when the shell that writes exists.
type later struct {
	mu sync.Mutex
	to io.Writer
}

func (l *later) set(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = w
}

// Write implements io.Writer.
func (l *later) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// refresher draws the prompt anew once there is one.
type refresher struct{ do atomic.Pointer[func()] }

func (r *refresher) set(do func()) { r.do.Store(&do) }

func (r *refresher) call() {
	if do := r.do.Load(); do != nil {
		(*do)()
	}
}

// warmShims is how many idle shims the prompt keeps: a start takes one, a second
// may follow before it is replaced.
const warmShims = 2

// warm opens the engine while the user types the first line. What is wrong with
// it the first command that needs it will say.
func (p *program) warm(ctx context.Context) {
	if e, err := p.engine.open(ctx); err == nil {
		e.Warm(warmShims)
	}
}

// completer finds what words can become.
func (p *program) completer(shell *repl.Shell, lines *journal, changed func()) *complete.Completer {
	return complete.New(complete.Options{
		Shell: shell, Engine: p.engine, Globals: p.options.globals, Dir: shell.Dir, Env: shell.Env,
		EngineName: func(globals []string) string { return p.namer.Name(globals, shell.Env()) },
		Habits:     lines.Lines,
		Auth:       func(registry string) string { return docker.RegistryAuth(p.options.globals, shell.Env(), registry) },
		Servers:    func() []string { return docker.Servers(p.options.globals, shell.Env()) },
		Lua:        luaNames,
		Changed:    changed,
		Words:      func() []plugins.Candidate { return p.runnable(shell) },
	})
}

// editor makes the prompt for a shell.
func (p *program) editor(shell *repl.Shell, lines *journal, completer *complete.Completer, look *look) (*prompt.Editor, error) {
	return prompt.New(prompt.Options{
		In: p.in, Out: p.out, Getenv: expandEnv(p.environment),
		Prompt: look.prompt, RightPrompt: look.right, Transient: look.entered,
		Complete: completer.Complete,
		Highlight: func(text string) []highlight.Span {
			p.engine.foresee(text)
			return highlight.Line(text, p.known(shell), completer.Judge)
		},
		Preview:    completer.Preview,
		Help:       func(before string) string { return p.help(shell, complete.Words(before)) },
		Incomplete: repl.Incomplete,
		History:    lines,
		Ghost:      func(text string) string { return lines.Suggest(text, shell.Dir()) },
		Expand:     lines.expand,
		Edit:       func(text string) (string, error) { return p.editOutside(shell, text) },
		Search:     func(query string, f prompt.Filter) []prompt.Found { return p.search(shell, lines.Store, query, f) },
		SearchAll: func(ctx context.Context, query string, f prompt.Filter) []prompt.Found {
			return p.searchAll(ctx, shell, lines.Store, query, f)
		},
		Abbreviation: func(before string) (string, int) {
			word := complete.CommandWord(before)
			if text := p.abbreviations.Expand(word); word != "" && text != "" {
				return text, len(word)
			}
			return "", 0
		},
	})
}

// luaNames are what a piece of Lua on the line may use.
func luaNames() []plugins.Candidate {
	var list []plugins.Candidate
	for _, n := range scripting.Names() {
		list = append(list, plugins.Candidate{Text: n.Name, Description: n.Doc})
	}
	return list
}

// known tells which words run something: nacre's commands, the shell's own, and
// programs of the host.
func (p *program) known(shell *repl.Shell) highlight.Known {
	return func(words []string) bool {
		word := strings.TrimPrefix(words[0], "!")
		if word == words[0] {
			if _, ok := p.registry.Lookup(word); ok || interp.IsBuiltin(word) {
				return true
			}
			if _, ok := shell.Words()[word]; ok || p.abbreviations.Expand(word) != "" {
				return true
			}
		}
		_, err := interp.LookPathDir(shell.Dir(), expand.ListEnviron(shell.Env()...), word)
		return err == nil
	}
}

func expandEnv(env []string) func(string) string {
	list := expand.ListEnviron(env...)
	return func(name string) string { return list.Get(name).String() }
}

// lineReader is the prompt as the shell's loop sees it.
type lineReader struct {
	*prompt.Editor
	signals <-chan os.Signal
}

// ReadLine implements repl.Editor.
func (l lineReader) ReadLine(ctx context.Context) (string, error) {
	line, err := l.Editor.ReadLine(ctx)
	if !errors.Is(err, prompt.ErrInterrupted) {
		return line, err
	}
	if l.Plain() {
		// On a dumb terminal Ctrl-C is a signal, and this one has had its effect: the next command is not meant.
		select {
		case <-l.signals:
		case <-time.After(20 * time.Millisecond):
		}
	}
	return "", repl.ErrInterrupted
}
