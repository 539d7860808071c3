// Package prompt reads lines from a person at a terminal: editing, history,
// completion, colours, suggestions, several rows, windows that change their
// size. It belongs to the terminal only while ReadLine runs: before a command
// starts, the terminal's modes are restored and nothing reads its keys, and
// what was typed ahead is there for the command.
//
// The line editor underneath is github.com/c-bata/go-prompt; library.go is the
// only file that knows it. The way of a key: keys.go decodes it, library.go
// brings it to the loop, actions.go applies it to the text (line.go), to the
// menu (menu.go) or to the search (search.go); layout.go and paint.go bring the
// result onto the screen.
package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"sync"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl/highlight"
	"golang.org/x/sys/unix"
)

// ErrInterrupted is what ReadLine returns after Ctrl-C.
var ErrInterrupted = errors.New("interrupted")

// ErrClosed is what ReadLine returns when Close is called under it.
var ErrClosed = errors.New("the prompt is closed")

// History is what the editor asks of a history; *history.Store is one.
type History interface {
	// Recent walks over distinct lines, newest first.
	Recent() iter.Seq[string]
}

// Options say what the editor shows and whom it asks. Only In and Out are
// needed. Callbacks other than Complete are called between two keys and have to
// answer at once.
type Options struct {
	In, Out *os.File
	// Getenv answers for TERM, NO_COLOR and what names the terminal program.
	Getenv func(string) string
	// Prompt is what stands before the line; it may hold colours (SGR sequences) and newlines.
	Prompt func() string
	// RightPrompt stands at the right edge of the prompt's row while there is room; nil: nothing does.
	RightPrompt func() string
	// Help gives the text that F1 shows above the prompt, for the text up to the cursor. It runs beside the editor. Nil: none.
	Help func(before string) string
	// Transient takes the prompt's place when a line has been entered; nil: the prompt stays.
	Transient func() string
	// Continuation stands before the further rows of a line of several rows.
	Continuation func() string
	// Complete gives what may stand at the cursor (a byte offset): candidates
	// replace line[start:cursor]. It runs beside the editor, may take its time,
	// and its context ends when the answer is not wanted any more.
	Complete func(ctx context.Context, line string, cursor int) (start int, items []plugins.Candidate, d plugins.Directive)
	// Highlight says what is what in the text.
	Highlight func(text string) []highlight.Span
	// Ghost gives the rest of a line that is likely to be meant. Without it the
	// newest line of History with this beginning is.
	Ghost func(text string) string
	// Preview says in one line what the text would do, "" for most texts. It runs
	// beside the editor; its context ends when the answer is not wanted any more.
	Preview func(ctx context.Context, text string) string
	// Expand gives the line that Enter runs: !! and the like replaced. It is shown before it runs.
	Expand func(text string) string
	// Abbreviation gives what stands for the last n bytes of the text before the cursor when a blank or Enter follows; n 0: nothing.
	Abbreviation func(before string) (text string, n int)
	// Edit lets another program edit the text, at the terminal (Ctrl-X Ctrl-E).
	Edit func(text string) (string, error)
	// Incomplete tells that Enter shall begin a new row instead of ending the line.
	Incomplete func(text string) bool
	History    History
	// Search gives the lines of the history that match, the best first; without it those of History that hold the query.
	Search func(query string, f Filter) []Found
	// SearchAll looks where Search does not, beside the editor. Its context ends when the answer is not wanted any more.
	SearchAll func(ctx context.Context, query string, f Filter) []Found
}

func (o *Options) defaults() {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Prompt == nil {
		o.Prompt = func() string { return "> " }
	}
	if o.Continuation == nil {
		o.Continuation = func() string { return "  … " }
	}
	if o.Ghost == nil {
		o.Ghost = func(text string) string { return suggest(o.History, text) }
	}
	if o.Search == nil {
		o.Search = searchRecent(o.History)
	}
	if o.Incomplete == nil {
		o.Incomplete = func(string) bool { return false }
	}
}

// Editor reads lines. One goroutine at a time may call ReadLine; Close may be
// called from any.
type Editor struct {
	opt  Options
	tty  *terminal
	lib  *library // nil: plain reading
	keyb decoder
	// reflow is what has been learned about the terminal.
	reflow reflow
	idle   chan struct{} // closed when the library has come to rest after a line

	mu        sync.Mutex
	posted    []func()
	aboveText []byte // to be shown above the prompt
	reading   bool
	closed    bool

	session // the line being edited; owned by the library's loop while it runs
}

// New opens an editor on a terminal. Without one the error is of class
// errdefs.ErrFailedPrecondition. On terminals that cannot move their cursor
// (TERM=dumb) and without a controlling terminal it reads plain lines.
func New(o Options) (*Editor, error) {
	o.defaults()
	tty, err := openTerminal(o.In, o.Out)
	if err != nil {
		return nil, err
	}
	e := &Editor{opt: o, tty: tty, idle: make(chan struct{})}
	e.keyb.src = tty
	e.reflow = e.reflowByName()
	close(e.idle)
	if o.Getenv("TERM") != "dumb" {
		// Without a controlling terminal the library cannot work; plain lines can.
		e.lib, _ = newLibrary(e)
	}
	return e, nil
}

// Plain tells whether lines are read without editing.
func (e *Editor) Plain() bool { return e.lib == nil }

// Close restores the terminal. A ReadLine that is under way returns ErrClosed.
func (e *Editor) Close() error {
	e.mu.Lock()
	closed, reading := e.closed, e.reading
	e.closed = true
	e.mu.Unlock()
	if closed {
		return nil
	}
	if reading {
		e.post(func() { e.finish(ErrClosed) })
		// Whoever closes is about to leave: the modes first, the loop ends by itself.
		return e.tty.restore()
	}
	<-e.idle
	return e.tty.close()
}

// ReadLine shows the prompt and returns the line without its newline; rows of
// one line are separated by newlines. io.EOF is Ctrl-D on an empty line,
// ErrInterrupted is Ctrl-C, and the context's error is its end.
func (e *Editor) ReadLine(ctx context.Context) (text string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !e.begin() {
		return "", ErrClosed
	}
	defer e.end()
	if err := e.tty.awaitForeground(ctx); err != nil {
		return "", err
	}
	if e.lib == nil {
		return e.readPlain(ctx)
	}
	if err := e.tty.enterRaw(); err != nil {
		return "", fmt.Errorf("open the prompt: %w", err)
	}
	e.session = newSession(e)
	if err := e.firstPaint(); err != nil {
		return "", err
	}
	stop := e.watch(ctx)
	defer stop()
	e.runLibrary()
	r := <-e.result
	return r.text, r.err
}

func (e *Editor) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.reading {
		return false
	}
	e.reading, e.posted = true, nil
	return true
}

func (e *Editor) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reading = false
	if len(e.aboveText) > 0 { // it came too late for the prompt
		_, _ = e.opt.Out.Write(e.aboveText)
		e.aboveText = nil
	}
}

// runLibrary lets the library edit the line in its own goroutine. It rests a
// moment after the line is delivered; only the next line waits for that.
func (e *Editor) runLibrary() {
	before, idle := e.idle, make(chan struct{})
	e.idle = idle
	result := e.result
	go func() {
		defer close(idle)
		<-before
		if err := e.lib.run(); err != nil {
			e.recoverFrom(err, result)
		}
	}()
}

// recoverFrom gives the terminal back after a panic in the editor and makes a
// new library for the next line.
func (e *Editor) recoverFrom(err error, out chan<- result) {
	e.lib.stopReading(e.tty.interrupt)
	e.cancelCompletion()
	e.cancelPreview()
	_, _ = e.opt.Out.WriteString(pasteOff + showCursor + "\x1b[0m\r\n")
	err = errors.Join(err, e.tty.restore())
	if lib, libErr := newLibrary(e); libErr == nil {
		e.lib = lib
	} else {
		e.lib = nil
	}
	select {
	case out <- result{err: err}:
	default: // the line had been delivered
	}
}

// watch brings the end of the context, changes of the window, and the end of a
// stop to the loop.
func (e *Editor) watch(ctx context.Context) (stop func()) {
	resized, continued := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	signal.Notify(continued, unix.SIGCONT)
	quit := make(chan struct{})
	go func() {
		done := ctx.Done()
		for {
			select {
			case <-resized:
				e.post(e.resize)
			case <-continued:
				e.post(e.resume)
			case <-done:
				done = nil
				e.post(func() { e.finish(ctx.Err()) })
			case <-quit:
				return
			}
		}
	}()
	return func() {
		signal.Stop(resized)
		signal.Stop(continued)
		close(quit)
	}
}

// post lets the loop call f between two keys.
func (e *Editor) post(f func()) {
	e.mu.Lock()
	e.posted = append(e.posted, f)
	e.mu.Unlock()
	e.tty.interrupt()
}

func (e *Editor) takePosted() []func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	fs := e.posted
	e.posted = nil
	return fs
}

// maxBatch bounds the keys between two paintings.
const maxBatch = 4096

// keys waits for the next key or a posted function, and takes along what has
// come already, up to a key that may end the line: what follows it is not ours.
func (e *Editor) keys() []key {
	var batch []key
	for len(batch) < maxBatch {
		wait := interruptible
		if len(batch) > 0 {
			wait = 0
		}
		k, ok := e.keyb.next(wait)
		if !ok {
			e.tty.quiet()
			return batch
		}
		if k.name == "" && k.text == "" {
			continue
		}
		batch = append(batch, k)
		if mayEnd(k) {
			break
		}
	}
	return batch
}

func mayEnd(k key) bool {
	switch k.name {
	case "enter", "ctrl-c", "ctrl-d", "ctrl-e": // Ctrl-X Ctrl-E: what follows is for the other editor
		return true
	}
	return false
}

// crashed reports a panic outside the loop.
func (e *Editor) crashed(where string, value any) {
	e.post(func() { panic(fmt.Sprintf("%s: %v", where, value)) })
}

// apply is one round of the loop: posted functions, then keys.
func (e *Editor) apply(keys []key, text line) line {
	e.line = text
	if err := e.tty.failure(); err != nil {
		if errors.Is(err, errHangup) {
			err = io.EOF
		}
		e.finish(err)
		return e.line
	}
	for _, f := range e.takePosted() {
		f()
	}
	e.showAbove()
	for _, k := range keys {
		if e.outcome != nil {
			break
		}
		e.key(k)
	}
	e.settleSearch()
	e.updateGhost()
	e.updatePreview()
	return e.line
}

func (e *Editor) finished() bool { return e.outcome != nil }
