package docker

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/completion"
	"github.com/docker/go-connections/nat"
	"github.com/moby/moby/api/types/network"
	"github.com/spf13/cobra"
)

// portChanges are `port add` and `port rm`, which docker lacks: published
// ports of a container that runs.
func portChanges(docker *command.DockerCli) []*cobra.Command {
	change := func(use, short, long, example, path, doing string) *cobra.Command {
		return &cobra.Command{
			Use: use + " CONTAINER SPEC [SPEC...]", Short: short, Long: long, Example: example, Args: cli.RequiresMinArgs(2),
			ValidArgsFunction: completion.ContainerNames(docker, false),
			RunE: func(cmd *cobra.Command, args []string) error {
				ports, err := readPorts(args[1:])
				if err != nil {
					return err
				}
				var answer network.PortMap
				req := Request{Doing: doing, Method: http.MethodPost, Path: "/nacre/containers/" + url.PathEscape(args[0]) + path, Body: ports}
				if err := Ask(cmd.Context(), docker.Client(), req, &answer); err != nil {
					return err
				}
				return printPorts(docker, answer)
			},
		}
	}
	return []*cobra.Command{
		change("add", "Publish further ports of a container, running or not",
			"Publish further ports of a container, as `-p` does for a new one: at once where it runs,\nand for its next starts. Prints what was bound.",
			"  port add web 8080:80\n  port add web 127.0.0.1::53/udp 9000-9003:9000-9003", "/ports", "publish ports"),
		change("rm", "Take published ports of a container back",
			"Take published ports of a container back, now and for its next starts. A bare container\nport stands for all that lead to it. Prints what is bound no more.",
			"  port rm web 8080:80\n  port rm web 53/udp", "/ports/remove", "take ports back"),
	}
}

// readPorts reads what `-p` takes.
func readPorts(specs []string) (network.PortMap, error) {
	_, bindings, err := nat.ParsePortSpecs(specs)
	if err != nil {
		return nil, err
	}
	ports := network.PortMap{}
	for p, list := range bindings {
		port, err := network.ParsePort(string(p))
		if err != nil {
			return nil, err
		}
		for _, b := range list {
			binding := network.PortBinding{HostPort: b.HostPort}
			if b.HostIP != "" {
				if binding.HostIP, err = netip.ParseAddr(b.HostIP); err != nil {
					return nil, err
				}
			}
			ports[port] = append(ports[port], binding)
		}
	}
	return ports, nil
}

// printPorts prints in the words and the order of docker's `port`.
func printPorts(docker *command.DockerCli, ports network.PortMap) error {
	order := slices.SortedFunc(maps.Keys(ports), func(a, b network.Port) int {
		return cmp.Or(cmp.Compare(a.Num(), b.Num()), cmp.Compare(a.Proto(), b.Proto()))
	})
	for _, port := range order {
		for _, b := range ports[port] {
			if _, err := fmt.Fprintf(docker.Out(), "%s -> %s\n", port, net.JoinHostPort(b.HostIP.String(), b.HostPort)); err != nil {
				return err
			}
		}
	}
	return nil
}
