package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nacre-sh/nacre/repl/highlight"
)

// session is the state of the editor while one line is read.
type session struct {
	line   line
	ghost  string
	prompt string
	right  string

	kills   killRing
	changes changes
	yanked  string // what stands before the text that Ctrl-Y brought back
	lastKey string

	menu    *menu
	search  *search
	walk    *walk
	pending *completion // asked for, not answered
	preview preview

	screen     painter
	cols, rows int
	asking     *time.Timer // runs while the terminal is asked for the cursor's position
	buf        bytes.Buffer

	spans     []highlight.Span
	spansText string

	outcome *outcome // set when the line is done
	result  chan result
}

// outcome is how a line ended; err is nil when it is to be run.
type outcome struct{ err error }

type result struct {
	text string
	err  error
}

func newSession(e *Editor) session {
	s := session{kills: e.session.kills, result: make(chan result, 1), prompt: e.opt.Prompt(), right: e.rightText()}
	s.cols, s.rows = e.tty.size()
	return s
}

// finish ends the line after the keys in hand.
func (e *Editor) finish(err error) {
	if e.outcome == nil {
		e.outcome = &outcome{err}
	}
}

const (
	pasteOn    = "\x1b[?2004h"
	pasteOff   = "\x1b[?2004l"
	showCursor = "\x1b[?25h"
)

// firstPaint shows the prompt. A command may have left the cursor in the
// middle of a row: a mark and a row of blanks then push the prompt into the
// next row; in the first column the mark is overwritten.
func (e *Editor) firstPaint() error {
	mark := "\x1b[2m⏎\x1b[0m"
	e.buf.WriteString(mark + strings.Repeat(" ", max(e.cols-1, 0)) + "\r" + pasteOn)
	e.screen = painter{}
	e.screen.paint(&e.buf, e.frame(), e.cols)
	return e.flush()
}

func (e *Editor) flush() error {
	if e.buf.Len() == 0 {
		return nil
	}
	defer e.buf.Reset()
	if _, err := e.opt.Out.Write(e.buf.Bytes()); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

// paint brings the state onto the screen, in one write.
func (e *Editor) paint() {
	if e.outcome != nil {
		e.awaitAnswer()
		e.lastPaint()
		return
	}
	if e.asking == nil {
		e.screen.paint(&e.buf, e.frame(), e.cols)
	}
	if err := e.flush(); err != nil {
		e.finish(err)
		e.tty.interrupt() // the reader waits for keys
	}
}

// lastPaint leaves the whole line on the screen, without menu and suggestion,
// and the cursor below it.
func (e *Editor) lastPaint() {
	e.menu, e.search, e.ghost = nil, nil, ""
	text := e.line.text()
	if e.outcome.err == ErrInterrupted {
		text += "^C"
	}
	f := newFlow(e.cols)
	f.ansi(e.entered())
	f.text(text, len(text), e.opt.Continuation(), e.styler(e.line.text()))
	last := len(f.rows) - 1
	if last > 0 && len(f.rows[last]) == 0 && !strings.HasSuffix(text, "\n") {
		// The line fills its last row: the cursor had a row of its own.
		f.rows = f.rows[:last]
		last--
	}
	e.screen.paint(&e.buf, frame{rows: f.rows, cursor: last, cursorColumn: 0}, e.cols)
	e.buf.WriteString("\r\n" + pasteOff)
	if err := e.flush(); err != nil && e.outcome.err == nil {
		e.outcome.err = err
	}
}

// deliver gives the terminal back and the line to ReadLine.
func (e *Editor) deliver() {
	e.cancelCompletion()
	e.cancelPreview()
	err := e.outcome.err
	if rerr := e.tty.restore(); rerr != nil && !errors.Is(err, io.EOF) {
		err = errors.Join(err, rerr)
	}
	r := result{err: err}
	if err == nil {
		r.text = e.line.text()
	}
	e.result <- r
}

// resume takes the terminal back after the process was stopped.
func (e *Editor) resume() {
	if err := e.tty.again(); err != nil {
		e.finish(err)
		return
	}
	e.cols, e.rows = e.tty.size()
	e.buf.WriteString(pasteOn)
	e.screen.drawn = false
}

// frame is what the screen is to show.
func (e *Editor) frame() frame {
	f := newFlow(e.cols)
	f.ansi(e.plainPrompt())
	text := e.line.text()
	cursor := len(e.line.before)
	shown := text
	if e.ghost != "" && e.line.after == "" {
		shown += e.ghost
	}
	style := e.styler(text)
	atRow, atCol := f.text(shown, cursor, e.opt.Continuation(), func(at int) string {
		if at >= len(text) {
			return styleGhost
		}
		return style(at)
	})
	e.addRight(f.rows)
	var extra []row
	if e.search != nil {
		extra = e.search.rows(e.cols, e.menuHeight(len(f.rows)))
	} else if e.menu != nil {
		extra = e.menu.rows(e.cols, e.menuHeight(len(f.rows)))
	} else {
		extra = e.previewRows(len(f.rows))
	}
	return view(frame{rows: f.rows, cursor: atRow, cursorColumn: atCol}, extra, e.rows)
}

// menuHeight is how many rows a menu may have below used rows of text.
func (e *Editor) menuHeight(used int) int {
	const most = 10
	return min(most, max(e.rows-used, 1))
}

func (e *Editor) colours() bool { return e.opt.Getenv("NO_COLOR") == "" }

// plainPrompt is the prompt, without its colours where none are wanted.
func (e *Editor) plainPrompt() string { return e.uncoloured(e.prompt) }

func stripEscapes(s string) string {
	var b strings.Builder
	for s != "" {
		if s[0] == 0x1b {
			_, s = sgr(s)
			continue
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}

// styler gives the style of each byte of the text.
func (e *Editor) styler(text string) func(at int) string {
	if e.opt.Highlight == nil || !e.colours() {
		return func(int) string { return "" }
	}
	if text != e.spansText || e.spans == nil {
		e.spans, e.spansText = e.opt.Highlight(text), text
	}
	spans := e.spans
	return func(at int) string {
		for len(spans) > 0 && spans[0].End <= at {
			spans = spans[1:]
		}
		if len(spans) > 0 && spans[0].Start <= at {
			return styleOf(spans[0].Kind)
		}
		return ""
	}
}

// Styles are SGR parameters. Those that remain with NO_COLOR are no colours.
const (
	styleGhost    = "2"
	styleSelected = "7"
	styleDim      = "2"
	styleBold     = "1"
	styleMatch    = "1;4"
	stylePreview  = "2;3"
)

func styleOf(k highlight.Kind) string {
	switch k {
	case highlight.Command:
		return "32"
	case highlight.Unknown, highlight.Error:
		return "31"
	case highlight.Missing:
		return "4;33"
	case highlight.Keyword:
		return "35"
	case highlight.Flag:
		return "36"
	case highlight.String:
		return "33"
	case highlight.Variable:
		return "34"
	case highlight.Operator:
		return "1"
	case highlight.Comment:
		return "90"
	}
	return ""
}

func (e *Editor) cancelCompletion() {
	if e.pending != nil {
		e.pending.cancel()
		e.pending = nil
	}
}

// completion is a question to Complete that is under way.
type completion struct {
	cancel context.CancelFunc
	asked  line
	steps  int // Tabs that came before the answer
}
