package scripting

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/moby/moby/client"
)

// engine is the client of the script's engine, made at the first use and again
// when the script has named another engine in its environment.
func (s *State) engine() (*client.Client, error) {
	host, _ := s.env.get("DOCKER_HOST")
	name, _ := s.env.get("DOCKER_CONTEXT")
	target := host + "\x00" + name
	if s.client != nil && s.target == target {
		return s.client, nil
	}
	if s.inv.Engine == nil {
		return nil, errNotWhileLoading
	}
	if s.client != nil {
		if err := s.client.Close(); err != nil {
			return nil, err
		}
	}
	inv := *s.inv
	inv.Env = s.env.list()
	c, err := client.New(
		client.WithHost("unix:///nacre.sock"), // a name only: all connections come from Dial
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := inv.Dial(ctx)
			if err != nil && ctx.Err() == nil {
				err = &dialError{err}
			}
			return conn, err
		}),
		client.WithUserAgent("nacre-lua"),
	)
	if err != nil {
		return nil, err
	}
	s.client, s.target = c, target
	return c, nil
}

// dialError is why the engine cannot be reached. It is shown alone: what the
// client says about its address would be about a name only.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// engineMessage is the text of an error without what the client puts around
// the engine's words.
func engineMessage(err error) string {
	var dial *dialError
	if errors.As(err, &dial) {
		return dial.Error()
	}
	return strings.TrimPrefix(err.Error(), "Error response from daemon: ")
}

// closeWhenDone ends a connection that waits for data when ctx ends. The
// returned function stops the watch.
func closeWhenDone(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.Close() })
}
