package complete

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nacre-sh/nacre/plugins"
)

// commands are the words that can begin a command: nacre's, and at a bare
// prompt, when none of nacre's fits, the host's programs.
func (c *Completer) commands(word string, bare bool) []plugins.Candidate {
	host := strings.TrimPrefix(word, "!")
	var list []plugins.Candidate
	if host == word {
		for _, command := range c.options.Shell.Registry().Commands() {
			if !command.Hidden && strings.HasPrefix(command.Name, word) {
				list = append(list, plugins.Candidate{Text: command.Name, Description: command.Short})
			}
		}
	}
	if !bare || len(list) > 0 || host == "" {
		return list
	}
	for _, name := range c.programs(host) {
		list = append(list, plugins.Candidate{Text: strings.TrimSuffix(word, host) + name})
	}
	return list
}

// programs lists the executables of PATH that begin with a prefix.
func (c *Completer) programs(prefix string) []string {
	var names []string
	for _, dir := range filepath.SplitList(lookup(c.options.Env(), "PATH")) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), prefix) || e.IsDir() {
				continue
			}
			if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.Mode()&0o111 != 0 {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, prefix) || (prefix == "" && strings.HasPrefix(name, ".")) {
			continue
		}
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

func lookup(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, found := strings.CutPrefix(env[i], name+"="); found {
			return value
		}
	}
	return ""
}
