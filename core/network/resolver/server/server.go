// Package server is what nacre-resolver does: a guard that keeps a worker
// alive, and the worker, which has a pair of sockets in every container's
// network namespace and answers what comes in there. The contract is in the
// package above.
package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/inherit"
	"github.com/nacre-sh/nacre/core/network/resolver"
)

// Main runs the program with its arguments: a folder for the guard, -worker
// and a folder for the worker. It returns the exit status.
func Main(args []string) int {
	inherit.Close(3) // which is its connection with who started it
	var err error
	switch {
	case len(args) == 1:
		err = guard(args[0])
	case len(args) == 2 && args[0] == workerFlag:
		err = work(args[1])
	default:
		fmt.Fprintln(os.Stderr, "nacre-resolver is started by nacre and is of no use alone")
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nacre-resolver:", err)
		return 1
	}
	return 0
}

const workerFlag = "-worker"

// restartPause keeps a worker that dies at once from being started in a circle.
const restartPause = 100 * time.Millisecond

// guard holds lock and socket, and starts the worker for as long as it does
// not end by itself.
func guard(dir string) error {
	lock, err := os.OpenFile(filepath.Join(dir, resolver.LockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // as the very last deed
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // another one is there
	}
	log, err := os.Create(filepath.Join(dir, resolver.LogFile))
	if err != nil {
		return err
	}
	defer log.Close()
	if err := unix.Dup3(int(log.Fd()), 2, 0); err != nil { // panics go there too
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, resolver.ContainersDir), 0o700); err != nil {
		return err
	}
	listener, err := listen(dir)
	if err != nil {
		return err
	}
	defer listener.Close()
	ready := os.NewFile(3, "ready")
	for {
		worker, err := startWorker(dir, listener, log)
		if err != nil {
			return err
		}
		if ready != nil { // requests wait in the socket until the worker takes them
			_, _ = ready.Write([]byte{'!'})
			ready.Close()
			ready = nil
		}
		if err := worker.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, "nacre-resolver: the worker has died:", err)
			time.Sleep(restartPause)
			continue
		}
		if !pending(listener) {
			return os.Remove(filepath.Join(dir, resolver.SocketFile))
		}
	}
}

// listen makes the socket, in the place of one that a killed guard left.
func listen(dir string) (*os.File, error) {
	open, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer open.Close()
	path := filepath.Join(dir, resolver.SocketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: resolver.ShortPath(open)}); err != nil {
		f.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := errors.Join(os.Chmod(path, 0o600), unix.Listen(fd, 128)); err != nil {
		f.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return f, nil
}

func startWorker(dir string, listener, log *os.File) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", workerFlag, dir)
	cmd.Args[0] = resolver.Binary
	cmd.Dir, cmd.Env, cmd.Stderr = "/", []string{}, log
	cmd.ExtraFiles = []*os.File{listener}
	return cmd, cmd.Start()
}

// pending says whether somebody has connected whom no worker has taken.
func pending(listener *os.File) bool {
	poll := []unix.PollFd{{Fd: int32(listener.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return err != nil || n > 0
}

// workerListener is the guard's socket, in the worker.
func workerListener() (*net.UnixListener, error) {
	f := os.NewFile(3, "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.New("descriptor 3 is no unix socket")
	}
	u.SetUnlinkOnClose(false)
	return u, nil
}
