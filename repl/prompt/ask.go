package prompt

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Ask asks a question between two lines; one key answers: y or n, Enter for
// what yes says, Ctrl-C and Ctrl-D for no. Any other key means no, too, and is
// the first one of the next line; so is what comes in one go with others. Who has typed ahead did not mean to answer:
// then nothing is asked, as on terminals where a single key cannot be read.
func (e *Editor) Ask(ctx context.Context, question string, yes bool) (answer, asked bool) {
	if e.lib == nil || ctx.Err() != nil || !e.begin() {
		return false, false
	}
	defer e.end()
	if e.tty.awaitForeground(ctx) != nil || e.tty.enterRaw() != nil {
		return false, false
	}
	defer func() {
		if err := e.tty.restore(); err != nil {
			e.tty.fail(err)
		}
	}()
	if e.typedAhead() {
		return false, false
	}
	choice := " [Y/n] "
	if !yes {
		choice = " [y/N] "
	}
	fmt.Fprint(e.opt.Out, question+choice)
	defer context.AfterFunc(ctx, e.tty.interrupt)()
	answer = e.oneKey(ctx, yes)
	word := "n"
	if answer {
		word = "y"
	}
	fmt.Fprintln(e.opt.Out, word)
	return answer, true
}

func (e *Editor) oneKey(ctx context.Context, yes bool) bool {
	for ctx.Err() == nil && e.tty.failure() == nil && !e.isClosed() {
		b, ok := e.tty.readByte(interruptible)
		if !ok {
			e.tty.quiet()
			continue
		}
		if b == 0x03 || b == 0x04 { // Ctrl-C, Ctrl-D
			return false
		}
		if e.typedAhead() { // a whole line came, `network ls`: its n is no answer
			e.keyb.unread(b)
			return false
		}
		switch b {
		case 'y', 'Y':
			return true
		case '\r', '\n':
			return yes
		case 'n', 'N':
		default:
			e.keyb.unread(b)
		}
		return false
	}
	return false
}

// typedAhead tells whether keys are waiting.
func (e *Editor) typedAhead() bool {
	if len(e.keyb.pushed) > 0 {
		return true
	}
	fds := []unix.PollFd{{Fd: int32(e.tty.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}
