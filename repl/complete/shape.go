package complete

import (
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins"
)

// shape is what is lasting about a command: its options. Colours and previews
// ask at every key; building a command's tree each time would take longer than
// drawing the line.
type shape struct {
	path         string          // as in "container rm", brought to docker's short form
	words        int             // that name it
	flags        map[string]bool // "--name" and "-n": whether a value follows
	interspersed bool
	groups       bool // it only groups others
	unknown      bool // its options are not known here
}

// shapes remembers the commands that were met.
type shapes struct {
	mu    sync.Mutex
	known map[string]*shape
}

// shape finds the command that words begin; nil if it is none of ours.
func (c *Completer) shape(words []string) *shape {
	if len(words) == 0 {
		return nil
	}
	command, ours := c.options.Shell.Registry().Lookup(words[0])
	if !ours {
		return nil
	}
	c.shapes.mu.Lock()
	defer c.shapes.mu.Unlock()
	s := c.shapes.of(c, command, words[:1])
	if s != nil && s.groups && len(words) > 1 && words[1] != "" {
		return c.shapes.of(c, command, words[:2])
	}
	return s
}

func (s *shapes) of(c *Completer, command *plugins.Command, words []string) *shape {
	key := strings.Join(words, " ")
	if known, ok := s.known[key]; ok {
		return known
	}
	if s.known == nil {
		s.known = map[string]*shape{}
	}
	t, ok := c.tree(command, c.options.Globals, words, "")
	defer t.inv.End()
	if !ok {
		s.known[key] = nil
		return nil
	}
	made := &shape{path: short(t.path), words: len(words), flags: map[string]bool{}, groups: t.cmd.HasAvailableSubCommands(), unknown: t.cmd.DisableFlagParsing}
	made.interspersed = !made.unknown && t.cmd.Flags().Parse([]string{"x", "--no-such-flag"}) != nil
	t.cmd.Flags().VisitAll(func(f *pflag.Flag) {
		made.flags["--"+f.Name] = f.NoOptDefVal == ""
		if f.Shorthand != "" {
			made.flags["-"+f.Shorthand] = f.NoOptDefVal == ""
		}
	})
	s.known[key] = made
	return made
}

// part is a word behind a command; at is its index among all words.
type part struct {
	at    int
	flag  bool
	wrong bool // an option that the command does not have
	text  string
}

// parts sorts the words behind a command into options and arguments; values of
// options are neither. A word that is not literal is "".
func (s *shape) parts(words []string) []part {
	var list []part
	options := true
	for i := s.words; i < len(words); i++ {
		w := words[i]
		switch {
		case options && w == "--":
			options = false
		case w == "-": // an option that is being begun, or standard input
		case options && len(w) > 1 && w[0] == '-':
			value, ok := s.option(w)
			list = append(list, part{at: i, flag: true, wrong: !ok, text: w})
			if value {
				i++
			}
		default:
			list = append(list, part{at: i, text: w})
			options = options && s.interspersed
		}
	}
	return list
}

// option tells whether an option's value is the next word, and whether the
// command knows it.
func (s *shape) option(w string) (value, known bool) {
	if s.unknown {
		return false, true
	}
	if strings.HasPrefix(w, "--") {
		name, _, has := strings.Cut(w, "=")
		value, known = s.flags[name]
		return value && !has, known || name == "--help"
	}
	for i := 1; i < len(w); i++ {
		value, known = s.flags["-"+w[i:i+1]]
		switch {
		case !known:
			return false, w == "-h"
		case value:
			return i == len(w)-1, true // what follows the letter is its value
		}
	}
	return false, true
}

// given tells whether one of some options was given.
func given(list []part, names ...string) bool {
	for _, p := range list {
		if !p.flag {
			continue
		}
		for _, n := range names {
			name, _, _ := strings.Cut(p.text, "=")
			long := strings.HasPrefix(p.text, "--")
			if long && name == n || !long && len(n) == 2 && strings.Contains(p.text, n[1:]) {
				return true
			}
		}
	}
	return false
}
