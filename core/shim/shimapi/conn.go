package shimapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// maxLine bounds one line of the protocol; a Start with a large specification
// is some 60 KB.
const maxLine = 16 << 20

// dial connects to the socket in runDir. The way over an open folder keeps the
// address short: sun_path holds 108 bytes, an exec root may be longer.
func dial(ctx context.Context, runDir string) (*net.UnixConn, error) {
	dir, err := os.OpenFile(runDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to the shim: %w", notThere(err))
	}
	defer dir.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", shortPath(dir))
	if err != nil {
		return nil, fmt.Errorf("connect to the shim in %s: %w", runDir, notThere(err))
	}
	return conn.(*net.UnixConn), nil
}

func shortPath(dir *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), SocketFile)
}

// notThere classes the errors that mean that no shim listens.
func notThere(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("%w: %w", err, errdefs.ErrNotFound)
	}
	return err
}

// Listen makes the socket of runDir, for root only, in the place of one that a
// dead shim left behind. The caller holds the lock.
func Listen(runDir string) (*net.UnixListener, error) {
	dir, err := os.OpenFile(runDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	defer dir.Close()
	path := filepath.Join(runDir, SocketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen: remove the old socket: %w", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", os.NewSyscallError("socket", err))
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: shortPath(dir)}); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, os.NewSyscallError("bind", err))
	}
	// Between bind and listen nobody can connect, so the mode is right from the start.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := unix.Listen(fd, 128); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, os.NewSyscallError("listen", err))
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	unixListener := l.(*net.UnixListener)
	unixListener.SetUnlinkOnClose(false)
	return unixListener, nil
}

// WriteLine sends one JSON line.
func WriteLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// ReadRequest reads the one line that a connection begins with. Clients send
// nothing more before they got the answer, so nothing of a stream is lost in
// the decoder's buffer.
func ReadRequest(r io.Reader) (*Request, error) {
	var req Request
	if err := json.NewDecoder(io.LimitReader(r, maxLine)).Decode(&req); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return &req, nil
}

// readReply reads one line and not a byte more: what follows it may be a stream.
func readReply(conn *net.UnixConn) (*Reply, error) {
	line, err := readLine(conn)
	if err != nil {
		return nil, err
	}
	var reply Reply
	if err := json.Unmarshal(line, &reply); err != nil {
		return nil, fmt.Errorf("read the shim's answer: %w", err)
	}
	return &reply, nil
}

// readLine looks at what has come before it takes it, up to the line's end.
func readLine(conn *net.UnixConn) ([]byte, error) {
	var line []byte
	for chunk := make([]byte, 4096); len(line) < maxLine; {
		n, err := peek(conn, chunk)
		if err != nil {
			return nil, err
		}
		end := bytes.IndexByte(chunk[:n], '\n')
		if end >= 0 {
			n = end + 1
		}
		if _, err := io.ReadFull(conn, chunk[:n]); err != nil {
			return nil, err
		}
		line = append(line, chunk[:n]...)
		if end >= 0 {
			return line, nil
		}
	}
	return nil, errors.New("read the shim's answer: the line is too long")
}

// peek waits for bytes and leaves them where they are; io.EOF when none will come.
func peek(conn *net.UnixConn, b []byte) (n int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Read(func(fd uintptr) bool {
		for {
			n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, os.NewSyscallError("recvfrom", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// asked is the one field of a request that is set, under its name: in JSON the
// same as the request. But encoding/json learns all that a type can hold before
// it writes the first value, and a request can be a Start, with the whole OCI
// specification in it: a millisecond for a process that only asks for a state.
func (r *Request) asked() map[string]any {
	set := map[string]any{}
	for field, value := range reflect.ValueOf(r).Elem().Fields() {
		if !value.IsNil() {
			set[field.Name] = value.Interface()
		}
	}
	return set
}

// exchange sends a request and reads the answer; it gives up when the context
// ends. The connection is usable afterwards unless an error came.
func exchange(ctx context.Context, conn *net.UnixConn, req *Request) (*Reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := WriteLine(conn, req.asked()); err != nil {
		return nil, shimGone(ctx, err)
	}
	reply, err := readReply(conn)
	if err != nil {
		return nil, shimGone(ctx, err)
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return reply, reply.Err()
}

// shimGone words the loss of the connection: the caller's own impatience, or a
// shim that died.
func shimGone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("the container's shim is gone: %w: %w", err, errdefs.ErrUnavailable)
}
