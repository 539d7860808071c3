package complete

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nacre-sh/nacre/plugins"
)

// commands are the words that can begin a command: nacre's, functions, aliases
// and the shell's own; at a bare prompt, when none of these begins so, the
// host's programs; and last, nacre's commands that have the letters somewhere.
func (c *Completer) commands(word string, bare, host bool) []plugins.Candidate {
	name := strings.TrimPrefix(word, "!")
	var list []plugins.Candidate
	if name == word && !host {
		list = c.commandNames()
		if bare && c.options.Words != nil {
			list = append(list, c.options.Words()...)
		}
		if kept := c.ranked(list, name, "", false); word == "" || len(kept) > 0 && strings.HasPrefix(kept[0].Text, name) || !bare {
			return kept
		}
	}
	if name == "" {
		return nil
	}
	var found []plugins.Candidate
	for _, p := range c.programs.list(lookup(c.options.Env(), "PATH"), name) {
		found = append(found, plugins.Candidate{Text: strings.TrimSuffix(word, name) + p})
	}
	if len(found) > 0 {
		return found
	}
	return c.ranked(list, name, "", false)
}

// commandNames are nacre's commands.
func (c *Completer) commandNames() (list []plugins.Candidate) {
	for _, command := range c.options.Shell.Registry().Commands() {
		if !command.Hidden {
			list = append(list, plugins.Candidate{Text: command.Name, Description: command.Short})
		}
	}
	return list
}

// servers are the registries that there are credentials for.
func (c *Completer) servers() (list []plugins.Candidate) {
	if c.options.Servers == nil {
		return nil
	}
	for _, s := range c.options.Servers() {
		list = append(list, plugins.Candidate{Text: s})
	}
	return list
}

// files completes a path of the host.
func (c *Completer) files(p place, d plugins.Directive) (int, []plugins.Candidate, plugins.Directive) {
	typed, prefix := filepath.Split(p.word)
	dir := typed
	if home := lookup(c.options.Env(), "HOME"); home != "" && strings.HasPrefix(dir, "~/") {
		dir = home + dir[1:]
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(c.options.Dir(), dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return p.start, nil, d
	}
	var list []plugins.Candidate
	for _, name := range fitting(entries, prefix) {
		info, err := os.Stat(filepath.Join(dir, name))
		folder := err == nil && info.IsDir()
		if !folder && (d.Dirs || !wanted(name, d.Exts)) {
			continue
		}
		text := escape(typed + name)
		if folder {
			text += "/"
		}
		list = append(list, plugins.Candidate{Text: text})
	}
	d.NoSpace = d.NoSpace || (len(list) == 1 && strings.HasSuffix(list[0].Text, "/"))
	return p.start, list, d
}

// fitting are the names that fit what was typed best, hidden ones only when asked for.
func fitting(entries []os.DirEntry, typed string) (names []string) {
	var all []plugins.Candidate
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(typed, ".") {
			all = append(all, plugins.Candidate{Text: e.Name()})
		}
	}
	for _, c := range Choose(all, typed) {
		names = append(names, c.Text)
	}
	return names
}

func wanted(name string, exts []string) bool {
	if len(exts) == 0 {
		return true
	}
	return slices.ContainsFunc(exts, func(ext string) bool {
		return strings.HasSuffix(name, "."+strings.TrimPrefix(strings.TrimPrefix(ext, "*"), "."))
	})
}

// escape quotes what the shell would not take literally.
func escape(path string) string {
	var b strings.Builder
	for i, r := range path {
		if strings.ContainsRune(" \t\n\\'\"$`&|;<>()*?[]#!{}", r) || (r == '~' && i > 0) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// quoted writes a value so that the shell takes it literally.
func quoted(text string) string {
	if !strings.ContainsAny(text, " \t\n\\'\"$`&|;<>()*?[]#!{}") {
		return text
	}
	if !strings.ContainsAny(text, "'\n") {
		return "'" + text + "'"
	}
	return escape(text)
}

func lookup(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, found := strings.CutPrefix(env[i], name+"="); found {
			return value
		}
	}
	return ""
}
