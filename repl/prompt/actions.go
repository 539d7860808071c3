package prompt

import (
	"io"
	"strings"
)

// bindings says what the named keys do to the text. Keys that are more than an
// operation on the text are in Editor.key.
var bindings = map[string]func(line) line{
	"ctrl-a": line.home, "home": line.home,
	"ctrl-e": line.end, "end": line.end,
	"ctrl-b": line.left, "left": line.left,
	"ctrl-f": line.right, "right": line.right,
	"alt-b": wordLeft, "ctrl-left": wordLeft, "alt-left": wordLeft,
	"alt-f": wordRight, "ctrl-right": wordRight, "alt-right": wordRight,
	"backspace": line.backspace,
	"delete":    line.delete,
	"ctrl-t":    line.transpose,
	"alt-<":     func(l line) line { return line{"", l.text()} },
	"alt->":     func(l line) line { return line{l.text(), ""} },
	"alt-enter": func(l line) line { return l.insert("\n") },
}

// kills are the keys whose way over the text deletes it and keeps it for Ctrl-Y.
var kills = map[string]func(line) line{
	"ctrl-k":         killEnd,
	"ctrl-u":         line.home,
	"ctrl-w":         func(l line) line { return l.wordLeft(notSpace) },
	"alt-backspace":  wordLeft,
	"ctrl-backspace": wordLeft,
	"alt-d":          wordRight,
	"ctrl-delete":    wordRight,
}

func wordLeft(l line) line  { return l.wordLeft(isWordRune) }
func wordRight(l line) line { return l.wordRight(isWordRune) }

// killEnd goes to the end of the row, at the end of it over the newline.
func killEnd(l line) line {
	if strings.HasPrefix(l.after, "\n") {
		return l.right()
	}
	return l.end()
}

const maxUndo = 200

// key applies one key.
func (e *Editor) key(k key) {
	if k.name == "position" {
		e.answered(k.text)
		return
	}
	if e.search != nil && e.searchKey(k) {
		return
	}
	if e.menu != nil && e.menuKey(k) {
		return
	}
	killed := e.lastKill
	e.lastKill = false
	old := e.line
	switch {
	case k.name == "" || k.name == "paste":
		e.line = e.line.insert(k.text)
	case e.control(k.name):
	case e.acceptGhost(k.name):
	case bindings[k.name] != nil:
		e.line = bindings[k.name](e.line)
	case kills[k.name] != nil:
		e.killTo(kills[k.name](e.line), killed)
	}
	e.edited(old, k.name)
}

// control does what is more than an operation on the text.
func (e *Editor) control(name string) bool {
	switch name {
	case "enter":
		e.enter()
	case "ctrl-c":
		e.finish(ErrInterrupted)
	case "ctrl-d":
		if e.line.text() == "" {
			e.finish(io.EOF)
		} else {
			e.line = e.line.delete()
		}
	case "ctrl-l":
		e.buf.WriteString("\x1b[H\x1b[2J")
		e.screen.drawn = false
	case "ctrl-y":
		e.line = e.line.insert(e.kill)
	case "ctrl-_":
		e.undoOne()
	case "tab":
		e.complete()
	case "ctrl-r":
		e.beginSearch()
	case "up", "ctrl-p":
		e.up()
	case "down", "ctrl-n":
		e.down()
	default:
		return false
	}
	return true
}

// enter ends the line, or begins a new row where the line is not complete.
func (e *Editor) enter() {
	if text := e.line.text(); text != "" && e.opt.Incomplete(text) {
		e.line = e.line.insert("\n")
		return
	}
	e.finish(nil)
}

// killTo deletes between here and there. Kills in a row add up, in the order
// of the text.
func (e *Editor) killTo(to line, more bool) {
	from := e.line
	if len(to.before) < len(from.before) {
		killed := from.before[len(to.before):]
		if more {
			killed += e.kill
		}
		e.setKill(killed, from.before != to.before)
		e.line = line{to.before, from.after}
		return
	}
	killed := to.before[len(from.before):]
	if killed == "" {
		return
	}
	if more {
		killed = e.kill + killed
	}
	e.setKill(killed, true)
	e.line = line{from.before, to.after}
}

func (e *Editor) setKill(text string, changed bool) {
	if changed {
		e.kill, e.lastKill = text, true
	}
}

// edited keeps what the text was for undo, and ends what a change ends.
func (e *Editor) edited(old line, name string) {
	if e.line.text() == old.text() {
		return
	}
	if name != "up" && name != "down" && name != "ctrl-p" && name != "ctrl-n" {
		e.walk = nil
	}
	if name == "ctrl-_" {
		return
	}
	if len(e.undo) == maxUndo {
		e.undo = append(e.undo[:0], e.undo[1:]...)
	}
	e.undo = append(e.undo, old)
}

func (e *Editor) undoOne() {
	if n := len(e.undo); n > 0 {
		e.line, e.undo = e.undo[n-1], e.undo[:n-1]
	}
}

// acceptGhost takes the suggestion, or a word of it, when the cursor stands
// before it.
func (e *Editor) acceptGhost(name string) bool {
	e.updateGhost()
	if e.ghost == "" || e.line.after != "" {
		return false
	}
	switch name {
	case "right", "ctrl-f", "end", "ctrl-e":
		e.line = e.line.insert(e.ghost)
	case "alt-f", "ctrl-right", "alt-right":
		to := line{e.line.before, e.ghost}.wordRight(notSpace)
		e.line = line{to.before, ""}
	default:
		return false
	}
	return true
}

// updateGhost looks for the suggestion for the text as it is.
func (e *Editor) updateGhost() {
	e.ghost = ""
	text := e.line.before
	if e.line.after != "" || text == "" || e.menu != nil || e.search != nil || strings.Contains(text, "\n") {
		return
	}
	ghost := e.opt.Ghost(text)
	// Further rows of a suggestion would push the screen about at every key.
	ghost, _, _ = strings.Cut(ghost, "\n")
	e.ghost = ghost
}

func suggest(h History, text string) string {
	if h == nil || text == "" {
		return ""
	}
	for old := range h.Recent() {
		if rest, ok := strings.CutPrefix(old, text); ok && rest != "" {
			return rest
		}
	}
	return ""
}
