package repl

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// terminal is the controlling terminal of an interactive shell: who reads its
// keys, and the modes to come back to when a program leaves it in others.
type terminal struct {
	file  *os.File
	group int // the shell's own process group

	mu   sync.Mutex
	good *unix.Termios
}

func newTerminal(f *os.File) (*terminal, error) {
	t := &terminal{file: f, group: unix.Getpgrp()}
	good, err := unix.IoctlGetTermios(t.fd(), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t.good = good
	return t, nil
}

func (t *terminal) fd() int { return int(t.file.Fd()) }

// take gives the terminal back to the shell.
func (t *terminal) take() { t.give(t.group) }

// give hands the terminal to a process group. The kernel would stop a
// background process group that does this, unless the thread blocks SIGTTOU.
func (t *terminal) give(group int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var block, before unix.Sigset_t
	block.Val[0] = 1 << (uint(unix.SIGTTOU) - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before) != nil {
		return
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	unix.IoctlSetPointerInt(t.fd(), unix.TIOCSPGRP, group)
}

// accept remembers the modes that a program which ended well has left (stty).
func (t *terminal) accept() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now, err := unix.IoctlGetTermios(t.fd(), unix.TCGETS); err == nil {
		t.good = now
	}
}

// restore puts the last good modes back.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	unix.IoctlSetTermios(t.fd(), unix.TCSETSW, t.good)
}
