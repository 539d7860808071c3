package docker

import (
	"context"
	"io"
	"net"

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
	s, err := newSession(own)
	if err != nil {
		return nil, err
	}
	return s.cli.Client().Dialer()(ctx)
}
