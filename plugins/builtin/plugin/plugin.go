// Package plugin is the built-in plugin `plugin`: it lists what has brought
// commands into nacre. docker's command of that name manages plugins of a
// daemon, which nacre's engine does not have; its subcommands say so.
package plugin

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/show"
)

// Plugin adds the command.
type Plugin struct{}

var _ plugins.Plugin = Plugin{}

// Name implements plugins.Plugin.
func (Plugin) Name() string { return "plugin" }

// Close implements plugins.Plugin.
func (Plugin) Close() error { return nil }

// Register adds `plugin`.
func (Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "plugin", Short: "List the plugins of nacre", Group: "Management Commands",
		Build: func(inv *plugins.Invocation) (*cobra.Command, error) {
			root := plugins.NewRoot()
			root.AddCommand(newCommand(inv))
			return root, nil
		},
	})
}

// enginePlugins are docker's subcommands for the plugins of a daemon.
var enginePlugins = []string{"create", "disable", "enable", "inspect", "install", "push", "rm", "set", "upgrade"}

func newCommand(inv *plugins.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use: "plugin", Short: "List the plugins of nacre",
		Long: "List the plugins of nacre: built-in ones, Lua files, and executables that speak\ndocker's CLI-plugin protocol. docs/plugins.md tells how to write one.",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newList(inv))
	for _, name := range enginePlugins {
		cmd.AddCommand(&cobra.Command{
			Use: name, Hidden: true, DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return fmt.Errorf("plugin %s: the engine of nacre has no managed plugins; plugins of nacre are files (see `plugin --help`)", name)
			},
		})
	}
	return cmd
}

const table = "table {{.Name}}\t{{.Kind}}\t{{.Version}}\t{{.Commands}}\t{{.Source}}\t{{.State}}"

const formatHelp = `Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template`

func newList(inv *plugins.Invocation) *cobra.Command {
	var format string
	var quiet, noTrunc bool
	cmd := &cobra.Command{
		Use: "ls [OPTIONS]", DisableFlagsInUseLine: true, Aliases: []string{"list"}, Short: "List plugins", Args: cli.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if quiet {
				format = "{{.Name}}"
			}
			return write(inv, format, noTrunc)
		},
	}
	cmd.Flags().StringVar(&format, "format", "", formatHelp)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "Only display names")
	cmd.Flags().BoolVar(&noTrunc, "no-trunc", false, "Don't truncate output")
	return cmd
}

// row is one plugin in the list. The methods are what templates can name.
type row struct {
	formatter.HeaderContext
	name, state string
	info        plugins.Info
	commands    []string
	noTrunc     bool
}

func (r *row) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }
func (r *row) Name() string                 { return r.name }
func (r *row) Kind() string                 { return r.info.Kind }
func (r *row) Version() string              { return r.info.Version }
func (r *row) Vendor() string               { return r.info.Vendor }
func (r *row) Description() string          { return r.info.Short }
func (r *row) Source() string               { return r.info.Source }
func (r *row) State() string                { return r.state }

// maxCommands is the width of the column of commands: docker's plugin alone
// has sixty.
const maxCommands = 40

func (r *row) Commands() string {
	list := strings.Join(r.commands, ",")
	if r.noTrunc {
		return list
	}
	return formatter.Ellipsis(list, maxCommands)
}

// rows lists what is loaded, in the order of loading, then what is not.
func rows(r *plugins.Registry, noTrunc bool) []*row {
	commands := map[string][]string{}
	for _, c := range r.Commands() {
		commands[c.Plugin] = append(commands[c.Plugin], c.Name)
	}
	var list []*row
	for _, p := range r.Plugins() {
		list = append(list, &row{name: p.Name(), state: "loaded", info: plugins.Describe(p), commands: commands[p.Name()], noTrunc: noTrunc})
	}
	for _, f := range r.Failures() {
		state, _, _ := strings.Cut(f.Err.Error(), "\n")
		list = append(list, &row{name: f.Name, state: strings.TrimPrefix(state, "plugin "+f.Name+": "), info: f.Info, noTrunc: noTrunc})
	}
	return list
}

func write(inv *plugins.Invocation, format string, noTrunc bool) error {
	switch format {
	case "":
		if !noTrunc {
			return show.Fitted(inv.Out, inv.Getenv, func(out io.Writer) error { return writeTo(out, inv.Shell.Registry(), table, false) })
		}
		format = table
	case formatter.TableFormatKey:
		format = table
	case formatter.JSONFormatKey:
		noTrunc = true
	}
	return writeTo(inv.Out, inv.Shell.Registry(), format, noTrunc)
}

func writeTo(out io.Writer, registry *plugins.Registry, format string, noTrunc bool) error {
	head := &row{}
	head.Header = formatter.SubHeaderContext{
		"Name": "NAME", "Kind": "KIND", "Version": "VERSION", "Vendor": "VENDOR", "Description": "DESCRIPTION",
		"Commands": "COMMANDS", "Source": "SOURCE", "State": "STATE",
	}
	list := rows(registry, noTrunc)
	ctx := formatter.Context{Output: out, Format: formatter.Format(format)}
	return ctx.Write(head, func(each func(formatter.SubContext) error) error {
		for _, r := range list {
			if err := each(r); err != nil {
				return err
			}
		}
		return nil
	})
}
