package prompt

import (
	"bytes"
	"slices"
	"strconv"
)

// painter brings frames onto the screen and remembers the last one, so that a
// key costs the bytes of what changed. It knows no absolute positions: the
// first row of the frame is wherever the cursor stood when it began.
type painter struct {
	shown frame
	drawn bool // shown is on the screen
	at    int  // row of the cursor now, while painting
}

// paint appends to b what turns the shown frame into next.
func (p *painter) paint(b *bytes.Buffer, next frame, cols int) {
	if !p.drawn {
		p.shown = frame{rows: make([]row, 1)}
		p.at = 0
		b.WriteString("\r\x1b[J")
	} else {
		p.at = p.shown.cursor
	}
	var body bytes.Buffer
	for i, r := range next.rows {
		p.row(&body, i, r, cols)
	}
	if len(next.rows) < len(p.shown.rows) {
		p.moveTo(&body, len(next.rows))
		body.WriteString("\r\x1b[J")
	}
	if body.Len() > 0 {
		b.WriteString("\x1b[?25l")
		b.Write(body.Bytes())
	}
	p.shown, p.drawn = next, true
	p.moveTo(b, next.cursor)
	column(b, next.cursorColumn)
	if body.Len() > 0 {
		b.WriteString("\x1b[?25h")
	}
}

// row writes what differs in one row.
func (p *painter) row(b *bytes.Buffer, i int, next row, cols int) {
	var old row
	exists := i < len(p.shown.rows)
	if exists {
		old = p.shown.rows[i]
	}
	same := 0
	for same < min(len(old), len(next)) && old[same] == next[same] {
		same++
	}
	if exists && same == len(old) && same == len(next) {
		return
	}
	p.moveTo(b, i)
	column(b, next[:same].width())
	writeCells(b, next[same:], next[:same].width())
	// Erasing behind a full row would take its last character: the cursor still stands on it.
	if w := next.width(); w < old.width() && w < cols {
		b.WriteString("\x1b[K")
	}
}

// moveTo goes to a row of the frame. Rows that are not there yet are made by
// newlines, which scroll the screen where it ends.
func (p *painter) moveTo(b *bytes.Buffer, to int) {
	last := len(p.shown.rows) - 1
	if to > last {
		p.moveTo(b, last)
		for ; p.at < to; p.at++ {
			b.WriteString("\r\n")
		}
		p.shown.rows = append(slices.Clip(p.shown.rows), make([]row, to-last)...)
		return
	}
	switch {
	case to < p.at:
		csi(b, p.at-to, 'A')
	case to > p.at:
		csi(b, to-p.at, 'B')
	}
	p.at = to
}

// leave moves the cursor below the frame, which stays on the screen.
func (p *painter) leave(b *bytes.Buffer) {
	if p.drawn {
		p.at = p.shown.cursor
		p.moveTo(b, len(p.shown.rows)-1)
	}
	p.drawn = false
}

// erase takes the frame off the screen; the cursor stands where it began.
// above is how many rows of it lie above the cursor.
func (p *painter) erase(b *bytes.Buffer, above int) {
	if !p.drawn {
		return
	}
	if above > 0 {
		csi(b, above, 'A')
	}
	b.WriteString("\r\x1b[J")
	p.drawn = false
}

// above is how many screen rows lie between the frame's beginning and the
// cursor after the window became cols wide. Terminals that reflow have broken
// rows that are too wide; the others have cut them.
func (p *painter) above(cols int, reflow bool) int {
	n := p.shown.cursor
	if !reflow || cols < 1 {
		return n
	}
	for _, r := range p.shown.rows[:min(p.shown.cursor, len(p.shown.rows))] {
		n += max(r.width()-1, 0) / cols
	}
	return n + p.shown.cursorColumn/cols
}

func csi(b *bytes.Buffer, n int, final byte) {
	b.WriteString("\x1b[")
	if n != 1 {
		b.WriteString(strconv.Itoa(n))
	}
	b.WriteByte(final)
}

// column goes to a column of the row, counted from 0.
func column(b *bytes.Buffer, n int) {
	b.WriteByte('\r')
	if n > 0 {
		csi(b, n, 'C')
	}
}

// writeCells writes characters from column col on. After every one whose width
// terminals disagree about, the column is set anew, so that the rest stands
// where the layout says.
func writeCells(b *bytes.Buffer, cells row, col int) {
	style := ""
	for i, c := range cells {
		if c.style != style {
			b.WriteString("\x1b[0")
			if c.style != "" {
				b.WriteByte(';')
				b.WriteString(c.style)
			}
			b.WriteByte('m')
			style = c.style
		}
		b.WriteString(c.text)
		col += c.width
		if len(c.text) > 1 && i+1 < len(cells) {
			column(b, col)
		}
	}
	if style != "" {
		b.WriteString("\x1b[0m")
	}
}
