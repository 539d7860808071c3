package prompt

import "strings"

// walk is a way through the history with Up and Down: through the lines that
// begin with what was typed.
type walk struct {
	typed line
	lines []string // newest first
	at    int      // which of them is shown; -1: what was typed
}

func newWalk(h History, typed line) *walk {
	w := &walk{typed: typed, at: -1}
	prefix := typed.text()
	for text := range h.Recent() {
		if strings.HasPrefix(text, prefix) && text != prefix {
			w.lines = append(w.lines, text)
		}
	}
	return w
}

func (e *Editor) up() {
	if l, ok := e.line.up(); ok && !e.walking() {
		e.line = l
		return
	}
	if e.opt.History == nil {
		return
	}
	if e.walk == nil {
		e.walk = newWalk(e.opt.History, e.line)
	}
	if e.walk.at+1 < len(e.walk.lines) {
		e.walk.at++
		e.line = line{e.walk.lines[e.walk.at], ""}
	}
}

func (e *Editor) down() {
	if l, ok := e.line.down(); ok && !e.walking() {
		e.line = l
		return
	}
	if e.walk == nil || e.walk.at < 0 {
		return
	}
	e.walk.at--
	if e.walk.at < 0 {
		e.line = e.walk.typed
		return
	}
	e.line = line{e.walk.lines[e.walk.at], ""}
}

// walking tells that the text is one that Up or Down has brought, untouched:
// then they go on through the history even where it has several rows.
func (e *Editor) walking() bool {
	return e.walk != nil && e.walk.at >= 0 && e.line == line{e.walk.lines[e.walk.at], ""}
}
