// Package boot is the built-in plugin `boot`: it starts, after a reboot, the
// containers whose restart policy wants them to run, stops them before one,
// and writes the systemd units that do both. Nothing else of nacre needs to
// run for that: a running container's restarts are its shim's affair.
package boot

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/docker"
)

// Plugin adds the command. Self finds this program's file, which the units name.
type Plugin struct{ Self func() (string, error) }

// Name is the plugin's name.
func (Plugin) Name() string { return "boot" }

// Close has nothing to release.
func (Plugin) Close() error { return nil }

// Register adds `boot`.
func (p Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "boot", Short: "Start the containers that are to run after a reboot", Group: "Nacre Commands",
		Build: func(inv *plugins.Invocation) (*cobra.Command, error) {
			root := plugins.NewRoot()
			root.AddCommand(p.command(inv))
			return root, nil
		},
	})
}

func (p Plugin) command(inv *plugins.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use: "boot", Short: "Start the containers that are to run after a reboot", Args: cli.NoArgs,
		Long: "Starts what has a restart policy and ended with the machine. What a user has stopped stays stopped.",
		RunE: func(cmd *cobra.Command, _ []string) error { return call(cmd.Context(), inv, "boot") },
	}
	stop := &cobra.Command{
		Use: "stop", Short: "Stop all containers for the machine's end; the next boot starts them again", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return call(cmd.Context(), inv, "halt") },
	}
	cmd.AddCommand(stop, p.install(inv))
	return cmd
}

// call asks the engine, prints the names and fails when one container has.
func call(ctx context.Context, inv *plugins.Invocation, what string) error {
	var answer struct{ Done, Failed []string }
	r := docker.Request{Doing: what + " the engine's containers", Method: http.MethodPost, Path: "/nacre/" + what}
	if err := docker.AskFor(ctx, inv, r, &answer); err != nil {
		return err
	}
	for _, name := range answer.Done {
		if _, err := io.WriteString(inv.Out, name+"\n"); err != nil {
			return err
		}
	}
	var errs []error
	for _, failed := range answer.Failed {
		errs = append(errs, errors.New(failed))
	}
	return errors.Join(errs...)
}
