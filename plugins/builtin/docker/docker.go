// Package docker brings docker's own commands in through the door: docker/cli
// as a library, one DockerCli and one fresh cobra tree per invocation, with the
// invocation's own streams, environment and engine.
//
// The library was written for a process that ends after one command. What that
// assumes, and what is done about it here:
//   - it reads the environment of the process: session.go hands it the
//     invocation's as options;
//   - it closes its standard input and leaves a reader on it: stdin.go gives it
//     an input of its own that can be taken away again;
//   - it exits the process when a context cannot be resolved: session.go asks first;
//   - cobra keeps every completion function for ever: plugins.ForgetCompletions drops them;
//   - its help and template set-up writes package variables: root.go does it once.
//
// Its plugin bridge is never used: it exits the process.
package docker

import (
	"context"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/docker/cli/cli/version"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins"
)

// Headings of `help`, in its order.
const (
	GroupCommon     = "Common Commands"
	GroupManagement = "Management Commands"
	GroupSwarm      = "Swarm Commands"
	GroupCommands   = "Commands"
)

// Options are what the plugin must know of the program it is part of.
type Options struct {
	Version string         // nacre's, for --version
	Except  []string       // commands that stay out, because nacre has its own of that name
	Flags   *pflag.FlagSet // the program's own options, for help; may be nil
}

// Plugin is the built-in plugin that provides docker's commands.
type Plugin struct {
	options Options
}

// New returns the plugin.
func New(o Options) *Plugin {
	identify(o.Version)
	logrus.SetFormatter(&logLines{})
	return &Plugin{options: o}
}

// identify fills in what the library's build would have: its own version, and
// whose client it is, for `version` and `info`.
func identify(nacre string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	version.PlatformName = "nacre " + nacre
	for _, m := range info.Deps {
		if m.Path == "github.com/docker/cli" {
			version.Version = strings.TrimSuffix(strings.TrimPrefix(m.Version, "v"), "+incompatible")
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			version.GitCommit = s.Value[:min(len(s.Value), 7)]
		case "vcs.time":
			version.BuildTime = s.Value
		}
	}
}

var _ plugins.Plugin = (*Plugin)(nil)

// Name implements plugins.Plugin.
func (p *Plugin) Name() string { return "docker" }

// Close implements plugins.Plugin; nothing outlives an invocation.
func (p *Plugin) Close() error { return nil }

// Register adds docker's top-level commands, `help`, and the words `docker`
// and `nacre` that may stand before any command.
func (p *Plugin) Register(_ context.Context, r *plugins.Registry) error {
	for _, c := range catalogue {
		if slices.Contains(p.options.Except, c.Name) {
			continue
		}
		c.Build = p.build(c.Name)
		if err := r.Add(c); err != nil {
			return err
		}
	}
	if err := r.Add(plugins.Command{
		Name: "help", Short: "List the commands, or show the help of one", Group: GroupCommands,
		Build: p.buildHelp,
	}); err != nil {
		return err
	}
	return r.Add(plugins.Command{
		Name: "docker", Aliases: []string{"nacre"}, Hidden: true, Short: "May stand before any command",
		Build: p.buildPrefix,
	})
}

// build makes the tree for one invocation of one command.
func (p *Plugin) build(name string) func(*plugins.Invocation) (*cobra.Command, error) {
	return func(inv *plugins.Invocation) (*cobra.Command, error) {
		t, err := newTree(name)
		if err != nil {
			return nil, err
		}
		inv.Defer(t.forget)
		if e, ok := inv.Engine.(plugins.Expecter); ok {
			e.Expect(name)
		}
		return t.root, prepare(t, inv)
	}
}
