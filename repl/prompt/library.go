package prompt

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	goprompt "github.com/c-bata/go-prompt"
	"golang.org/x/sys/unix"
)

// This file is all that knows go-prompt. The library runs the loop, keeps the
// text and dispatches what the parser reads; it is held from outside:
//
//   - Input is called for every line, never Run: Run takes over signals and exits the process.
//   - The parser queues keys and hands the library one private sequence for all
//     that came at once; the sequence is bound to a function that applies them.
//     One sequence per key would let 100 keys a second through, because the
//     library sleeps 10 ms after every read.
//   - The writer drops what the library draws. The library draws after every
//     sequence and ends with Flush: that is where the editor paints its frame.
//   - The window is reported as huge, so that the library never wraps or refuses.
//   - No completer: the library's menu panics when its list shrinks.

// sequenceWork tells the library that keys or other work are queued,
// sequenceEnter makes Input return.
var (
	sequenceWork  = []byte("\x00work")
	sequenceEnter = []byte("\n")
)

var errNothing = errors.New("nothing to read")

// host is what the library's loop drives. All calls but keys come from the
// loop's goroutine.
type host interface {
	keys() []key                      // waits for keys or other work; called by the library's reader
	apply(keys []key, text line) line // what the keys make of the text
	finished() bool                   // the line is done: Input is to return
	paint()                           // the screen is to show the state
	deliver()                         // the line is done and painted
	crashed(where string, value any)  // a panic under keys
}

// library runs one go-prompt for many lines.
type library struct {
	host   host
	prompt *goprompt.Prompt

	mu      sync.Mutex
	changed *sync.Cond
	queue   []key
	handed  bool // a sequence is on its way to the loop
	started bool // the loop has taken its first sequence: the reader lives
	ending  bool // the line is done: the next thing to read is Enter
	done    bool // the line is delivered; the host may be at the next one already
	entered bool // Enter was handed over: nothing is read any more
	reading bool // the host is asked for keys
	dead    bool // Input panicked: the library's reader must end
}

// newLibrary makes the go-prompt instance. Its constructor opens /dev/tty
// whatever the options say and panics when the process has no terminal.
func newLibrary(h host) (l *library, err error) {
	defer func() {
		if v := recover(); v != nil {
			l, err = nil, fmt.Errorf("open the prompt: %v", v)
		}
	}()
	l = &library{host: h}
	l.changed = sync.NewCond(&l.mu)
	// The descriptor of /dev/tty is opened without O_CLOEXEC: no child may start before it is closed.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l.prompt = goprompt.New(
		func(string) {},
		func(goprompt.Document) []goprompt.Suggest { return nil },
		closeDefaultParser,
		goprompt.OptionParser(l),
		goprompt.OptionWriter(writer{l}),
		goprompt.OptionPrefix(""),
		goprompt.OptionCompletionWordSeparator("\x00"),
		goprompt.OptionAddASCIICodeBind(goprompt.ASCIICodeBind{ASCIICode: sequenceWork, Fn: l.work}),
	)
	return l, nil
}

// closeDefaultParser closes the descriptor that the library opened for the
// parser which ours replaces.
func closeDefaultParser(p *goprompt.Prompt) error {
	in := reflect.ValueOf(p).Elem().FieldByName("in")
	if !in.IsValid() || in.IsNil() {
		return nil
	}
	if posix, ok := reflect.TypeOf((*goprompt.PosixParser)(nil)), in.Elem().Type(); posix != ok {
		return nil
	}
	return unix.Close(int(in.Elem().Elem().FieldByName("fd").Int()))
}

// run edits one line. It returns when the library's goroutines have come to
// rest, a little after the line was delivered.
func (l *library) run() (err error) {
	l.mu.Lock()
	l.handed, l.started, l.ending, l.done, l.entered = false, false, false, false, false
	l.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			l.die()
			err = fmt.Errorf("the line editor failed: %v", v)
		}
	}()
	l.prompt.Input()
	return nil
}

// die ends the use of this go-prompt: after a panic its loop is gone.
func (l *library) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	l.changed.Broadcast()
}

// dieOnPanic marks the death at once, because the library draws once more while
// the panic passes through it.
func (l *library) dieOnPanic() {
	if v := recover(); v != nil {
		l.die()
		panic(v)
	}
}

// Setup, TearDown: the editor sets the terminal's modes itself, at once.
func (l *library) Setup() error    { return nil }
func (l *library) TearDown() error { return nil }

// GetWinSize reports a window in which everything fits into one row.
func (l *library) GetWinSize() *goprompt.WinSize {
	return &goprompt.WinSize{Row: 1<<16 - 1, Col: 1<<16 - 1}
}

// Read is called by the library's reader. It touches the terminal only while
// the loop has nothing in hand and the line is not done.
func (l *library) Read() (b []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			l.host.crashed("reading keys", v)
			b, err = l.hand(nil, sequenceWork), nil
		}
	}()
	if b, err, stop := l.next(); stop {
		return b, err
	}
	defer l.setReading(false)
	return l.hand(l.host.keys(), sequenceWork), nil
}

func (l *library) setReading(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = on
	l.changed.Broadcast()
}

// stopReading waits, after a death, until nothing reads keys any more; wake
// makes the host's wait for keys end.
func (l *library) stopReading(wake func()) {
	for range 100 {
		l.mu.Lock()
		reading := l.reading
		l.mu.Unlock()
		if !reading {
			return
		}
		wake()
		time.Sleep(time.Millisecond)
	}
}

// next waits until the loop has taken what was handed over and says what is
// to be read without asking the terminal.
func (l *library) next() (b []byte, err error, stop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.handed && !l.entered && !l.dead {
		l.changed.Wait()
	}
	switch {
	case l.dead:
		// Nobody listens any more; the library's reader would come back every 10 ms for ever.
		runtime.Goexit()
	case l.entered:
		return nil, errNothing, true
	case l.ending:
		l.entered, l.handed = true, true
		l.changed.Broadcast()
		return sequenceEnter, nil, true
	case !l.started:
		// The first sequence carries nothing; it tells the loop that the reader lives.
		l.handed = true
		l.changed.Broadcast()
		return sequenceWork, nil, true
	}
	l.reading = true
	return nil, nil, false
}

func (l *library) hand(keys []key, sequence []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, keys...)
	l.handed = true
	l.changed.Broadcast()
	return sequence
}

// work is bound to sequenceWork: it applies the queued keys to the text.
func (l *library) work(buf *goprompt.Buffer) {
	defer l.dieOnPanic()
	l.mu.Lock()
	keys := l.queue
	l.queue = nil
	l.started = true
	l.mu.Unlock()

	old := load(buf)
	if text := l.host.apply(keys, old); text != old {
		store(buf, old, text)
	}

	l.mu.Lock()
	l.handed = false
	l.ending = l.host.finished()
	l.changed.Broadcast()
	l.mu.Unlock()
}

// flush is the end of one round of the library's loop. It paints, and then
// waits for the reader's next sequence: the loop itself would look for it every
// 10 ms, which a user waits for and an idle machine wakes up for.
func (l *library) flush() {
	defer l.dieOnPanic()
	l.mu.Lock()
	done := l.done || l.dead
	l.mu.Unlock()
	if done {
		return
	}
	l.host.paint()
	if l.host.finished() {
		l.mu.Lock()
		l.ending, l.done = true, true
		l.mu.Unlock()
		l.host.deliver()
	}
	l.mu.Lock()
	for l.started && !l.handed && !l.entered && !l.dead {
		l.changed.Wait()
	}
	l.mu.Unlock()
	// The reader announces a sequence just before it puts it where the loop
	// looks; without this pause the loop would miss it by a hair and sleep.
	time.Sleep(handover)
}

const handover = 30 * time.Microsecond

// load and store move the text between the library's buffer and the editor.
// Of the buffer's operations only these are right for text of several rows and
// of characters beyond ASCII.
func load(buf *goprompt.Buffer) line {
	d := buf.Document()
	return line{d.TextBeforeCursor(), d.TextAfterCursor()}
}

func store(buf *goprompt.Buffer, old, text line) {
	if n := utf8.RuneCountInString(old.after); n > 0 {
		buf.Delete(n)
	}
	if n := utf8.RuneCountInString(old.before); n > 0 {
		buf.DeleteBeforeCursor(n)
	}
	buf.InsertText(text.before, false, true)
	buf.InsertText(text.after, false, false)
}

// writer is the library's screen: it drops everything and knows one moment.
type writer struct{ l *library }

func (w writer) Flush() error {
	w.l.flush()
	return nil
}

func (writer) WriteRaw([]byte)                      {}
func (writer) Write([]byte)                         {}
func (writer) WriteRawStr(string)                   {}
func (writer) WriteStr(string)                      {}
func (writer) EraseScreen()                         {}
func (writer) EraseUp()                             {}
func (writer) EraseDown()                           {}
func (writer) EraseStartOfLine()                    {}
func (writer) EraseEndOfLine()                      {}
func (writer) EraseLine()                           {}
func (writer) ShowCursor()                          {}
func (writer) HideCursor()                          {}
func (writer) CursorGoTo(int, int)                  {}
func (writer) CursorUp(int)                         {}
func (writer) CursorDown(int)                       {}
func (writer) CursorForward(int)                    {}
func (writer) CursorBackward(int)                   {}
func (writer) AskForCPR()                           {}
func (writer) SaveCursor()                          {}
func (writer) UnSaveCursor()                        {}
func (writer) ScrollDown()                          {}
func (writer) ScrollUp()                            {}
func (writer) SetTitle(string)                      {}
func (writer) ClearTitle()                          {}
func (writer) SetColor(_, _ goprompt.Color, _ bool) {}

var (
	_ goprompt.ConsoleParser = (*library)(nil)
	_ goprompt.ConsoleWriter = writer{}
)
