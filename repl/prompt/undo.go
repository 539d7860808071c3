package prompt

const maxUndo = 500

// changes are the texts that a line has had, for undo, and those that were undone, for redo.
type changes struct {
	before []line
	undone []line
	typing bool // the last change typed a letter: letters in a row are undone together
}

// add keeps what the text was. Letters of one word count as one change.
func (c *changes) add(old line, typed string) {
	c.undone = nil
	letter := typed != "" && typed != " " && len(old.after) == 0
	if letter && c.typing {
		return
	}
	c.typing = letter
	if len(c.before) == maxUndo {
		c.before = append(c.before[:0], c.before[1:]...)
	}
	c.before = append(c.before, old)
}

func (e *Editor) undo() {
	c := &e.changes
	c.typing = false
	if n := len(c.before); n > 0 {
		c.undone = append(c.undone, e.line)
		e.line, c.before = c.before[n-1], c.before[:n-1]
	}
}

func (e *Editor) redo() {
	c := &e.changes
	c.typing = false
	if n := len(c.undone); n > 0 {
		c.before = append(c.before, e.line)
		e.line, c.undone = c.undone[n-1], c.undone[:n-1]
	}
}
