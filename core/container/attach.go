package container

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/term"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Attach joins a client to a container's streams. One that does not run gets
// its shim now, so that no byte of the start is lost.
func (m *Module) Attach(ctx context.Context, name string, opts backend.Attach, hijack backend.Hijack) error {
	keys, err := detachKeys(opts.DetachKeys)
	if err != nil {
		return err
	}
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return err
	}
	if err := allow(verbAttach, l.record, l.now); err != nil {
		return err
	}
	var stream *net.UnixConn
	if opts.Stream {
		shim, release, err := m.shimAttach(ctx, l, shimapi.Attach{
			Stdin: opts.Stdin && l.Config.OpenStdin, Stdout: opts.Stdout, Stderr: opts.Stderr, DetachKeys: keys,
		})
		if err != nil {
			err = fmt.Errorf("attach to container %s: %w", l.Name, err)
			// Docker's client shows no more of an answer than its status, and does
			// not go on to the start, which tells why it fails, and ends --rm.
			if conn, taken := hijack(l.Config.Tty); taken == nil {
				defer conn.Close()
			}
			return err
		}
		defer release()
		defer shim.Close()
		stream = shim
	}
	conn, err := hijack(l.Config.Tty)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := m.emit(l.record, events.ActionAttach, nil); err != nil {
		return err
	}
	if opts.Logs {
		all := backend.ContainerLogs{Stdout: opts.Stdout, Stderr: opts.Stderr, Tail: -1}
		if err := m.Logs(ctx, l.ID, all, func(bool) (io.Writer, error) { return conn, nil }); err != nil {
			return err
		}
	}
	if stream == nil {
		return conn.CloseWrite()
	}
	splice(ctx, conn, stream)
	return nil
}

func (m *Module) shimAttach(ctx context.Context, l live, req shimapi.Attach) (*net.UnixConn, func(), error) {
	if l.state != nil {
		client, err := m.client(ctx, l.ID)
		if err != nil {
			return nil, nil, err
		}
		conn, err := client.Attach(ctx, req)
		return conn, func() {}, err
	}
	b, release, err := m.bind(ctx, l.ID)
	if err != nil {
		return nil, nil, err
	}
	conn, err := b.client.Attach(ctx, req)
	if err != nil {
		release()
		return nil, nil, err
	}
	return conn, release, nil
}

// detachKeys reads docker's notation; none means ctrl-p ctrl-q.
func detachKeys(notation string) ([]byte, error) {
	if notation == "" {
		notation = "ctrl-p,ctrl-q"
	}
	keys, err := term.ToBytes(notation)
	if err != nil {
		return nil, invalid("Invalid detach keys (%s) provided", notation)
	}
	return keys, nil
}

// splice moves bytes both ways until the shim has no more output. Both ends
// are unix sockets, so the copies are the kernel's (splice(2)) where it can.
// The client's end of input is passed on as such; a client that is gone
// shows when output reaches it, or ends the input and nothing else.
func splice(ctx context.Context, client backend.Conn, shim *net.UnixConn) {
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		shim.Close()
	})
	defer stop()
	go func() {
		// Errors show on the output's side: a shim that is gone ends it.
		_, _ = io.Copy(shim, client)
		_ = shim.CloseWrite()
	}()
	_, _ = io.Copy(client, shim)
	_ = client.CloseWrite()
}
