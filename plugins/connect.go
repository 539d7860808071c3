package plugins

import (
	"context"
	"net"
)

// Connector is implemented by the plugin that reads docker's options and
// contexts: it knows which engine an invocation means.
type Connector interface {
	Connect(ctx context.Context, inv *Invocation) (net.Conn, error)
}

// Dial connects to the engine that the invocation means: the one that its
// options, environment or docker's current context name, else Engine. Commands
// that are not docker's use it to speak to the same engine as those.
func (inv *Invocation) Dial(ctx context.Context) (net.Conn, error) {
	if inv.Shell != nil {
		for _, p := range inv.Shell.Registry().Plugins() {
			if c, ok := p.(Connector); ok {
				return c.Connect(ctx, inv)
			}
		}
	}
	return inv.Engine.Dial(ctx)
}
