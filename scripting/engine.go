package scripting

import (
	"context"
	"net"

	"github.com/moby/moby/client"

	"github.com/nacre-sh/nacre/plugins"
)

// newClient speaks to the invocation's engine. The address is a name only: all
// connections come from Dial.
func newClient(engine plugins.Engine) (*client.Client, error) {
	return client.New(
		client.WithHost("unix:///nacre.sock"),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return engine.Dial(ctx) }),
		client.WithUserAgent("nacre-lua"),
	)
}

// closeWhenDone ends a connection that waits for data when ctx ends. The
// returned function stops the watch.
func closeWhenDone(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.Close() })
}
