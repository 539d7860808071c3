package prompt

import (
	"strconv"
	"strings"
	"time"
)

// When a window becomes narrower than a row of the frame, terminals do one of
// two things: break the row into several, as nearly all do now, or cut it, as
// xterm and the console do. The editor has to know, or it would draw its frame
// in the wrong row. The cursor tells: where it stood beyond the new edge, it
// now stands at the edge (cut) or somewhere in the next row (broken). So the
// editor asks the terminal for its position once, and knows from then on.

// reflow is what is known about the terminal.
type reflow int

const (
	reflowUnknown reflow = iota
	reflowBreaks
	reflowCuts
)

// answerWait is how long the terminal may take to tell its position.
const answerWait = 200 * time.Millisecond

const askPosition = "\x1b[6n"

func (e *Editor) reflowByName() reflow {
	if e.opt.Getenv("TERM") == "linux" || e.opt.Getenv("XTERM_VERSION") != "" || e.opt.Getenv("STY") != "" {
		return reflowCuts
	}
	return reflowUnknown
}

// resize takes the new size and draws everything anew where the frame began.
func (e *Editor) resize() {
	cols, rows := e.tty.size()
	if cols == e.cols && rows == e.rows {
		return
	}
	e.cols, e.rows = cols, rows
	if e.asking != nil {
		return // the answer will find the new size
	}
	if e.reflow == reflowUnknown && e.screen.drawn && e.screen.shown.cursorColumn >= cols {
		e.askWhere()
		return
	}
	e.redraw()
}

// redraw erases the frame after a change of the window.
func (e *Editor) redraw() {
	above := e.screen.above(e.cols, e.reflow != reflowCuts)
	e.screen.erase(&e.buf, min(above, e.rows-1))
}

// askWhere asks for the cursor's position; nothing is drawn until the answer.
func (e *Editor) askWhere() {
	e.buf.WriteString(askPosition)
	var timer *time.Timer
	timer = time.AfterFunc(answerWait, func() {
		e.post(func() {
			if e.asking == timer {
				e.asking = nil
				e.redraw()
			}
		})
	})
	e.asking = timer
}

// answered takes the position, "row;column" counted from 1.
func (e *Editor) answered(position string) {
	if e.asking == nil {
		return
	}
	e.asking.Stop()
	e.asking = nil
	_, column, _ := strings.Cut(position, ";")
	if n, err := strconv.Atoi(column); err == nil {
		switch at, was := n-1, e.screen.shown.cursorColumn; {
		case was < e.cols || was%e.cols == e.cols-1:
			// The window has changed again, or both ways lead there: nothing learned.
		case at >= e.cols-1:
			e.reflow = reflowCuts
		default:
			e.reflow = reflowBreaks
		}
	}
	e.redraw()
}

// awaitAnswer is for a line that ends while an answer is under way: it must not
// become a key of the command.
func (e *Editor) awaitAnswer() {
	if e.asking == nil {
		return
	}
	for deadline := time.Now().Add(answerWait); e.asking != nil && time.Now().Before(deadline); {
		k, _ := e.keyb.next(answerWait / 4)
		if k.name == "position" {
			e.answered(k.text)
		}
	}
	if e.asking != nil {
		e.asking.Stop()
		e.asking = nil
		e.redraw()
	}
}
