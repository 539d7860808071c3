package docker

import (
	"errors"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/spf13/cobra"
)

// addSort gives a list the option --sort, where docker has no meaning for it.
func addSort(c *cobra.Command) {
	if c.RunE == nil || !slices.Contains(lists, c.Name()) || c.Flags().Lookup("sort") != nil || c.Flags().Lookup("format") == nil {
		return
	}
	c.Flags().String("sort", "", `Order the table by a column ("size", "-size" for the other direction)`)
}

// orderOf is what --sort says, "" without it.
func orderOf(cmd *cobra.Command) string {
	if f := cmd.Flags().Lookup("sort"); f != nil && f.Changed {
		return f.Value.String()
	}
	return ""
}

// sortable refuses an order for output that is no table.
func sortable(cmd *cobra.Command, docker *command.DockerCli) error {
	if orderOf(cmd) == "" {
		return nil
	}
	for _, name := range []string{"format", "quiet"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() != formatter.TableFormatKey {
			return errors.New("--sort orders the table: it cannot be combined with --" + name)
		}
	}
	if !cmd.Flags().Changed("format") && formatOf(cmd, docker.ConfigFile()) != "" {
		return errors.New("--sort orders the table: docker's configuration file sets a format for this list (--format table takes it back)")
	}
	return nil
}
