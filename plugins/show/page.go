package show

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

// Page is a terminal whose text is held back until it is known whether it fits
// into the window. What does not fit goes to a pager.
type Page struct {
	file   *os.File
	window Window
	begin  func() (io.WriteCloser, error) // starts the pager

	mu    sync.Mutex
	held  bytes.Buffer
	rows  int // complete rows that held takes in the window
	open  int // where in held the last, incomplete line begins
	pager io.WriteCloser
	plain bool // the terminal gets everything: no pager could be started
	left  bool
}

var _ Terminal = (*Page)(nil)

// NewPage returns a page in front of a terminal. begin is called once, when the
// text does not fit.
func NewPage(file *os.File, window Window, begin func() (io.WriteCloser, error)) *Page {
	return &Page{file: file, window: window, begin: begin}
}

// ErrLeft says that the person has left the pager: nobody reads any more.
var ErrLeft = errors.New("the pager was left")

type terminalKey struct{}

// WithTerminal returns a context that knows the terminal behind a page, for
// those whose streams do not tell.
func WithTerminal(ctx context.Context, file *os.File) context.Context {
	return context.WithValue(ctx, terminalKey{}, file)
}

// TerminalOf is the file given to WithTerminal, nil without.
func TerminalOf(ctx context.Context) *os.File {
	f, _ := ctx.Value(terminalKey{}).(*os.File)
	return f
}

// Terminal implements Terminal.
func (p *Page) Terminal() *os.File { return p.file }

// Write implements io.Writer.
func (p *Page) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.left:
		return 0, ErrLeft
	case p.plain:
		return p.file.Write(text)
	case p.pager != nil:
		return p.pass(text)
	}
	p.held.Write(text)
	p.count()
	if p.rows < p.window.Rows { // the prompt needs a row, too
		return len(text), nil
	}
	return len(text), p.overflow()
}

// count brings the number of rows up to date: that of the complete lines, and
// of the one that has only begun.
func (p *Page) count() {
	for {
		line := p.held.Bytes()[p.open:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			break
		}
		p.rows += rowsOf(string(line[:end]), p.window.Cols)
		p.open += end + 1
	}
	if rest := p.held.Len() - p.open; rest > p.window.Cols*p.window.Rows*longestCharacter {
		p.rows = p.window.Rows // a line longer than the window, whatever it holds
	}
}

// longestCharacter is a bound of the bytes that a column of text takes, colours included.
const longestCharacter = 32

// rowsOf is the number of rows that a line takes in a window of cols columns.
func rowsOf(line string, cols int) int {
	width := 0
	for i, part := range strings.Split(Plain(line), "\t") {
		if i > 0 {
			width += 8 - width%8
		}
		width += Width(part)
	}
	return max(1, (width+cols-1)/cols)
}

// overflow starts the pager with what has been held back.
func (p *Page) overflow() error {
	var err error
	if p.pager, err = p.begin(); err != nil {
		p.plain = true
	}
	text := p.held.Bytes()
	p.held = bytes.Buffer{}
	if p.plain {
		_, err = p.file.Write(text)
	} else {
		_, err = p.pass(text)
	}
	return err
}

func (p *Page) pass(text []byte) (int, error) {
	n, err := p.pager.Write(text)
	if err != nil {
		p.left = true
		return n, ErrLeft
	}
	return n, nil
}

// Close ends the text: what was held back is shown, the pager gets its end. left
// is true when the person did not want to see all.
func (p *Page) Close() (left bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pager != nil {
		return p.left, p.pager.Close()
	}
	_, err = p.file.Write(p.held.Bytes())
	p.held.Reset()
	return false, err
}

// Plain takes the escape sequences off: colours (CSI) and links (OSC).
func Plain(s string) string {
	if !strings.Contains(s, "\x1b") {
		return s
	}
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(s, "\x1b")
		b.WriteString(text)
		if !found {
			return b.String()
		}
		s = afterSequence(rest)
	}
}

// afterSequence is what follows an escape sequence; s begins behind the escape.
func afterSequence(s string) string {
	switch {
	case s == "":
		return ""
	case s[0] == ']':
		if i := strings.IndexAny(s, "\a\x1b"); i >= 0 {
			return strings.TrimPrefix(s[i+1:], `\`)
		}
		return ""
	case s[0] == '[':
		for i := 1; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return s[i+1:]
			}
		}
		return ""
	}
	return s[1:]
}
