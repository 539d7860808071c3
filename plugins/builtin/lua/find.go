package lua

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// found is a script that was found by its name.
type found struct {
	fs.File
	path string // absolute; "" for a shipped one
}

func (p *Plugin) open(dir, name string) (*found, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, name)
	}
	f, err := os.Open(path)
	if err == nil {
		return &found{f, path}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, &plugins.StatusError{Status: statusNotReadable, Err: err}
	}
	if !strings.Contains(name, "/") {
		if p.config != "" {
			own := filepath.Join(p.config, "scripts", name)
			if f, err := os.Open(own); err == nil {
				return &found{f, own}, nil
			}
		}
		if f, err := p.shipped.Open(name); err == nil {
			return &found{f, ""}, nil
		}
	}
	return nil, &plugins.StatusError{Status: statusNotFound, Err: fmt.Errorf("lua: %s: no such file%s", name, p.hint(name))}
}

// Exit statuses of a shell for a program that is not there or cannot be read.
const (
	statusNotReadable = 126
	statusNotFound    = 127
)

// hint names the script that was probably meant.
func (p *Plugin) hint(name string) string {
	if near := plugins.Nearest(filepath.Base(name), p.names()); near != "" {
		return fmt.Sprintf("\nDid you mean %s?", near)
	}
	return ""
}

// names lists the scripts that are found by name.
func (p *Plugin) names() []string {
	entries, err := fs.ReadDir(p.shipped, ".")
	if err != nil {
		entries = nil // nothing shipped
	}
	if p.config != "" {
		own, err := os.ReadDir(filepath.Join(p.config, "scripts"))
		if err == nil { // there need not be such a folder
			entries = append(entries, own...)
		}
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".lua" {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *Plugin) list(inv *plugins.Invocation) error {
	for _, name := range p.names() {
		if _, err := fmt.Fprintln(inv.Out, name); err != nil {
			return err
		}
	}
	return nil
}

// complete offers the scripts found by name, and files.
func (p *Plugin) complete(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var words []string
	for _, name := range p.names() {
		if strings.HasPrefix(name, prefix) {
			words = append(words, name)
		}
	}
	return words, cobra.ShellCompDirectiveDefault
}
