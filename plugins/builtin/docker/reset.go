package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

const resetWarning = `WARNING! This will remove:
  - all containers, running ones too
  - all images
  - all volumes with what is in them
  - the bridge and the packet rules of this engine

Are you sure you want to continue? [y/N] `

// newReset is `system reset`, which docker lacks: it empties the engine.
func newReset(docker *command.DockerCli) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "reset [OPTIONS]", Short: "Remove all containers, images, volumes and networks of this engine", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !force {
				fmt.Fprint(docker.Out(), resetWarning)
				answer, err := bufio.NewReader(docker.In()).ReadString('\n')
				if err != nil && answer == "" {
					return fmt.Errorf("system reset has been canceled: %w\nhint: --force does not ask", err)
				}
				if !strings.EqualFold(strings.TrimSpace(answer), "y") {
					return errors.New("system reset has been canceled")
				}
			}
			return reset(cmd.Context(), docker.Client())
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Do not prompt for confirmation")
	return cmd
}

func reset(ctx context.Context, engine client.APIClient) error {
	return Ask(ctx, engine, Request{Doing: "reset the engine", Method: http.MethodPost, Path: "/nacre/reset"}, nil)
}
