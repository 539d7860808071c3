//go:build cgo

package runtime

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/utils"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/thread"
)

// Stdio is where a process's streams go: the container's ends of pipes (nil:
// /dev/null), or a terminal that the process's init makes and hands out.
type Stdio struct {
	Stdin, Stdout, Stderr *os.File
	Terminal              bool
}

// Process is a started process, an init or an exec.
type Process struct {
	Pid     int
	Console *os.File // the terminal's master with Stdio.Terminal, else nil; the caller closes it
	handle
}

// handle is how the driver that started a process waits for it and signals it.
type handle interface {
	Wait() (*os.ProcessState, error)
	Signal(sig os.Signal) error
}

func (c *native) run(p *specs.Process, stdio Stdio, start func(*libcontainer.Process) error) (*Process, error) {
	lp, err := newProcess(p)
	if err != nil {
		return nil, err
	}
	var console *os.File // our end of the socket that the terminal comes through
	if stdio.Terminal {
		console, lp.ConsoleSocket, err = utils.NewSockPair("console")
		if err != nil {
			return nil, fmt.Errorf("make the console socket: %w", err)
		}
		defer console.Close()
		defer lp.ConsoleSocket.Close()
	} else {
		setFiles(lp, stdio)
	}
	if err := startCalm(lp, start); err != nil {
		return nil, err
	}
	proc := &Process{handle: lp}
	if proc.Pid, err = lp.Pid(); err == nil && stdio.Terminal {
		proc.Console, err = receiveConsole(console)
	}
	if err != nil {
		kill(lp)
		return nil, err
	}
	return proc, nil
}

// startCalm starts a process whose Go runtime does not wake up all the time
// while it makes the container; main gives the container's process its usual slack back.
func startCalm(lp *libcontainer.Process, start func(*libcontainer.Process) error) error {
	thread.SetSlack(thread.CalmSlack)
	defer thread.SetSlack(thread.UsualSlack)
	return start(lp)
}

// kill ends a process that is of no use, and waits for its end.
func kill(lp *libcontainer.Process) {
	_ = lp.Signal(unix.SIGKILL)
	_, _ = lp.Wait()
}

// setFiles fills the streams one by one: a nil *os.File in an io.Reader would
// not be nil.
func setFiles(lp *libcontainer.Process, stdio Stdio) {
	if stdio.Stdin != nil {
		lp.Stdin = stdio.Stdin
	}
	if stdio.Stdout != nil {
		lp.Stdout = stdio.Stdout
	}
	if stdio.Stderr != nil {
		lp.Stderr = stdio.Stderr
	}
}

// receiveConsole takes the terminal's master out of the socket. It is made
// non-blocking, so that a close wakes its readers.
func receiveConsole(socket *os.File) (*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	name := make([]byte, 4096)
	_, oobn, _, _, err := unix.Recvmsg(int(socket.Fd()), name, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("receive the console: %w", os.NewSyscallError("recvmsg", err))
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("receive the console: %d control messages: %w", len(messages), errors.Join(err))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("receive the console: %d descriptors: %w", len(fds), errors.Join(err))
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		return nil, fmt.Errorf("receive the console: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "console"), nil
}

// Wait waits for the end and returns the exit code, 128+n for signal n.
func (p *Process) Wait() (int, error) {
	state, err := p.handle.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 255, fmt.Errorf("wait for process %d: %w", p.Pid, err)
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// Signal sends a signal to this process alone.
func (p *Process) Signal(sig unix.Signal) error { return p.handle.Signal(sig) }
