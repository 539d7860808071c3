package prompt

import (
	"fmt"
	"strings"
)

// external lets another program edit the text (Ctrl-X Ctrl-E). The loop waits
// for it; nothing reads keys meanwhile. What comes back stands in the line and
// is not run by itself.
func (e *Editor) external() {
	if e.opt.Edit == nil {
		return
	}
	e.screen.leave(&e.buf)
	e.buf.WriteString("\r\n" + pasteOff)
	err := e.flush()
	if err == nil {
		err = e.tty.restore()
	}
	if err != nil {
		e.finish(err)
		return
	}
	text, err := e.opt.Edit(e.line.text())
	if rawErr := e.tty.enterRaw(); rawErr != nil {
		e.finish(fmt.Errorf("open the prompt: %w", rawErr))
		return
	}
	e.cols, e.rows = e.tty.size()
	if err != nil {
		fmt.Fprintf(&e.buf, "nacre: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
	} else {
		e.line = line{strings.TrimRight(clean(text), "\n"), ""}
	}
	e.buf.WriteString(pasteOn)
	e.screen.drawn = false
}
