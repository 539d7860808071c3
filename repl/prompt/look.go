package prompt

import "io"

// The prompt's surroundings: a second text at the right edge, another form of
// the prompt for lines that have been entered, and prompts whose text becomes
// known only later.

// Refresh asks for the texts of the prompt again and draws them, when a line is
// being typed. It may be called from any goroutine.
func (e *Editor) Refresh() {
	e.mu.Lock()
	reading := e.reading && !e.closed && e.lib != nil
	e.mu.Unlock()
	if reading {
		e.post(e.lookAgain)
	}
}

func (e *Editor) lookAgain() {
	if e.outcome == nil {
		e.prompt, e.right = e.opt.Prompt(), e.rightText()
	}
}

func (e *Editor) rightText() string {
	if e.opt.RightPrompt == nil {
		return ""
	}
	return e.opt.RightPrompt()
}

// entered is what stands before a line that has been entered.
func (e *Editor) entered() string {
	if e.opt.Transient == nil {
		return e.plainPrompt()
	}
	return e.uncoloured(e.opt.Transient())
}

// uncoloured takes the colours off where none are wanted.
func (e *Editor) uncoloured(text string) string {
	if e.colours() {
		return text
	}
	return stripEscapes(text)
}

// addRight puts the right text at the end of a frame's first row, when the line
// is in that row and leaves room: what is typed always comes first.
func (e *Editor) addRight(rows []row) {
	if e.right == "" || len(rows) != 1 {
		return
	}
	f := newFlow(e.cols)
	f.ansi(e.uncoloured(e.right))
	if len(f.rows) != 1 {
		return
	}
	right := f.rows[0]
	gap := e.cols - 1 - right.width() - rows[0].width() // the last column stays free: terminals wrap there
	const least = 2
	if gap < least {
		return
	}
	for range gap {
		rows[0] = append(rows[0], cell{text: " ", width: 1})
	}
	rows[0] = append(rows[0], right...)
}

// help shows what is known about the command under the cursor, above the prompt.
func (e *Editor) help() {
	if e.opt.Help == nil {
		return
	}
	before := e.line.before
	go func() {
		defer func() {
			if v := recover(); v != nil {
				e.crashed("help", v)
			}
		}()
		if text := e.opt.Help(before); text != "" {
			_, _ = io.WriteString(e.Above(), text)
		}
	}()
}
