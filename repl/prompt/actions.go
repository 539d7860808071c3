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

// killEnd goes to the end of the row, at the end of it over the newline.
func killEnd(l line) line {
	if strings.HasPrefix(l.after, "\n") {
		return l.right()
	}
	return l.end()
}

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
	name := k.name
	if e.lastKey == "ctrl-x" {
		name = "ctrl-x " + name
	}
	old, killing := e.line, false
	switch {
	case k.name == "" || k.name == "paste":
		e.typed(k.text)
	case e.control(name):
	case e.acceptGhost(name):
	case bindings[name] != nil:
		e.line = bindings[name](e.line)
	case kills[name] != nil:
		e.killTo(kills[name](e.line))
		killing = e.line != old
	}
	e.kills.open = killing
	e.edited(old, name, k.text)
	e.lastKey = name
}

// typed puts a text in. A blank behind a word that stands for more puts that there.
func (e *Editor) typed(text string) {
	if text == " " {
		e.expandWord()
	}
	e.line = e.line.insert(text)
}

// expandWord replaces an abbreviation before the cursor.
func (e *Editor) expandWord() {
	if e.opt.Abbreviation == nil || e.line.before == "" {
		return
	}
	if text, n := e.opt.Abbreviation(e.line.before); n > 0 && n <= len(e.line.before) {
		old := e.line
		e.line = line{e.line.before[:len(e.line.before)-n] + text, e.line.after}
		e.changes.typing = false
		e.edited(old, "", "")
	}
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
	case "f1":
		e.help()
	case "ctrl-l":
		e.buf.WriteString("\x1b[H\x1b[2J")
		e.screen.drawn = false
	case "ctrl-y":
		e.yank()
	case "alt-y":
		e.yankPop()
	case "ctrl-_", "ctrl-x ctrl-u":
		e.undo()
	case "alt-/", "alt-_", "ctrl-x ctrl-r":
		e.redo()
	case "ctrl-x ctrl-e":
		e.external()
	case "ctrl-x":
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
	if e.line.after == "" {
		e.expandWord()
	}
	if e.opt.Expand != nil {
		if text := e.opt.Expand(e.line.text()); text != e.line.text() {
			old := e.line
			e.line = line{text, ""}
			e.edited(old, "", "")
		}
	}
	if text := e.line.text(); text != "" && e.opt.Incomplete(text) {
		e.line = e.line.insert("\n")
		return
	}
	e.finish(nil)
}

// edited keeps what the text was for undo, and ends what a change ends.
func (e *Editor) edited(old line, name, typed string) {
	if e.line.text() == old.text() {
		if e.line != old {
			e.changes.typing = false // the cursor went elsewhere
		}
		return
	}
	switch name {
	case "up", "down", "ctrl-p", "ctrl-n":
	case "ctrl-_", "ctrl-x ctrl-u", "alt-/", "alt-_", "ctrl-x ctrl-r":
		e.walk = nil
		return
	default:
		e.walk = nil
	}
	e.changes.add(old, typed)
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
