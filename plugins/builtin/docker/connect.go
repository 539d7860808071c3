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
	cli, err := NewClient(own)
	if err != nil {
		return nil, err
	}
	return cli.Client().Dialer()(ctx)
}

// NewClient gives another built-in command what docker's have: the config file
// with its credentials, and a client of the engine that the invocation means.
// It lives as long as the invocation.
func NewClient(inv *plugins.Invocation) (*command.DockerCli, error) {
	cli, err := command.NewDockerCli(
		command.WithInputStream(io.NopCloser(strings.NewReader(""))),
		command.WithOutputStream(orDiscard(inv.Out)), command.WithErrorStream(orDiscard(inv.Err)))
	if err != nil {
		return nil, err
	}
	return cli, open(cli, inv)
}
