package prompt

import (
	"bytes"
	"io"
)

// Above returns a writer that shows whole lines while a line may be being
// typed: they appear above the prompt, which moves down. At other times they go
// to the terminal as they are. It may be used from any goroutine; what is
// written reaches the screen a moment later.
func (e *Editor) Above() io.Writer { return above{e} }

type above struct{ e *Editor }

// Write implements io.Writer.
func (a above) Write(p []byte) (int, error) {
	e := a.e
	e.mu.Lock()
	if !e.reading || e.closed || e.lib == nil {
		defer e.mu.Unlock() // what is written now must not meet the next prompt
		return e.opt.Out.Write(p)
	}
	e.aboveText = append(e.aboveText, p...)
	e.mu.Unlock()
	e.tty.interrupt()
	return len(p), nil
}

// takeAbove returns what is to be shown above the prompt.
func (e *Editor) takeAbove() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := e.aboveText
	e.aboveText = nil
	return text
}

// showAbove writes what has come and lets the frame be drawn below it. While
// the terminal is asked for its cursor nothing may be drawn.
func (e *Editor) showAbove() {
	if e.asking != nil {
		return
	}
	text := e.takeAbove()
	if len(text) == 0 {
		return
	}
	e.redraw()
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	e.buf.Write(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
}
