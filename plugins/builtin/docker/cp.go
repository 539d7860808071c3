package docker

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

// copyInput is docker's cp whose `-` is the invocation's input: the library
// takes that from the process, which at a prompt is not the pipe that the
// command stands in.
func copyInput(cp func(*cobra.Command, []string) error, docker *command.DockerCli) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 || args[0] != "-" {
			return cp(cmd, args)
		}
		container, dest, ok := strings.Cut(args[1], ":")
		if !ok || filepath.IsAbs(args[1]) || container == "" || strings.HasPrefix(container, ".") {
			return cp(cmd, args) // which says what is wrong with it
		}
		if dest == "" {
			return cp(cmd, args)
		}
		owners, err := cmd.Flags().GetBool("archive")
		if err != nil {
			return err
		}
		return copyArchive(cmd.Context(), docker, container, dest, owners)
	}
}

// copyArchive unpacks the input's archive into a folder of a container.
func copyArchive(ctx context.Context, docker *command.DockerCli, container, dest string, owners bool) error {
	api, into := docker.Client(), dest
	found, err := api.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: into})
	if err == nil && found.Stat.Mode&os.ModeSymlink != 0 {
		if into = found.Stat.LinkTarget; !path.IsAbs(into) {
			into = path.Join(path.Dir(dest), into)
		}
		found, err = api.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: into})
	}
	if err != nil || !found.Stat.Mode.IsDir() { // the error of a HEAD request has no text
		return fmt.Errorf(`destination "%s:%s" must be a directory`, container, dest)
	}
	_, err = api.CopyToContainer(ctx, container, client.CopyToContainerOptions{
		DestinationPath: into, Content: io.NopCloser(docker.In()), CopyUIDGID: owners,
	})
	return err
}
