package prompt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// terminal is the device: its modes, its size, and single bytes from it. It
// reads byte by byte, because what is read cannot be given back and the bytes
// after an Enter belong to the command that the line starts.
type terminal struct {
	in, out *os.File
	fd      int
	wake    int // eventfd: something but a key wants attention

	mu    sync.Mutex
	sane  unix.Termios // modes that a person can work in
	saved unix.Termios // modes to restore
	raw   bool
	// rawModes are those that enterRaw has set.
	rawModes unix.Termios
	err      error // the terminal has gone away
}

func openTerminal(in, out *os.File) (*terminal, error) {
	t := &terminal{in: in, out: out, fd: int(in.Fd())}
	for _, s := range []struct {
		name string
		file *os.File
	}{{"input", in}, {"output", out}} {
		if _, err := unix.IoctlGetTermios(int(s.file.Fd()), unix.TCGETS); err != nil {
			return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("open the prompt: standard %s is not a terminal", s.name))
		}
	}
	modes, err := unix.IoctlGetTermios(t.fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("open the prompt: read terminal modes: %w", err)
	}
	t.sane = *modes
	// A program that died may have left the terminal raw before we came.
	t.sane.Lflag |= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.sane.Iflag |= unix.ICRNL
	t.sane.Oflag |= unix.OPOST | unix.ONLCR
	if t.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("open the prompt: eventfd: %w", err)
	}
	return t, nil
}

func (t *terminal) close() error {
	return errors.Join(t.restore(), unix.Close(t.wake))
}

// enterRaw takes keys one by one: no echo, no signals. Carriage returns still
// become newlines, so that lines typed ahead reach a command as it expects
// them; output is processed as ever. What is typed already is kept.
func (t *terminal) enterRaw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.raw {
		return nil
	}
	// Programs that share the terminal may have left it non-blocking.
	for _, fd := range []int{t.fd, int(t.out.Fd())} {
		if err := unix.SetNonblock(fd, false); err != nil {
			return fmt.Errorf("prepare the terminal: %w", err)
		}
	}
	modes, err := unix.IoctlGetTermios(t.fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read terminal modes: %w", err)
	}
	t.saved = *modes
	if modes.Lflag&unix.ICANON == 0 || modes.Lflag&unix.ECHO == 0 {
		t.saved = t.sane // left behind by a program that died
	}
	raw := t.saved
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.IXON
	raw.Iflag |= unix.ICRNL
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.IEXTEN | unix.ISIG
	raw.Oflag |= unix.OPOST | unix.ONLCR
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 0, 0
	if err := setModes(t.fd, &raw); err != nil {
		return fmt.Errorf("set terminal modes: %w", err)
	}
	t.raw, t.rawModes = true, raw
	return nil
}

// again sets the raw modes anew: while the process was stopped, its parent has
// had the terminal.
func (t *terminal) again() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.raw {
		return nil
	}
	return setModes(t.fd, &t.rawModes)
}

// awaitForeground waits until the terminal is this process group's. Who sets
// modes in the background is stopped by the kernel, or, where that signal is
// caught as shells do, tries for ever.
func (t *terminal) awaitForeground(ctx context.Context) error {
	for {
		group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
		if err != nil || group == unix.Getpgrp() {
			return nil // an error: not our controlling terminal, nobody stops us
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *terminal) restore() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.raw {
		return nil
	}
	t.raw = false
	if err := setModes(t.fd, &t.saved); err != nil {
		return fmt.Errorf("restore terminal modes: %w", err)
	}
	return nil
}

func setModes(fd int, modes *unix.Termios) error {
	for {
		// TCSETSW lets output finish and, unlike TCSETSF, keeps what was typed ahead.
		err := unix.IoctlSetTermios(fd, unix.TCSETSW, modes)
		if err != unix.EINTR {
			return err
		}
	}
}

// size is the window's size; terminals that do not know theirs count as 80x24.
func (t *terminal) size() (cols, rows int) {
	ws, err := unix.IoctlGetWinsize(int(t.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Col == 0 || ws.Row == 0 {
		return 80, 24
	}
	return int(ws.Col), int(ws.Row)
}

// interruptible as a wait means: without limit, until interrupt is called.
const interruptible time.Duration = -1

// readByte waits for a byte, or for a call of interrupt when wait is < 0.
// Inside a sequence (wait >= 0) interrupts have to wait.
func (t *terminal) readByte(wait time.Duration) (byte, bool) {
	fds := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
	ms := -1
	if wait >= 0 {
		ms = int(wait.Milliseconds())
	} else {
		fds = append(fds, unix.PollFd{Fd: int32(t.wake), Events: unix.POLLIN})
	}
	for {
		n, err := unix.Poll(fds, ms)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.fail(fmt.Errorf("wait for keys: %w", err))
			return 0, false
		}
		if n == 0 || fds[0].Revents == 0 {
			return 0, false
		}
		return t.readReady(fds[0].Revents)
	}
}

func (t *terminal) readReady(events int16) (byte, bool) {
	var buf [1]byte
	n, err := unix.Read(t.fd, buf[:])
	switch {
	case n == 1:
		return buf[0], true
	case err == unix.EINTR || err == unix.EAGAIN:
		return 0, false
	case err == unix.EIO && events&unix.POLLHUP != 0: // its other end is closed, and it is not hung up yet
		t.fail(errHangup)
	case err != nil:
		t.fail(fmt.Errorf("read keys: %w", err))
	case events&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
		t.fail(errHangup)
	}
	return 0, false
}

var errHangup = errors.New("read keys: the terminal is gone")

func (t *terminal) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

func (t *terminal) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// interrupt makes a readByte that waits without limit return.
func (t *terminal) interrupt() {
	one := [8]byte{1}
	_, _ = unix.Write(t.wake, one[:]) // a full counter wakes just as well
}

// quiet forgets interrupts.
func (t *terminal) quiet() {
	var buf [8]byte
	_, _ = unix.Read(t.wake, buf[:]) // nothing to read is what it wants
}
