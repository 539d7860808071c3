package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// serveGrace is how long requests may go on after Serve was told to end.
const serveGrace = 5 * time.Second

// longestSocket is the kernel's bound of a socket's path, unix(7).
const longestSocket = 107

// Serve serves the API on the hosts, unix://PATH or fd:// (the sockets that
// systemd passes), until the context ends. It fails with
// errdefs.ErrInvalidArgument on other hosts and errdefs.ErrUnavailable when
// another engine listens there.
func (e *Engine) Serve(ctx context.Context, hosts []string) error {
	listeners, err := listenAll(hosts)
	if err != nil {
		return err
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- e.server.Serve(l) }()
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveGrace)
		defer cancel()
		err = e.server.Shutdown(grace)
	}
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.DeadlineExceeded) {
		return nil // streams that were open have been cut, as asked
	}
	return err
}

// listenAll opens every host or none.
func listenAll(hosts []string) ([]net.Listener, error) {
	if len(hosts) == 0 {
		return nil, errdefs.ErrInvalidArgument.WithMessage("no host to serve on\nhint: -H unix:///run/nacre/nacre.sock")
	}
	var all []net.Listener
	for _, host := range hosts {
		some, err := listen(host)
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func listen(host string) ([]net.Listener, error) {
	scheme, rest, found := strings.Cut(host, "://")
	switch {
	case !found:
		return nil, badHost("invalid host %q: it must be unix://PATH or fd://", host)
	case scheme == "unix" && rest != "":
		l, err := listenUnix(rest)
		return []net.Listener{l}, err
	case scheme == "fd":
		return inherited()
	case scheme == "tcp":
		return nil, badHost("%s: serving on TCP needs mutual TLS, which is not served by this engine yet\nhint: serve on a unix socket and connect with -H ssh://USER@HOST", host)
	}
	return nil, badHost("invalid host %q: it must be unix://PATH or fd://", host)
}

func badHost(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}

func inherited() ([]net.Listener, error) {
	all, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take over systemd's sockets: %w", err)
	}
	var usable []net.Listener
	for _, l := range all {
		if l == nil {
			continue // no stream socket
		}
		if l.Addr().Network() != "unix" {
			l.Close()
			return nil, badHost("%s: systemd passed a socket that is no unix socket", l.Addr())
		}
		usable = append(usable, l)
	}
	if len(usable) == 0 {
		return nil, badHost("fd://: systemd passed no sockets")
	}
	return usable, nil
}

// listenUnix listens on a socket that only root may use, or the members of a
// group docker or nacre where there is one. The mode is right from the moment
// the socket appears.
func listenUnix(path string) (net.Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if len(path) > longestSocket {
		return nil, badHost("listen on %s: the path has %d characters, a socket's may have %d", path, len(path), longestSocket)
	}
	if err := makeWay(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	private := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmodErr error
		err := raw.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmodErr)
	}}
	l, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := openToGroup(path); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// makeWay removes the socket that a dead engine left, and nothing else.
func makeWay(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("listen on %s: there is a file that is no socket: %w", path, errdefs.ErrFailedPrecondition)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("listen on %s: an engine is serving there already: %w", path, errdefs.ErrUnavailable)
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	return nil
}

func openToGroup(path string) error {
	for _, name := range []string{"docker", "nacre"} {
		group, err := user.LookupGroup(name)
		if err != nil {
			continue
		}
		gid, err := strconv.Atoi(group.Gid)
		if err != nil {
			continue
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("give %s to group %s: %w", path, name, err)
		}
		if err := os.Chmod(path, 0o660); err != nil {
			return fmt.Errorf("give %s to group %s: %w", path, name, err)
		}
		return nil
	}
	return nil
}
