// Package lua brings in plugins that are Lua files: each folder of nacre's
// configuration folder `plugins` that has an init.lua is one plugin, and what
// init.lua registers with nacre.command becomes commands with flags, help and
// completion like the built-in ones.
//
// The Lua side (the machine, nacre.command, what a function may call) is in
// package scripting; this one finds the files and makes cobra commands of what
// they say.
package lua

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/scripting"
)

// Plugin is one folder with an init.lua.
type Plugin struct {
	name   string
	path   string // of init.lua
	env    []string
	stderr io.Writer
	lua    *scripting.Plugin // after Read
	err    error             // why it could not be read
}

var (
	_ plugins.Plugin    = (*Plugin)(nil)
	_ plugins.Describer = (*Plugin)(nil)
)

// Find lists the plugins below a folder without reading them; a folder that
// does not exist has none. What a plugin prints while it is loaded goes to
// stderr; env is the environment it sees then.
func Find(dir string, env []string, stderr io.Writer) ([]*Plugin, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []*Plugin
	for _, e := range entries {
		path := filepath.Join(dir, e.Name(), "init.lua")
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		found = append(found, &Plugin{name: e.Name(), path: path, env: env, stderr: stderr})
	}
	return found, nil
}

// Name is the folder's name.
func (p *Plugin) Name() string { return p.name }

// Close has nothing to release: every invocation ends its own machine.
func (p *Plugin) Close() error { return nil }

// Info implements plugins.Describer.
func (p *Plugin) Info() plugins.Info {
	info := plugins.Info{Kind: "lua", Source: p.path}
	if p.lua != nil {
		info.Version, info.Short = p.lua.Version, p.lua.Short
	}
	return info
}

// Read runs the init.lua of all the plugins, at the same time: the prompt waits
// for the slowest one, not for all.
func Read(ctx context.Context, all []*Plugin) {
	var reading sync.WaitGroup
	for _, p := range all {
		reading.Go(func() { p.read(ctx) })
	}
	reading.Wait()
}

func (p *Plugin) read(ctx context.Context) {
	p.lua, p.err = scripting.LoadPlugin(ctx, p.path, p.env, p.stderr)
}

// Register adds the commands of init.lua, read before or now.
func (p *Plugin) Register(ctx context.Context, r *plugins.Registry) error {
	if p.lua == nil && p.err == nil {
		p.read(ctx)
	}
	if p.err != nil {
		return p.err
	}
	for _, spec := range p.lua.Commands {
		c := &command{plugin: p, spec: spec}
		if err := r.Add(plugins.Command{
			Name: spec.Name, Aliases: spec.Aliases, Short: spec.Short, Hidden: spec.Hidden, Group: "Plugin Commands",
			Build: c.build,
		}); err != nil {
			return err
		}
	}
	return nil
}
