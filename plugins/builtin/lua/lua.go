// Package lua is the built-in plugin `lua`: it runs Lua scripts from files,
// from -e, from standard input, and line by line at a terminal. The machine is
// in package scripting.
package lua

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/scripting"
)

// Plugin adds the command.
type Plugin struct {
	shipped fs.FS  // scripts that come with nacre
	config  string // nacre's configuration folder, whose folder scripts is searched; "" for none
}

// New returns the plugin. A script is looked up in the working folder, then,
// when its name has no slash, in config/scripts, then among the shipped ones.
func New(shipped fs.FS, config string) *Plugin { return &Plugin{shipped: shipped, config: config} }

var _ plugins.Plugin = (*Plugin)(nil)

// Name implements plugins.Plugin.
func (*Plugin) Name() string { return "lua" }

// Close implements plugins.Plugin.
func (*Plugin) Close() error { return nil }

// Register adds `lua`.
func (p *Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "lua", Short: "Run a Lua script", Group: "Shell Commands", Build: p.build,
	})
}

const long = `Run a Lua script: a file, the text of -e, or standard input. At a terminal and
without either, read and run line by line.

A FILE without a slash is looked up in the working folder, in the folder scripts
of nacre's configuration, and among the scripts that come with nacre (--list).
Words after it are the script's, as arg[1] and so on.`

func (p *Plugin) build(inv *plugins.Invocation) (*cobra.Command, error) {
	var text string
	var list bool
	cmd := &cobra.Command{
		Use: "lua [OPTIONS] [FILE [ARG...]]", Short: "Run a Lua script", Long: long,
		DisableFlagsInUseLine: true,
		Example:               "  lua remove-all-images.lua --yes\n  lua -e 'print(#nacre.images())'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return p.list(inv)
			}
			return p.run(cmd, inv, text, cmd.Flags().Changed("eval"), args)
		},
		ValidArgsFunction: p.complete,
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVarP(&text, "eval", "e", "", "Run this text")
	cmd.Flags().BoolVarP(&list, "list", "l", false, "List the scripts that are found by name")
	root := plugins.NewRoot()
	root.AddCommand(cmd)
	return root, nil
}

// run chooses where the program comes from.
func (p *Plugin) run(cmd *cobra.Command, inv *plugins.Invocation, text string, eval bool, args []string) error {
	script := scripting.Script{Name: "-e", Text: strings.NewReader(text), Args: args}
	switch {
	case eval:
	case len(args) > 0 && args[0] != "-":
		found, err := p.open(inv.Dir, args[0])
		if err != nil {
			return err
		}
		defer found.Close()
		script = scripting.Script{Name: args[0], Path: found.path, Text: found, Args: args[1:]}
	case len(args) == 0 && scripting.IsTerminal(inv.In):
		return readLoop(cmd.Context(), inv)
	default:
		// The whole program is read first: what follows it is no input of its own.
		program, err := io.ReadAll(scripting.Interruptible(cmd.Context(), inv.In))
		if err != nil {
			return err
		}
		script = scripting.Script{Name: "stdin", Text: strings.NewReader(string(program)), Args: args[min(1, len(args)):]}
	}
	s := scripting.New(cmd.Context(), inv)
	status, err := s.Run(script)
	return outcome(cmd.Context(), status, errors.Join(err, s.Close()))
}

// outcome is the error that makes the door return status and print err. The
// door knows itself what to do about a command that was broken off.
func outcome(ctx context.Context, status int, err error) error {
	if err != nil && ctx.Err() != nil || status == 0 && err == nil {
		return err
	}
	return &plugins.StatusError{Status: max(status, 1), Err: err}
}
