package docker

import (
	"fmt"

	"github.com/docker/cli/cli/command"
	cliflags "github.com/docker/cli/cli/flags"
	"github.com/docker/cli/cli/version"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins"
)

// globals is the set of docker's options that stand before the command.
type globals struct {
	flags   *pflag.FlagSet
	options *cliflags.ClientOptions
	version bool
	help    bool
}

func newGlobals() *globals {
	g := &globals{flags: pflag.NewFlagSet("nacre", pflag.ContinueOnError), options: cliflags.NewClientOptions()}
	setup() // before InstallFlags, which writes a package variable the first time
	g.options.InstallFlags(g.flags)
	g.flags.BoolVarP(&g.version, "version", "v", false, "Print version information and quit")
	g.flags.BoolVarP(&g.help, "help", "h", false, "Print usage")
	g.flags.Lookup("help").Hidden = true
	g.flags.SetInterspersed(false)
	g.flags.Usage = func() {}
	return g
}

// GlobalFlags are docker's options before the command, for a program that has
// further ones beside them. What it parses goes into Invocation.Globals as
// --name=value.
func GlobalFlags() *pflag.FlagSet { return newGlobals().flags }

func (g *globals) flagError(err error) error {
	hint := ""
	if near := plugins.NearestFlag(g.flags, err); near != "" {
		hint = fmt.Sprintf("\nDid you mean %s?\n", near)
	}
	return &plugins.StatusError{Status: 125, Err: fmt.Errorf("%w\n%s\nUsage:  nacre [OPTIONS] COMMAND [ARG...]\n\nRun 'nacre --help' for more information", err, hint)}
}

// buildPrefix is the command `docker` (and `nacre`): it takes the options
// before the command off and passes the rest to the shell.
func (p *Plugin) buildPrefix(inv *plugins.Invocation) (*cobra.Command, error) {
	root := &cobra.Command{Use: "nacre"}
	root.AddCommand(&cobra.Command{
		Use: inv.Args[0], DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, words []string) error { return p.runPrefix(cmd, inv, words) },
	})
	return root, nil
}

func (p *Plugin) runPrefix(cmd *cobra.Command, inv *plugins.Invocation, words []string) error {
	g := newGlobals()
	if err := g.flags.Parse(words); err != nil {
		return g.flagError(err)
	}
	rest := g.flags.Args()
	switch {
	case g.version:
		fmt.Fprintf(inv.Out, "nacre version %s (docker/cli %s)\n", p.options.Version, version.Version)
		return nil
	case g.help && len(rest) == 0:
		return p.overview(inv, inv.Out)
	case len(rest) == 0:
		return p.overview(inv, inv.Err)
	}
	if _, known := inv.Shell.Registry().Lookup(rest[0]); !known {
		return UnknownCommand(inv.Shell.Registry(), rest[0])
	}
	if g.help {
		rest = []string{rest[0], "--help"}
	}
	child := *inv
	child.Args = rest
	child.Globals = append(append([]string{}, inv.Globals...), words[:len(words)-len(g.flags.Args())]...)
	if status := inv.Shell.Exec(cmd.Context(), &child); status != 0 {
		return &plugins.StatusError{Status: status}
	}
	return nil
}

// UnknownCommand is docker's error for a word that is no command, with the
// nearest command that is one.
func UnknownCommand(r *plugins.Registry, word string) error {
	hint, near := "", plugins.Nearest(word, commandNames(r))
	if near != "" {
		hint = fmt.Sprintf("\nDid you mean 'nacre %s'?\n", near)
	}
	err := &plugins.StatusError{Status: 1, Err: fmt.Errorf("nacre: unknown command: nacre %s\n%s\nRun 'nacre --help' for more information", word, hint)}
	return instead(err, word, near)
}

// instead offers to run a line with another command's name, unless that one destroys.
func instead(err error, word, near string) error {
	if near == "" || plugins.Destroys(near) {
		return err
	}
	return plugins.WithOffer(err, plugins.Offer{Question: fmt.Sprintf("Run it with '%s'?", near), Word: word, With: near, Careful: true})
}

func commandNames(r *plugins.Registry) []string {
	var names []string
	for _, c := range r.Commands() {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// apply lays the invocation's environment under the options given: what docker
// reads from the environment of its process.
func (g *globals) apply(inv *plugins.Invocation) error {
	if err := g.flags.Parse(inv.Globals); err != nil {
		return g.flagError(err)
	}
	o := g.options
	if o.Context == "" && len(o.Hosts) == 0 {
		if host := plugins.LookupEnv(inv.Env, "DOCKER_HOST"); host != "" {
			o.Hosts = []string{host}
		} else {
			o.Context = plugins.LookupEnv(inv.Env, command.EnvOverrideContext)
		}
	}
	if dir := plugins.LookupEnv(inv.Env, "DOCKER_CONFIG"); dir != "" && !g.flags.Changed("config") {
		o.ConfigDir = dir
	}
	o.SetDefaultOptions(g.flags)
	return nil
}
