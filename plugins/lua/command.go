package lua

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/scripting"
)

// command makes cobra trees of what a plugin said about one command.
type command struct {
	plugin *Plugin
	spec   scripting.CommandSpec
}

func (c *command) build(inv *plugins.Invocation) (*cobra.Command, error) {
	root := plugins.NewRoot()
	cmd := &cobra.Command{
		Use: c.spec.Usage, Aliases: c.spec.Aliases, Short: c.spec.Short, Long: c.spec.Long, Example: c.spec.Example,
		DisableFlagsInUseLine: true,
		Args:                  c.checkArgs,
		ValidArgsFunction:     c.completion(inv, ""),
		RunE:                  func(cmd *cobra.Command, args []string) error { return c.run(cmd, inv, args) },
	}
	for _, f := range c.spec.Flags {
		addFlag(cmd, f)
		if !f.Completes {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc(f.Name, c.completion(inv, f.Name)); err != nil {
			return nil, err
		}
	}
	root.AddCommand(cmd)
	inv.Defer(func() { plugins.ForgetCompletions(root) })
	return root, nil
}

func addFlag(cmd *cobra.Command, f scripting.FlagSpec) {
	switch value := f.Default.(type) {
	case bool:
		cmd.Flags().BoolP(f.Name, f.Short, value, f.Help)
	case int:
		cmd.Flags().IntP(f.Name, f.Short, value, f.Help)
	case string:
		cmd.Flags().StringP(f.Name, f.Short, value, f.Help)
	case []string:
		cmd.Flags().VarP(&list{values: value}, f.Name, f.Short, f.Help)
	}
}

// list is the value of a flag that may be given several times. The first one
// replaces the default.
type list struct {
	values []string
	given  bool
}

func (l *list) String() string { return strings.Join(l.values, ",") }
func (l *list) Type() string   { return "list" }
func (l *list) Set(value string) error {
	if !l.given {
		l.values, l.given = nil, true
	}
	l.values = append(l.values, value)
	return nil
}

// flagValues reads the flags for Lua, given or not.
func (c *command) flagValues(cmd *cobra.Command) (map[string]any, error) {
	values := map[string]any{}
	for _, f := range c.spec.Flags {
		var value any
		var err error
		switch f.Default.(type) {
		case bool:
			value, err = cmd.Flags().GetBool(f.Name)
		case int:
			value, err = cmd.Flags().GetInt(f.Name)
		case string:
			value, err = cmd.Flags().GetString(f.Name)
		case []string:
			value = cmd.Flags().Lookup(f.Name).Value.(*list).values
		}
		if err != nil {
			return nil, err
		}
		values[f.Name] = value
	}
	return values, nil
}

// checkArgs counts arguments, in docker's words.
func (c *command) checkArgs(cmd *cobra.Command, args []string) error {
	low, high := c.spec.MinArgs, c.spec.MaxArgs
	var need string
	switch {
	case len(args) >= low && (high < 0 || len(args) <= high):
		return nil
	case low == high:
		need = fmt.Sprintf("requires %d %s", low, plural("argument", low))
	case len(args) < low:
		need = fmt.Sprintf("requires at least %d %s", low, plural("argument", low))
	default:
		need = fmt.Sprintf("requires at most %d %s", high, plural("argument", high))
	}
	return fmt.Errorf("'%s' %s\n\nUsage:  %s\n\nRun '%[1]s --help' for more information", cmd.CommandPath(), need, cmd.UseLine())
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func (c *command) run(cmd *cobra.Command, inv *plugins.Invocation, args []string) error {
	flags, err := c.flagValues(cmd)
	if err != nil {
		return err
	}
	status, err := c.plugin.lua.Run(cmd.Context(), inv, c.spec.Name, args, flags)
	if status == 0 || err != nil && cmd.Context().Err() != nil { // the door knows what to do about one broken off
		return err
	}
	return &plugins.StatusError{Status: status, Err: err}
}

// completion asks the plugin; an error there is no error of the line that is
// being typed, so it only goes to cobra's debug file.
func (c *command) completion(inv *plugins.Invocation, flag string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		found, files, err := c.plugin.lua.Complete(ctx, inv, c.spec.Name, flag, args, prefix)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				cobra.CompDebugln(err.Error(), false)
			}
			return nil, cobra.ShellCompDirectiveError
		}
		words := make([]string, len(found))
		for i, f := range found {
			words[i] = f.Text
			if f.Description != "" {
				words[i] = cobra.CompletionWithDesc(f.Text, f.Description)
			}
		}
		if files {
			return words, cobra.ShellCompDirectiveDefault
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}
