package shimapi

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Client talks to one container's shim. It is safe for use by many goroutines:
// every request has a connection of its own.
type Client struct {
	runDir  string
	control *net.UnixConn // of the shim that this process spawned; nil after Dial
}

// Dial finds the shim of a container that is bound or runs. It fails with
// errdefs.ErrNotFound where there is none.
func Dial(ctx context.Context, runDir string) (*Client, error) {
	conn, err := dial(ctx, runDir)
	if err != nil {
		return nil, err
	}
	conn.Close()
	return &Client{runDir: runDir}, nil
}

// Close lets go of the shim. One that runs a container goes on; one that was
// bound and never started ends with its last client.
func (c *Client) Close() error {
	if c.control == nil {
		return nil
	}
	return c.control.Close()
}

// call makes one request on a connection of its own and hands out the
// connection. A shim that was there and is not any more is errdefs.ErrUnavailable.
func (c *Client) call(ctx context.Context, req *Request) (*net.UnixConn, *Reply, error) {
	conn, err := dial(ctx, c.runDir)
	if errdefs.IsNotFound(err) {
		return nil, nil, shimGone(ctx, errors.New("it has ended"))
	}
	if err != nil {
		return nil, nil, err
	}
	reply, err := exchange(ctx, conn, req)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, reply, nil
}

func (c *Client) do(ctx context.Context, req *Request) (*Reply, error) {
	conn, reply, err := c.call(ctx, req)
	if err != nil {
		return nil, err
	}
	conn.Close()
	return reply, nil
}

// Start runs the container and returns its init's process id. An *Error with
// Code 126 or 127 says that the command could not be run; the shim has written
// exit.json then and ends.
func (c *Client) Start(ctx context.Context, start *Start) (pid int, err error) {
	reply, err := c.do(ctx, &Request{Start: start})
	if err != nil {
		return 0, err
	}
	return reply.Pid, nil
}

// Release lets a held start go on, or cancels it.
func (c *Client) Release(ctx context.Context, release Release) error {
	_, err := c.do(ctx, &Request{Release: &release})
	return err
}

// State asks what runs now.
func (c *Client) State(ctx context.Context) (*State, error) {
	reply, err := c.do(ctx, &Request{State: &struct{}{}})
	if err != nil {
		return nil, err
	}
	return reply.State, nil
}

// WaitResult is how a wait ended: Err is the context's, or
// errdefs.ErrUnavailable where the shim died.
type WaitResult struct {
	Exit *Exit
	Err  error
}

// Wait registers at once and delivers one result when the container ends, not
// at a restart by policy.
func (c *Client) Wait(ctx context.Context) (<-chan WaitResult, error) {
	return c.wait(ctx, &Request{Wait: &struct{}{}})
}

// WaitNext is Wait for the next end of the init, whether or not a restart follows.
func (c *Client) WaitNext(ctx context.Context) (<-chan WaitResult, error) {
	return c.wait(ctx, &Request{WaitNext: &struct{}{}})
}

func (c *Client) wait(ctx context.Context, req *Request) (<-chan WaitResult, error) {
	conn, _, err := c.call(ctx, req)
	if err != nil {
		return nil, err
	}
	result := make(chan WaitResult, 1)
	go func() {
		defer conn.Close()
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		defer stop()
		reply, err := readReply(conn)
		if err == nil {
			err = reply.Err()
		} else {
			awaitDeath(ctx, c.runDir)
			err = shimGone(ctx, err)
		}
		if err != nil {
			result <- WaitResult{Err: err}
			return
		}
		result <- WaitResult{Exit: reply.Exit}
	}()
	return result, nil
}

// awaitDeath waits, not long, until a shim that closed its connections has let
// go of the lock too: whoever hears of its death finds it dead.
func awaitDeath(ctx context.Context, runDir string) {
	f, err := os.Open(filepath.Join(runDir, LockFile))
	if err != nil {
		return
	}
	defer f.Close()
	for range 500 {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		if ctx.Err() != nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Attach joins the container's streams. Stdin goes into the connection
// (CloseWrite is end of file), output comes out of it: raw with a terminal, in
// stdcopy frames without. It may be asked for before the start.
func (c *Client) Attach(ctx context.Context, attach Attach) (*net.UnixConn, error) {
	conn, _, err := c.call(ctx, &Request{Attach: &attach})
	return conn, err
}

// Kill sends a signal.
func (c *Client) Kill(ctx context.Context, kill Kill) error {
	_, err := c.do(ctx, &Request{Kill: &kill})
	return err
}

// Pause freezes the container, or with false lets it go on.
func (c *Client) Pause(ctx context.Context, pause bool) error {
	_, err := c.do(ctx, &Request{Pause: &pause})
	return err
}

// Hold pauses the container until release is called, or this process ends,
// however it does. One that somebody else let go on meanwhile, and perhaps
// paused again, is left alone then.
func (c *Client) Hold(ctx context.Context) (release func() error, err error) {
	conn, _, err := c.call(ctx, &Request{Hold: &struct{}{}})
	if err != nil {
		return nil, err
	}
	return func() error {
		defer conn.Close()
		if err := conn.CloseWrite(); err != nil {
			return shimGone(ctx, err)
		}
		reply, err := readReply(conn)
		if err != nil {
			return shimGone(ctx, err)
		}
		return reply.Err()
	}, nil
}

// Resize sets the terminal's size; before the start it is kept for the start.
func (c *Client) Resize(ctx context.Context, rows, columns uint) error {
	_, err := c.do(ctx, &Request{Resize: &Resize{Rows: rows, Columns: columns}})
	return err
}

// Exec runs a further process and returns its process id. With streams
// (unless exec.Detach) the connection carries them as Attach's does; its end of
// file comes after the exit code is known to State.
func (c *Client) Exec(ctx context.Context, exec Exec) (conn *net.UnixConn, pid int, err error) {
	conn, reply, err := c.call(ctx, &Request{Exec: &exec})
	if err != nil {
		return nil, 0, err
	}
	if exec.Detach {
		conn.Close()
		conn = nil
	}
	return conn, reply.Pid, nil
}

// ExecResize sets the size of an exec's terminal.
func (c *Client) ExecResize(ctx context.Context, id string, rows, columns uint) error {
	_, err := c.do(ctx, &Request{ExecResize: &ExecResize{ID: id, Resize: Resize{Rows: rows, Columns: columns}}})
	return err
}

// ExecKill sends a signal to an exec's process. It fails with
// errdefs.ErrConflict where that has ended.
func (c *Client) ExecKill(ctx context.Context, id string, signal int) error {
	_, err := c.do(ctx, &Request{ExecKill: &ExecKill{ID: id, Signal: signal}})
	return err
}

// Update changes limits and the restart policy; nil leaves one as it is, and
// so does a nil field of the resources.
func (c *Client) Update(ctx context.Context, resources *specs.LinuxResources, restart *Restart) error {
	_, err := c.do(ctx, &Request{Update: &Update{Resources: resources, Restart: restart}})
	return err
}

// Rename gives the container another name in the events to come.
func (c *Client) Rename(ctx context.Context, name string) error {
	_, err := c.do(ctx, &Request{Rename: &name})
	return err
}
