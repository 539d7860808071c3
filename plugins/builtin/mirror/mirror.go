// Package mirror is the built-in plugin `mirror`: it lists, adds, removes,
// switches and tests the sources of registries. It asks the engine under
// /nacre/mirrors, so that it works the same on a served or remote nacre.
package mirror

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

const defaultRegistry = "docker.io"

// Plugin adds the command.
type Plugin struct{}

// Name is the plugin's name.
func (Plugin) Name() string { return "mirror" }

// Close has nothing to release.
func (Plugin) Close() error { return nil }

// Register adds `mirror`.
func (Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "mirror", Short: "Manage mirrors of registries", Group: "Management Commands",
		Build: func(inv *plugins.Invocation) (*cobra.Command, error) {
			root := plugins.NewRoot()
			root.AddCommand(newCommand(inv))
			return root, nil
		},
	})
}

func newCommand(inv *plugins.Invocation) *cobra.Command {
	api := newAPI(inv)
	cmd := &cobra.Command{
		Use: "mirror", Short: "Manage mirrors of registries", Args: cli.NoArgs,
		Long: "A mirror serves a registry's content from another place. A pull tries the mirrors in use first and\n" +
			"falls over to the next one, at last to the registry itself. Changes count from the next pull on.",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newList(inv, api), newAdd(api), newRemove(api), newUse(inv, api), newTest(inv, api))
	return cmd
}

func newAdd(api *api) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add [OPTIONS] [REGISTRY] URL", DisableFlagsInUseLine: true, Short: "Add a mirror of a registry (docker.io if none is named)", Args: cli.RequiresRangeArgs(1, 2),
		Example:           "  mirror add https://mirror.example\n  mirror add --name fast ghcr.io https://ghcr.mirror.example",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			registry, url := split(args)
			if registry == "" {
				registry = defaultRegistry
			}
			return api.add(cmd.Context(), source{Registry: registry, URL: url, Name: name, Enabled: true})
		},
	}
	cmd.Flags().StringVarP(&name, "name", "n", "", "Short name, for 'mirror use'")
	return cmd
}

func newRemove(api *api) *cobra.Command {
	return &cobra.Command{
		Use: "rm [REGISTRY] URL|NAME", Aliases: []string{"remove"}, Short: "Remove a mirror", Args: cli.RequiresRangeArgs(1, 2),
		ValidArgsFunction: api.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			registry, which := split(args)
			registry, err := api.owner(cmd.Context(), registry, which)
			if err != nil {
				return err
			}
			return api.remove(cmd.Context(), registry, which)
		},
	}
}

func newUse(inv *plugins.Invocation, api *api) *cobra.Command {
	return &cobra.Command{
		Use: "use [REGISTRY] URL|NAME|origin", Short: "Try this source first (origin: the registry itself)", Args: cli.RequiresRangeArgs(1, 2),
		Example:           "  mirror use fast\n  mirror use ghcr.io origin",
		ValidArgsFunction: api.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			registry, which := split(args)
			registry, err := api.owner(cmd.Context(), registry, which)
			if err != nil {
				return err
			}
			if err := api.use(cmd.Context(), registry, which); err != nil {
				return err
			}
			_, err = fmt.Fprintf(inv.Out, "%s: %s is tried first\n", registry, which)
			return err
		},
	}
}

// split reads [REGISTRY] SOURCE.
func split(args []string) (registry, which string) {
	if len(args) == 2 {
		return args[0], args[1]
	}
	return "", args[0]
}

// owner finds the registry that a source belongs to when none was named.
func (a *api) owner(ctx context.Context, registry, which string) (string, error) {
	if registry != "" || which == originName {
		return orDefault(registry), nil
	}
	all, err := a.list(ctx)
	if err != nil {
		return "", err
	}
	var owners []string
	for _, s := range all {
		if s.Name == which || s.URL == strings.TrimSuffix(which, "/") {
			owners = append(owners, s.Registry)
		}
	}
	if len(owners) > 1 {
		return "", fmt.Errorf("%s is a mirror of %s: name the registry, too", which, strings.Join(owners, " and "))
	}
	if len(owners) == 1 {
		return owners[0], nil
	}
	return defaultRegistry, nil
}

func orDefault(registry string) string {
	if registry == "" {
		return defaultRegistry
	}
	return registry
}

// complete offers registries, names and URLs of mirrors.
func (a *api) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := a.list(cmd.Context())
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, s := range all {
		if len(args) == 1 && s.Registry != args[0] {
			continue
		}
		if s.Name != "" {
			words = append(words, cobra.CompletionWithDesc(s.Name, s.Registry+" from "+s.URL))
		} else {
			words = append(words, cobra.CompletionWithDesc(s.URL, s.Registry))
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
