package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// socket is a unix socket through which an executable reaches the invocation's
// engine. It lives as long as the executable runs, in a folder that only the
// user can enter.
type socket struct {
	path     string
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
	ctx      context.Context
	cancel   context.CancelFunc
	conns    sync.WaitGroup
}

func listen(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*socket, error) {
	dir, err := os.MkdirTemp("", "nacre-plugin-") // 0700
	if err != nil {
		return nil, fmt.Errorf("make a socket for the plugin: %w", err)
	}
	path := filepath.Join(dir, "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("make a socket for the plugin: %w", errors.Join(err, os.RemoveAll(dir)))
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &socket{path: path, listener: l, dial: dial, ctx: ctx, cancel: cancel}
	s.conns.Go(s.serve)
	return s, nil
}

// close ends all connections and removes the socket.
func (s *socket) close() {
	s.cancel()
	s.listener.Close()
	s.conns.Wait()
	os.RemoveAll(filepath.Dir(s.path))
}

func (s *socket) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.conns.Go(func() { s.join(conn) })
	}
}

// join passes bytes both ways and each side's end of sending on: attach and
// exec close one half and go on reading the other.
func (s *socket) join(conn net.Conn) {
	defer conn.Close()
	engine, err := s.dial(s.ctx)
	if err != nil {
		return // the executable sees a connection that ends, and says so
	}
	defer engine.Close()
	stop := context.AfterFunc(s.ctx, func() {
		conn.Close()
		engine.Close()
	})
	defer stop()
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(engine, conn)
		closeWrite(engine)
	})
	io.Copy(conn, engine)
	closeWrite(conn)
	up.Wait()
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	c.Close()
}
