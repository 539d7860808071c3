// Package complete finds what the word under the cursor can become. The line
// is read with the shell's own parser, also where it is not finished: inside
// $(…), after a pipe, after a leading `docker`. Commands come from the
// registry; their flags and arguments from the command itself, asked through
// cobra as any shell would ask a program, but in this process; files from the
// host. Drawing is the prompt's business.
package complete

import (
	"context"
	"strings"

	"github.com/nacre-sh/nacre/plugins"
)

// Options are what a Completer works with. Dir and Env are asked each time,
// because the shell changes them.
type Options struct {
	Shell   plugins.Shell
	Engine  plugins.Engine
	Globals []string
	Dir     func() string
	Env     func() []string
}

// Completer completes lines of one shell. It is safe for concurrent use.
type Completer struct{ options Options }

// New returns a completer.
func New(o Options) *Completer { return &Completer{options: o} }

// Complete returns the candidates for the word that ends at cursor (a byte
// offset into line). A candidate replaces line[start:cursor]. The order is the
// one to show.
func (c *Completer) Complete(ctx context.Context, line string, cursor int) (start int, _ []plugins.Candidate, _ plugins.Directive) {
	p := locate(line[:min(max(cursor, 0), len(line))])
	if p.redirect || strings.HasPrefix(p.word, "~") || (len(p.before) == 0 && strings.Contains(p.word, "/")) {
		return c.files(p, plugins.Directive{Files: true})
	}
	words, globals, bare := c.unwrap(p.before)
	switch {
	case len(words) == 0 && strings.HasPrefix(p.word, "-"):
		return p.start, nil, plugins.Directive{NoFiles: true}
	case len(words) == 0:
		return p.start, c.commands(p.word, bare), plugins.Directive{NoFiles: true}
	}
	command, ours := c.options.Shell.Registry().Lookup(words[0])
	if !ours || strings.HasPrefix(p.before[0], "!") {
		return c.files(p, plugins.Directive{Files: true})
	}
	list, directive := c.ask(ctx, command, globals, words, p.word)
	if len(list) == 0 && !directive.NoFiles {
		directive.Files = directive.Files || !directive.Dirs
	}
	if directive.Files || directive.Dirs {
		return c.files(p, directive)
	}
	if i := strings.IndexByte(p.word, '='); i >= 0 && strings.HasPrefix(p.word, "-") { // only the value is completed
		p.start, p.word = p.start+i+1, p.word[i+1:]
	}
	return p.start, matching(list, p.word), directive
}

// matching keeps the candidates that begin with the word.
func matching(list []plugins.Candidate, word string) []plugins.Candidate {
	var kept []plugins.Candidate
	for _, c := range list {
		if strings.HasPrefix(c.Text, word) {
			kept = append(kept, c)
		}
	}
	return kept
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
