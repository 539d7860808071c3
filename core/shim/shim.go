//go:build cgo

package shim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/runtime"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	// lockPatience is how long a Bind waits for the shim of the previous run to clean up.
	lockPatience = 10 * time.Second
	logFile      = "shim.log"
)

// Run lives a shim's life on the control connection that its parent made. It
// returns when the container has ended and everything is cleaned up.
func Run(ctx context.Context, control *os.File) error {
	conn, err := net.FileConn(control)
	if err != nil {
		return fmt.Errorf("use the control connection: %w", err)
	}
	control.Close()
	defer conn.Close()
	netns, err := newNetNS()
	hello := shimapi.Hello{}
	if err != nil {
		hello.Error = err.Error()
	} else {
		defer netns.Close() // and not before: it is known by its number
		hello.NetNS = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), netns.Fd())
	}
	if err := shimapi.WriteLine(conn, hello); err != nil {
		return nil // the parent left; nothing was done yet
	}
	go getWarm()
	idle := time.AfterFunc(settledAfter, debug.FreeOSMemory) // one that waits for its container waits for long
	var req shimapi.Request
	decoder := json.NewDecoder(conn)
	err = decoder.Decode(&req)
	idle.Stop()
	if err != nil || req.Bind == nil {
		return nil // never used
	}
	c := newContainer(*req.Bind, hello.NetNS)
	lock, listener, err := bind(ctx, req.Bind)
	if err != nil {
		return shimapi.WriteLine(conn, shimapi.ReplyError(err))
	}
	defer lock.Close()
	if err := c.saveState(); err != nil {
		return shimapi.WriteLine(conn, shimapi.ReplyError(err))
	}
	if err := shimapi.WriteLine(conn, shimapi.Reply{}); err != nil {
		return nil
	}
	newServer(c, listener).serve(conn)
	return nil
}

// getWarm does now what would cost time at the first start.
func getWarm() {
	// encoding/json learns the types; it takes as long as all else in here.
	_, _ = json.Marshal(shimapi.Request{})
	runtime.Warm()
}

// bind makes this the shim of a container: the lock first, then the socket.
func bind(ctx context.Context, b *shimapi.Bind) (*os.File, *net.UnixListener, error) {
	for _, dir := range []string{b.RunDir, b.StateDir} {
		if !filepath.IsAbs(dir) {
			return nil, nil, &shimapi.Error{Message: fmt.Sprintf("bind: %q is not an absolute path", dir), Class: shimapi.ClassInvalid}
		}
	}
	lock, err := takeLock(ctx, b.RunDir)
	if err != nil {
		return nil, nil, err
	}
	listener, err := shimapi.Listen(b.RunDir)
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	if err := logTo(filepath.Join(b.RunDir, logFile)); err != nil {
		lock.Close()
		listener.Close()
		return nil, nil, err
	}
	dropPrepared(b.RunDir) // of a run whose shim was killed
	return lock, listener, nil
}

// takeLock waits while the shim of the previous run finishes, and gives up at
// once where that shim still has a container to run.
func takeLock(ctx context.Context, runDir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(runDir, shimapi.LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the container: %w", err)
	}
	deadline := time.Now().Add(lockPatience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock the container: %w", err)
		}
		if inUse(ctx, runDir) || time.Now().After(deadline) {
			f.Close()
			return nil, &shimapi.Error{Message: "the container is already started", Class: shimapi.ClassConflict}
		}
		time.Sleep(pause)
	}
}

// inUse asks the shim that holds the lock.
func inUse(ctx context.Context, runDir string) bool {
	client, err := shimapi.Dial(ctx, runDir)
	if err != nil {
		return false
	}
	defer client.Close()
	state, err := client.State(ctx)
	return err == nil && state.Status != shimapi.StatusExited
}

// logTo sends warnings, ours and libcontainer's, and a crash's trace to a file.
func logTo(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the shim's log: %w", err)
	}
	defer f.Close()
	return unix.Dup3(int(f.Fd()), 2, 0)
}
