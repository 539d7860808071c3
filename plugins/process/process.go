// Package process brings in plugins that are executables and speak docker's
// CLI-plugin protocol: compose, buildx, and what others have written for
// docker. Asked with `docker-NAME docker-cli-plugin-metadata` such a program
// tells in JSON who it is; run as `docker-NAME NAME args…` it is the command;
// `docker-NAME __complete NAME args…` completes.
//
// Asking every program at every start would cost more than the start itself,
// so answers are kept by path, time and size (cache.go). A program runs like
// one of the host, through the shell, and talks to the invocation's engine
// over a socket that lives as long as it runs (socket.go).
package process

import (
	"context"
	"regexp"
	"sync"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// Plugin is one executable that gave its metadata.
type Plugin struct {
	name     string
	path     string
	metadata metadata
	self     string // path of nacre, for plugins that call back
}

var (
	_ plugins.Plugin    = (*Plugin)(nil)
	_ plugins.Describer = (*Plugin)(nil)
)

// metadata is the answer of a plugin, as docker defines it.
type metadata struct {
	SchemaVersion    string
	Vendor           string
	Version          string `json:",omitempty"`
	ShortDescription string `json:",omitempty"`
	Hidden           bool   `json:",omitempty"`
}

// nameForm is docker's: the name becomes a command and a part of a file name.
var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9]*$`) })

// Name is the command that the executable adds.
func (p *Plugin) Name() string { return p.name }

// Close has nothing to release.
func (p *Plugin) Close() error { return nil }

// Info implements plugins.Describer.
func (p *Plugin) Info() plugins.Info {
	return plugins.Info{
		Kind: kind, Version: p.metadata.Version, Vendor: p.metadata.Vendor,
		Short: p.metadata.ShortDescription, Source: p.path,
	}
}

const kind = "process"

// Register adds the command.
func (p *Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: p.name, Short: p.metadata.ShortDescription, Group: "Plugin Commands", Hidden: p.metadata.Hidden,
		Build: p.build,
	})
}

// build makes a command that leaves its flags to the executable.
func (p *Plugin) build(inv *plugins.Invocation) (*cobra.Command, error) {
	root := plugins.NewRoot()
	root.AddCommand(&cobra.Command{
		Use: p.name, Short: p.metadata.ShortDescription, DisableFlagParsing: true,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.run(cmd.Context(), inv, args) },
		ValidArgsFunction: p.completion(inv),
	})
	return root, nil
}
