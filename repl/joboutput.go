package repl

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// jobOutput shows what a job prints behind the prompt: whole lines, cleaned of
// everything that would move the cursor out of them. It is for one job; the
// writer below it may be shared.
type jobOutput struct {
	mu   sync.Mutex
	to   io.Writer
	rest []byte // a line that has not ended
}

// longestLine bounds what is kept of a line that does not end.
const longestLine = 64 << 10

func newJobOutput(to io.Writer) *jobOutput { return &jobOutput{to: to} }

// Write implements io.Writer.
func (o *jobOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rest = append(o.rest, p...)
	end := bytes.LastIndexByte(o.rest, '\n') + 1
	if end == 0 && len(o.rest) > longestLine {
		end = len(o.rest)
	}
	if end == 0 {
		return len(p), nil
	}
	var b strings.Builder
	for line := range bytes.SplitSeq(bytes.TrimSuffix(o.rest[:end], []byte("\n")), []byte("\n")) {
		if text, ok := plainLine(line); ok {
			b.WriteString(text + "\n")
		}
	}
	o.rest = append(o.rest[:0], o.rest[end:]...)
	if b.Len() > 0 {
		if _, err := io.WriteString(o.to, b.String()); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush shows a last line that has no end.
func (o *jobOutput) flush() {
	o.mu.Lock()
	unfinished := len(o.rest) > 0
	o.mu.Unlock()
	if unfinished {
		o.Write([]byte("\n"))
	}
}

// plainLine takes everything out of a line but its text and its colours. ok is
// false for a line that is part of a drawing: one that moves the cursor, as
// progress bars do, says nothing once it stands among other lines.
func plainLine(line []byte) (_ string, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if i := bytes.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:] // what had been written over
	}
	var b strings.Builder
	coloured := false
	for len(line) > 0 {
		if line[0] == 0x1b {
			seq := escape(line)
			line = line[len(seq):]
			switch {
			case bytes.HasPrefix(seq, []byte("\x1b[")) && seq[len(seq)-1] == 'm':
				b.Write(seq)
				coloured = true
			case bytes.HasPrefix(seq, []byte("\x1b[")) && bytes.IndexByte([]byte("ABCDHGf"), seq[len(seq)-1]) >= 0:
				return "", false
			}
			continue
		}
		r, n := utf8.DecodeRune(line)
		line = line[n:]
		if r == '\t' || !unicode.IsControl(r) {
			b.WriteRune(r)
		}
	}
	if coloured {
		b.WriteString("\x1b[0m")
	}
	return b.String(), true
}

// escape returns the control sequence at the beginning of b: a CSI, a string
// (OSC, DCS, …) up to its end, or ESC and one byte. See ECMA-48, 5.4 and 5.6.
func escape(b []byte) []byte {
	if len(b) < 2 {
		return b
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return b[:i+1]
			}
		}
		return b
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return b[:i+1]
			}
			if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\' {
				return b[:i+2]
			}
		}
		return b
	}
	return b[:2]
}
