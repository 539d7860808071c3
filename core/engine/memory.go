package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Dial connects to the engine in this process. The connection is one end of a
// real socket pair, because attach and exec take it over and close its two
// directions one by one.
func (e *Engine) Dial(ctx context.Context) (net.Conn, error) {
	e.inMemory.Do(func() {
		go func() { _ = e.server.Serve(e.memory) }() // ends with the listener; there is no other error
	})
	client, server, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("connect to the engine: %w", err)
	}
	if err := e.memory.hand(ctx, server); err != nil {
		client.Close()
		server.Close()
		return nil, fmt.Errorf("connect to the engine: %w", err)
	}
	return client, nil
}

func socketPair() (a, b net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if a, err = connOf(fds[0]); err != nil {
		unix.Close(fds[1])
		return nil, nil, err
	}
	if b, err = connOf(fds[1]); err != nil {
		a.Close()
		return nil, nil, err
	}
	return a, b, nil
}

// connOf makes a *net.UnixConn of a descriptor, which it closes: net.FileConn
// works on a duplicate.
func connOf(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket pair")
	defer f.Close()
	return net.FileConn(f)
}

// memoryListener hands the server's ends of socket pairs to http.Server.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) hand(ctx context.Context, conn net.Conn) error {
	select {
	case l.conns <- conn:
		return nil
	case <-l.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
