package resolver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// patience is how long a request may take, the start of the process included,
// on a machine that is very busy.
const patience = 30 * time.Second

// Client talks to the resolver of one engine.
type Client struct {
	Dir    string                 // the resolver's folder, in the exec root
	Binary func() (string, error) // finds the program
}

// Register makes the resolver answer a container, and answer for it; netns is
// an open descriptor of its network namespace. It may be called again with
// other networks. The resolver is started where it does not run.
func (c *Client) Register(ctx context.Context, r Registration, netns int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := c.exchange(ctx, Request{Register: &r}, netns)
		if !errors.Is(err, errNotThere) {
			return err
		}
		if err := c.start(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("reach the resolver of network names in %s: %w: %w", c.Dir, err, errdefs.ErrUnavailable)
		}
	}
}

// Unregister takes a container out; nothing happens where no resolver runs.
func (c *Client) Unregister(ctx context.Context, container string) error {
	return c.ifRunning(ctx, Request{Unregister: container})
}

// Rename replaces a container's name; nothing happens where it is not registered.
func (c *Client) Rename(ctx context.Context, container, old, name string) error {
	return c.ifRunning(ctx, Request{Rename: &Rename{Container: container, Old: old, New: name}})
}

// Stop ends the resolver, if it runs, and returns when it has ended.
func (c *Client) Stop(ctx context.Context) error {
	if err := c.ifRunning(ctx, Request{Stop: true}); err != nil {
		return err
	}
	return c.awaitEnd(ctx)
}

// Revive starts the resolver again where it should run and does not, because
// both its processes were killed or the machine took them.
func (c *Client) Revive(ctx context.Context) error {
	left, err := os.ReadDir(filepath.Join(c.Dir, ContainersDir))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(left) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the resolver: %w", err)
	}
	conn, err := c.dial(ctx)
	if err == nil {
		return conn.Close()
	}
	if !errors.Is(err, errNotThere) {
		return err
	}
	return c.start(ctx)
}

func (c *Client) ifRunning(ctx context.Context, r Request) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.exchange(ctx, r, -1); err != nil && !errors.Is(err, errNotThere) {
		return err
	}
	return nil
}

// errNotThere says that no resolver listens, or that it ended before it answered.
var errNotThere = errors.New("no resolver listens")

func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	dir, err := os.OpenFile(c.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNotThere
	}
	if err != nil {
		return nil, fmt.Errorf("reach the resolver: %w", err)
	}
	defer dir.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", ShortPath(dir)) // an exec root may be longer than a socket's address
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, errNotThere
	}
	if err != nil {
		return nil, fmt.Errorf("reach the resolver in %s: %w", c.Dir, err)
	}
	return conn.(*net.UnixConn), nil
}

// ShortPath is the socket's path over an open folder.
func ShortPath(dir *os.File) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), SocketFile) }

func (c *Client) exchange(ctx context.Context, r Request, fd int) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	if _, _, err := conn.WriteMsgUnix(append(line, '\n'), rights, nil); err != nil {
		return c.lost(ctx, err)
	}
	raw, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	if err != nil {
		return c.lost(ctx, err)
	}
	if len(raw) == 0 {
		return errNotThere
	}
	var reply Reply
	if err := json.Unmarshal(raw, &reply); err != nil {
		return fmt.Errorf("read the resolver's answer: %w", err)
	}
	if reply.Error != "" {
		return fmt.Errorf("resolver of network names: %s", reply.Error)
	}
	return nil
}

// lost words the end of a connection: the caller's impatience, or a resolver that has died.
func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask the resolver in %s: %w", c.Dir, ctx.Err())
	}
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return errNotThere
	}
	return fmt.Errorf("ask the resolver in %s: %w", c.Dir, err)
}

// start starts the process and returns when it listens, or when another has
// the lock and soon will.
func (c *Client) start(ctx context.Context) error {
	binary, err := c.Binary()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("start the resolver: %w", err)
	}
	ready, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the resolver: %w", err)
	}
	defer ready.Close()
	cmd := exec.Command(binary, c.Dir)
	cmd.Dir = "/" // hold no other folder's file system busy
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no signal of our terminal reaches it
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("start the resolver: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := context.AfterFunc(ctx, func() { ready.Close() })
	defer stop()
	var said [1]byte
	if n, _ := ready.Read(said[:]); n == 1 {
		return nil
	}
	select {
	case err := <-ended: // it found the lock taken, or it could not start
		if err != nil {
			return fmt.Errorf("start the resolver: %w (see %s): %w", err, filepath.Join(c.Dir, LogFile), errdefs.ErrUnavailable)
		}
		return pause(ctx)
	case <-ctx.Done():
		return fmt.Errorf("start the resolver: %w", ctx.Err())
	}
}

// pause lets the one that has the lock get on.
func pause(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("start the resolver: %w", ctx.Err())
	}
}

// awaitEnd waits until the guard has let go of its lock.
func (c *Client) awaitEnd(ctx context.Context) error {
	lock, err := os.OpenFile(filepath.Join(c.Dir, LockFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop the resolver: %w", err)
	}
	defer lock.Close()
	for deadline := time.Now().Add(patience); ; {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return fmt.Errorf("stop the resolver: wait for its end: %w", err)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}
