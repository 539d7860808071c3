package prompt

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// readPlain reads a line in the terminal's own line mode: no editing beyond the
// terminal's, no escape sequences. It serves dumb terminals.
func (e *Editor) readPlain(ctx context.Context) (string, error) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, unix.SIGINT)
	defer signal.Stop(interrupts)
	quit := make(chan struct{})
	defer close(quit)
	e.tty.quiet()
	ended := make(chan error, 1)
	go func() {
		select {
		case <-interrupts:
			ended <- ErrInterrupted
		case <-ctx.Done():
			ended <- ctx.Err()
		case <-quit:
			return
		}
		e.tty.interrupt()
	}()

	var text strings.Builder
	for prompt := e.opt.Prompt(); ; prompt = e.opt.Continuation() {
		if _, err := io.WriteString(e.opt.Out, stripEscapes(prompt)); err != nil {
			return "", fmt.Errorf("write to the terminal: %w", err)
		}
		row, err := e.plainRow(ended)
		if err != nil && (row == "" || err != io.EOF) {
			fmt.Fprintln(e.opt.Out)
			return "", err
		}
		text.WriteString(row)
		if err == io.EOF || !e.opt.Incomplete(text.String()) {
			break
		}
		text.WriteByte('\n')
	}
	return text.String(), nil
}

// plainRow reads up to a newline. In line mode the kernel gives bytes when the
// row is complete; an empty read is Ctrl-D.
func (e *Editor) plainRow(ended <-chan error) (string, error) {
	var row []byte
	for {
		b, ok := e.tty.readByte(interruptible)
		if ok && b == '\n' {
			return strings.ToValidUTF8(string(row), ""), nil
		}
		if ok {
			row = append(row, b)
			continue
		}
		select {
		case err := <-ended:
			return "", err
		default:
		}
		if e.isClosed() {
			return "", ErrClosed
		}
		return strings.ToValidUTF8(string(row), ""), io.EOF
	}
}

func (e *Editor) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}
