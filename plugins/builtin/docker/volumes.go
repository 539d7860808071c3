package docker

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/completion"
	"github.com/spf13/cobra"
)

// newVolumeExport is `volume export`, which docker lacks.
func newVolumeExport(docker *command.DockerCli) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "export [OPTIONS] VOLUME", Short: "Write a volume's files as a tar archive", Args: cli.ExactArgs(1),
		ValidArgsFunction: completion.VolumeNames(docker),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" && docker.Out().IsTerminal() {
				return errors.New("cowardly refusing to save to a terminal. Use the -o flag or redirect")
			}
			body, err := Stream(cmd.Context(), docker.Client(), Request{
				Doing: "export volume " + args[0], Method: http.MethodGet, Path: "/nacre/volumes/" + url.PathEscape(args[0]) + "/archive",
			})
			if err != nil {
				return err
			}
			defer body.Close()
			if output == "" {
				_, err = io.Copy(docker.Out(), body)
			} else {
				err = writeWhole(output, body)
			}
			if err != nil {
				return fmt.Errorf("export volume %s: %w", args[0], err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "Write to a file, instead of standard output")
	return cmd
}

// writeWhole writes a file that is there whole or not at all.
func writeWhole(path string, content io.Reader) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".nacre-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // it is gone after the rename
	_, err = io.Copy(temp, content)
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// newVolumeImport is `volume import`, which docker lacks.
func newVolumeImport(docker *command.DockerCli) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "import [OPTIONS] VOLUME [FILE|-]", Short: "Fill a volume, new or empty, from a tar archive", Args: cli.RequiresRangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var content io.Reader = docker.In()
			if len(args) == 2 && args[1] != "-" {
				f, err := os.Open(args[1])
				if err != nil {
					return fmt.Errorf("import volume %s: %w", args[0], err)
				}
				defer f.Close()
				content = f
			} else if docker.In().IsTerminal() {
				return errors.New("import a volume: no archive is given\nhint: name a file, or redirect one to standard input")
			}
			query := url.Values{}
			if force {
				query.Set("force", "1")
			}
			err := Ask(cmd.Context(), docker.Client(), Request{
				Doing: "import volume " + args[0], Method: http.MethodPut, Path: "/nacre/volumes/" + url.PathEscape(args[0]) + "/archive",
				Query: query, Content: io.NopCloser(content),
			}, nil)
			if err == nil {
				fmt.Fprintln(docker.Out(), args[0])
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Unpack over what the volume holds")
	return cmd
}

// newVolumeClone is `volume clone`, which docker lacks.
func newVolumeClone(docker *command.DockerCli) *cobra.Command {
	return &cobra.Command{
		Use: "clone VOLUME NEW-VOLUME", Short: "Make a new volume with another one's files and labels", Args: cli.ExactArgs(2),
		ValidArgsFunction: completion.VolumeNames(docker),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := Ask(cmd.Context(), docker.Client(), Request{
				Doing: "clone volume " + args[0], Method: http.MethodPost, Path: "/nacre/volumes/" + url.PathEscape(args[0]) + "/clone",
				Query: url.Values{"to": {args[1]}},
			}, nil)
			if err == nil {
				fmt.Fprintln(docker.Out(), args[1])
			}
			return err
		},
	}
}
