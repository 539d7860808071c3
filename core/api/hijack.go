package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/moby/moby/api/pkg/stdcopy"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// hijacked runs the work of a request that turns its connection into a byte
// stream. Before the work takes the connection, its error becomes the answer;
// afterwards it is written into the stream, as in docker. The work's context
// ends when the client has closed both directions.
func (s *server) hijacked(w http.ResponseWriter, r *request, work func(context.Context, backend.Hijack) error) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var taken *takenConn
	err := work(ctx, func(tty bool) (backend.Conn, error) {
		var err error
		taken, err = takeOver(w, r, tty)
		if err != nil {
			return nil, err
		}
		taken.stopWatch = watchHangup(taken.net, cancel)
		return taken.stream, nil
	})
	if taken == nil {
		return err
	}
	defer taken.close()
	if err != nil && ctx.Err() == nil && !left(err) {
		taken.report(err)
	}
	return nil
}

// hijackedAnyway is hijacked for clients that cannot show an error answer when
// they have asked for a stream: docker's client prints no more of it than its
// status. What fails before the work takes the connection is written into the
// stream as well.
func (s *server) hijackedAnyway(w http.ResponseWriter, r *request, tty bool, work func(context.Context, backend.Hijack) error) error {
	err := s.hijacked(w, r, work)
	if err == nil || r.Header.Get("Upgrade") == "" {
		return err
	}
	taken, errTake := takeOver(w, r, tty)
	if errTake != nil {
		return err
	}
	taken.report(err)
	return taken.net.Close()
}

// takenConn is a connection that left HTTP behind.
type takenConn struct {
	net       net.Conn
	stream    backend.Conn
	tty       bool
	stopWatch func()
}

// takeOver takes the connection from net/http and sends the answer's head:
// 101 to clients that ask for an upgrade, 200 to older ones.
func takeOver(w http.ResponseWriter, r *request, tty bool) (*takenConn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	head := "HTTP/1.1 200 OK\r\n"
	if r.Header.Get("Upgrade") != "" {
		head = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
	}
	h := w.Header()
	h.Set("Content-Type", r.streamType(tty))
	out := bufio.NewWriter(conn)
	_, _ = out.WriteString(head) // the buffer keeps the error for Flush
	_ = h.WriteSubset(out, map[string]bool{"Content-Length": true, "Date": true})
	_, _ = out.WriteString("\r\n")
	if err := out.Flush(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	stream, err := streamOf(conn, buffered.Reader)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &takenConn{net: conn, stream: stream, tty: tty}, nil
}

// streamOf gives the connection itself where nothing was read ahead, so that
// the kernel can splice it; else one that yields those bytes first.
func streamOf(conn net.Conn, ahead *bufio.Reader) (backend.Conn, error) {
	plain, ok := conn.(backend.Conn)
	if !ok {
		return nil, fmt.Errorf("a connection of type %T cannot be half closed", conn)
	}
	n := ahead.Buffered()
	if n == 0 {
		return plain, nil
	}
	early, err := ahead.Peek(n)
	if err != nil {
		return nil, fmt.Errorf("read what came with the request: %w", err)
	}
	return &earlyConn{Conn: plain, early: append([]byte(nil), early...)}, nil
}

// earlyConn is a connection whose first bytes have been read already.
type earlyConn struct {
	backend.Conn
	early []byte
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.early)
	c.early = c.early[n:]
	return n, nil
}

// WriteTo lets io.Copy use the plain connection after the early bytes.
func (c *earlyConn) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c.early)
	c.early = c.early[n:]
	if err != nil {
		return int64(n), err
	}
	rest, err := io.Copy(w, c.Conn)
	return int64(n) + rest, err
}

// report writes an error where docker writes it: to standard output.
func (t *takenConn) report(err error) {
	var out io.Writer = t.net
	if !t.tty {
		out = frames{t.net, stdcopy.Stdout}
	}
	_, _ = io.WriteString(out, messageOf(err)+"\r\n")
}

func (t *takenConn) close() {
	t.stopWatch()
	t.net.Close()
}

// watchHangup calls hungUp when the client has closed both directions of the
// connection; a client that only ended its input still waits for output. It
// watches a duplicate of the descriptor, so that reads and writes on the
// connection itself are not held up. The returned function ends the watch.
func watchHangup(conn net.Conn, hungUp func()) (stop func()) {
	dup, err := duplicate(conn)
	if err != nil {
		return func() {} // no descriptors left: the client's leaving shows at the next write
	}
	raw, err := dup.SyscallConn()
	if err != nil {
		dup.Close()
		return func() {}
	}
	go func() {
		// Read calls back whenever the descriptor may have changed.
		if raw.Read(isHungUp) == nil {
			hungUp()
		}
	}()
	return func() { dup.Close() }
}

func isHungUp(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}} // no events asked for: only hang-ups and errors are reported
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

func duplicate(conn net.Conn) (*os.File, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a connection of type %T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(of uintptr) { fd, dupErr = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, dupErr
	}
	return os.NewFile(uintptr(fd), "hijacked connection"), nil
}
