package prompt

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// key is one thing the user did: a named key, text typed, or a paste.
type key struct {
	name string // "ctrl-a", "left", "paste", …; "" for text
	text string // what was typed or pasted
}

const (
	// escapeWait is how long the rest of an escape sequence may take; after it
	// a lone ESC was the Esc key.
	escapeWait = 50 * time.Millisecond
	// maxPaste bounds one paste; what comes after it is dropped.
	maxPaste = 1 << 20
	// pasteWait is how long a paste may stall: no network is that slow.
	pasteWait = time.Hour
	// maxSequence bounds the parameters of one escape sequence.
	maxSequence = 64
)

// oddNewlines finds a newline that has no twin.
var oddNewlines = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|[^\n])(?:\n\n)*\n(?:[^\n]|$)`) })

const pasteEnd = "\x1b[201~"

// byteSource gives the terminal's bytes. ok is false when none came in time
// (wait < 0: for ever, or until something else wants the reader's attention).
type byteSource interface {
	readByte(wait time.Duration) (b byte, ok bool)
}

// decoder turns bytes into keys.
type decoder struct {
	src    byteSource
	pushed []byte // bytes read too far
}

func (d *decoder) read(wait time.Duration) (byte, bool) {
	if n := len(d.pushed); n > 0 {
		b := d.pushed[n-1]
		d.pushed = d.pushed[:n-1]
		return b, true
	}
	return d.src.readByte(wait)
}

func (d *decoder) unread(b byte) { d.pushed = append(d.pushed, b) }

// next reads one key. A key without name and text is none: nothing came, or
// something that means nothing.
func (d *decoder) next(wait time.Duration) (key, bool) {
	b, ok := d.read(wait)
	if !ok {
		return key{}, false
	}
	switch {
	case b == 0x1b:
		return d.escape(), true
	case b < 0x20 || b == 0x7f:
		return key{name: controlName(b)}, true
	default:
		return key{text: d.rune(b)}, true
	}
}

func controlName(b byte) string {
	switch b {
	case 0x00:
		return "ctrl-space"
	case 0x08, 0x7f:
		return "backspace"
	case 0x09:
		return "tab"
	case 0x0a, 0x0d:
		return "enter"
	case 0x1f:
		return "ctrl-_"
	}
	if b <= 0x1a {
		return "ctrl-" + string(rune('a'+b-1))
	}
	return "ctrl-" + string(rune(b+0x40))
}

// rune reads the rest of a UTF-8 sequence; broken ones give "".
func (d *decoder) rune(first byte) string {
	buf := []byte{first}
	for !utf8.FullRune(buf) {
		b, ok := d.read(escapeWait)
		if !ok {
			return ""
		}
		buf = append(buf, b)
	}
	r, size := utf8.DecodeRune(buf)
	for i := len(buf) - 1; i >= max(size, 1); i-- {
		d.unread(buf[i])
	}
	if r == utf8.RuneError && size <= 1 {
		return ""
	}
	return string(buf[:size])
}

func (d *decoder) escape() key {
	b, ok := d.read(escapeWait)
	switch {
	case !ok:
		return key{name: "escape"}
	case b == '[':
		return d.csi()
	case b == 'O':
		return d.ss3()
	case b == 0x1b:
		d.unread(b)
		return key{name: "escape"}
	case b < 0x20 || b == 0x7f:
		return key{name: "alt-" + controlName(b)}
	default:
		return key{name: "alt-" + d.rune(b)}
	}
}

// ss3 reads the keys of application mode and of rxvt.
func (d *decoder) ss3() key {
	b, ok := d.read(escapeWait)
	if !ok {
		return key{name: "alt-O"}
	}
	switch b {
	case 'c':
		return key{name: "ctrl-right"}
	case 'd':
		return key{name: "ctrl-left"}
	case 'M':
		return key{name: "enter"}
	}
	if name := finalName(b); name != "" {
		return key{name: name}
	}
	return key{}
}

// csi reads ESC [ parameters final; what is unknown is swallowed whole.
func (d *decoder) csi() key {
	var params strings.Builder
	for params.Len() < maxSequence {
		b, ok := d.read(escapeWait)
		switch {
		case !ok:
			return key{}
		case b == '[' && params.Len() == 0: // the function keys of the Linux console
			d.read(escapeWait)
			return key{}
		case b >= 0x40 && b <= 0x7e:
			return d.csiKey(params.String(), b)
		case b < 0x20 || b > 0x7e: // broken off: the byte belongs to what follows
			d.unread(b)
			return key{}
		}
		params.WriteByte(b)
	}
	return key{}
}

func (d *decoder) csiKey(params string, final byte) key {
	if final == 'R' {
		return key{name: "position", text: params}
	}
	first, second, _ := strings.Cut(params, ";")
	name := finalName(final)
	if final == '~' {
		switch first {
		case "200":
			return key{name: "paste", text: d.paste()}
		case "1", "7":
			name = "home"
		case "4", "8":
			name = "end"
		case "3":
			name = "delete"
		case "11":
			name = "f1"
		case "5":
			name = "pageup"
		case "6":
			name = "pagedown"
		}
	}
	if name == "" {
		return key{}
	}
	switch second {
	case "5", "6", "7":
		name = "ctrl-" + name
	case "3", "4":
		name = "alt-" + name
	}
	return key{name: name}
}

func finalName(b byte) string {
	switch b {
	case 'A':
		return "up"
	case 'B':
		return "down"
	case 'C':
		return "right"
	case 'D':
		return "left"
	case 'H':
		return "home"
	case 'F':
		return "end"
	case 'P':
		return "f1"
	case 'Z':
		return "shift-tab"
	}
	return ""
}

// paste reads up to the end of a bracketed paste. Between its brackets no byte
// is a key, however long the terminal takes; only a Ctrl-C with silence after
// it ends a paste whose end never comes.
func (d *decoder) paste() string {
	var text []byte
	tail := make([]byte, 0, len(pasteEnd))
	for {
		b, ok := d.read(pasteWait)
		if !ok {
			return clean(string(text))
		}
		if b == 0x03 {
			again, more := d.read(4 * escapeWait)
			if !more {
				return ""
			}
			d.unread(again)
		}
		if len(tail) == cap(tail) {
			tail = append(tail[:0], tail[1:]...)
		}
		tail = append(tail, b)
		if len(text) < maxPaste+len(pasteEnd) {
			text = append(text, b)
		}
		if string(tail) == pasteEnd {
			text = bytes.TrimSuffix(text, []byte(pasteEnd))
			return clean(string(text[:min(len(text), maxPaste)]))
		}
	}
}

// clean makes pasted text fit for a line: newlines are \n, none at the end,
// other control characters are dropped, and so is what is not UTF-8.
func clean(text string) string {
	// The terminal's driver has made newlines of carriage returns: \r\n came as two.
	if !oddNewlines().MatchString(text) {
		text = strings.ReplaceAll(text, "\n\n", "\n")
	}
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
	return strings.TrimRight(text, "\n")
}
