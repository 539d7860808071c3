package docker

import (
	"fmt"

	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/client/pkg/versions"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// supported refuses a command or a flag that the engine's API version does not
// have yet: docker/cli marks them with the version that brought them. Only what
// is so marked costs a question to the engine.
func supported(cmd *cobra.Command, cli *command.DockerCli) error {
	for c := cmd; c != nil; c = c.Parent() {
		if need := c.Annotations["version"]; need != "" && versions.LessThan(cli.CurrentVersion(), need) {
			return fmt.Errorf("%s requires API version %s, but the engine's API version is %s", cmd.CommandPath(), need, cli.CurrentVersion())
		}
	}
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		need := f.Annotations["version"]
		if err == nil && len(need) == 1 && versions.LessThan(cli.CurrentVersion(), need[0]) {
			err = fmt.Errorf(`"--%s" requires API version %s, but the engine's API version is %s`, f.Name, need[0], cli.CurrentVersion())
		}
	})
	return err
}
