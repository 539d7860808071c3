package docker

import (
	"context"
	"io"
	"net"
	"strings"

	"github.com/docker/cli/cli/command"

	"github.com/nacre-sh/nacre/plugins"
)

var _ plugins.Connector = (*Plugin)(nil)

// Connect implements plugins.Connector: a connection to the engine that
// docker's commands would use with these options, environment and config file.
func (p *Plugin) Connect(ctx context.Context, inv *plugins.Invocation) (net.Conn, error) {
	own := &plugins.Invocation{
		Args: []string{"docker"}, Out: io.Discard, Err: io.Discard,
		Dir: inv.Dir, Env: inv.Env, Engine: inv.Engine, Globals: inv.Globals,
	}
	defer own.End()
	cli, err := command.NewDockerCli(
		command.WithInputStream(io.NopCloser(strings.NewReader(""))), command.WithCombinedStreams(io.Discard))
	if err != nil {
		return nil, err
	}
	if err := open(cli, own); err != nil {
		return nil, err
	}
	return cli.Client().Dialer()(ctx)
}
