package docker

import (
	"fmt"
	_ "unsafe" // for go:linkname

	"github.com/docker/cli/cli/command"
	_ "github.com/docker/cli/cli/command/commands" // has docker's commands registered
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// builders make docker's top-level commands. commands.AddCommands, the public
// way to them, makes all of them with their subcommands, a millisecond and a
// megabyte for the one that is wanted. So the list is reached by its name.
// TestCatalogue fails when an update of docker/cli changes it.
//
//go:linkname builders github.com/docker/cli/internal/commands.commands
var builders []func(command.Cli) *cobra.Command

// catalogue is what must be known of the commands before one of them is built. The order is the one of builders, which spares looking for the right
// one; where it is another, they are found all the same.
var catalogue = []plugins.Command{
	{Name: "checkpoint", Short: "Manage checkpoints", Group: GroupManagement},
	{Name: "config", Short: "Manage the engine's configuration, and Swarm configs", Group: GroupManagement},
	{Name: "run", Short: "Create and run a new container from an image", Group: GroupCommon},
	{Name: "exec", Short: "Execute a command in a running container", Group: GroupCommon},
	{Name: "ps", Short: "List containers", Group: GroupCommon},
	{Name: "container", Short: "Manage containers", Group: GroupManagement},
	{Name: "attach", Short: "Attach local standard input, output, and error streams to a running container", Group: GroupCommands},
	{Name: "commit", Short: "Create a new image from a container's changes", Group: GroupCommands},
	{Name: "cp", Short: "Copy files/folders between a container and the local filesystem", Group: GroupCommands},
	{Name: "create", Short: "Create a new container", Group: GroupCommands},
	{Name: "diff", Short: "Inspect changes to files or directories on a container's filesystem", Group: GroupCommands},
	{Name: "export", Short: "Export a container's filesystem as a tar archive", Group: GroupCommands},
	{Name: "kill", Short: "Kill one or more running containers", Group: GroupCommands},
	{Name: "logs", Short: "Fetch the logs of a container", Group: GroupCommands},
	{Name: "pause", Short: "Pause all processes within one or more containers", Group: GroupCommands},
	{Name: "port", Short: "List port mappings or a specific mapping for the container", Group: GroupCommands},
	{Name: "rename", Short: "Rename a container", Group: GroupCommands},
	{Name: "restart", Short: "Restart one or more containers", Group: GroupCommands},
	{Name: "rm", Short: "Remove one or more containers", Group: GroupCommands},
	{Name: "start", Short: "Start one or more stopped containers", Group: GroupCommands},
	{Name: "stats", Short: "Display a live stream of container(s) resource usage statistics", Group: GroupCommands},
	{Name: "stop", Short: "Stop one or more running containers", Group: GroupCommands},
	{Name: "top", Short: "Display the running processes of a container", Group: GroupCommands},
	{Name: "unpause", Short: "Unpause all processes within one or more containers", Group: GroupCommands},
	{Name: "update", Short: "Update configuration of one or more containers", Group: GroupCommands},
	{Name: "wait", Short: "Block until one or more containers stop, then print their exit codes", Group: GroupCommands},
	{Name: "context", Short: "Manage contexts", Group: GroupManagement},
	{Name: "build", Short: "Build an image from a Dockerfile", Group: GroupCommon},
	{Name: "pull", Short: "Download an image from a registry", Group: GroupCommon},
	{Name: "push", Short: "Upload an image to a registry", Group: GroupCommon},
	{Name: "images", Short: "List images", Group: GroupCommon},
	{Name: "image", Short: "Manage images", Group: GroupManagement},
	{Name: "history", Short: "Show the history of an image", Group: GroupCommands},
	{Name: "import", Short: "Import the contents from a tarball to create a filesystem image", Group: GroupCommands},
	{Name: "load", Short: "Load an image from a tar archive or STDIN", Group: GroupCommands},
	{Name: "rmi", Short: "Remove one or more images", Group: GroupCommands},
	{Name: "save", Short: "Save one or more images to a tar archive (streamed to STDOUT by default)", Group: GroupCommands},
	{Name: "tag", Short: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", Group: GroupCommands},
	{Name: "builder", Short: "Manage builds", Group: GroupManagement},
	{Name: "bake", Short: "Build from a file", Group: GroupCommon},
	{Name: "manifest", Short: "Manage Docker image manifests and manifest lists", Group: GroupManagement},
	{Name: "network", Short: "Manage networks", Group: GroupManagement},
	{Name: "node", Short: "Manage Swarm nodes", Group: GroupSwarm},
	{Name: "plugin", Short: "Manage plugins", Group: GroupManagement},
	{Name: "login", Short: "Authenticate to a registry", Group: GroupCommon},
	{Name: "logout", Short: "Log out from a registry", Group: GroupCommon},
	{Name: "search", Short: "Search Docker Hub for images", Group: GroupCommon},
	{Name: "secret", Short: "Manage Swarm secrets", Group: GroupSwarm},
	{Name: "service", Short: "Manage Swarm services", Group: GroupSwarm},
	{Name: "swarm", Short: "Manage Swarm", Group: GroupSwarm},
	{Name: "version", Short: "Show the Docker version information", Group: GroupCommon},
	{Name: "info", Short: "Display system-wide information", Group: GroupCommon},
	{Name: "system", Short: "Manage Docker", Group: GroupManagement},
	{Name: "events", Short: "Get real time events from the server", Group: GroupCommands},
	{Name: "inspect", Short: "Return low-level information on Docker objects", Group: GroupCommands},
	{Name: "volume", Short: "Manage volumes", Group: GroupManagement},
	{Name: "stack", Short: "Manage Swarm stacks", Group: GroupSwarm},
}

// buildTop makes one of docker's top-level commands with its subcommands.
func buildTop(name string, cli command.Cli) (*cobra.Command, error) {
	for i, entry := range catalogue {
		if entry.Name == name && i < len(builders) {
			if c := builders[i](cli); c.Name() == name {
				return c, nil
			}
		}
	}
	for _, build := range builders {
		if c := build(cli); c.Name() == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("docker's command %s is missing in this program", name)
}
