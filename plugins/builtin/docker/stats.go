package docker

import (
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/stats"
	"github.com/nacre-sh/nacre/plugins/show"
)

// The smallest window that the live view is for.
const statsCols, statsRows = 20, 5

// liveStats shows `stats` in the whole window, unless docker's table is asked
// for or the terminal cannot.
func liveStats(table func(*cobra.Command, []string) error, docker *command.DockerCli) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		out, isFile := docker.Out().File()
		if !isFile || !docker.Out().IsTerminal() || asksForBytes(cmd) || cmd.Flags().Changed("no-stream") || docker.ConfigFile().StatsFormat != "" {
			return table(cmd, args)
		}
		window, ok := show.WindowOf(out, func(name string) string { return plugins.Getenv(cmd.Context(), name) })
		if !ok || window.Cols < statsCols || window.Rows < statsRows {
			return table(cmd, args)
		}
		all, err := cmd.Flags().GetBool("all")
		if err != nil {
			return err
		}
		keys := -1
		if docker.In().IsTerminal() {
			keys = int(docker.In().FD())
		}
		return stats.Run(cmd.Context(), stats.Options{Client: docker.Client(), In: keys, Out: out, Colours: window.Colours, All: all, Names: args})
	}
}
