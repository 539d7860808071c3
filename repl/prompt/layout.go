package prompt

import (
	"strings"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"github.com/mattn/go-runewidth"
)

// cell is one character on the screen.
type cell struct {
	text  string
	width int    // columns, 0 to 2 (tabs: up to 8)
	style string // SGR parameters, "" for plain
}

type row []cell

func (r row) width() (n int) {
	for _, c := range r {
		n += c.width
	}
	return n
}

// frame is what the editor shows: rows none wider than the window, and where
// the cursor stands among them.
type frame struct {
	rows         []row
	cursor       int // row of the cursor
	cursorColumn int
}

// flow lays characters out into rows.
type flow struct {
	cols  int
	rows  []row
	col   int
	style string
}

func newFlow(cols int) *flow { return &flow{cols: max(cols, 2), rows: make([]row, 1)} }

// widths of emoji and combining characters: those of modern terminals in a
// locale that is not East Asian, whatever the environment says.
var widths = &runewidth.Condition{StrictEmojiNeutral: true}

func clusterWidth(s string) int { return min(widths.StringWidth(s), 2) }

func (f *flow) newline() {
	f.rows = append(f.rows, nil)
	f.col = 0
}

// fit begins a new row when n columns do not fit into this one.
func (f *flow) fit(n int) {
	if f.col+n > f.cols {
		f.newline()
	}
}

func (f *flow) put(text string, width int) {
	f.fit(width)
	last := &f.rows[len(f.rows)-1]
	if width == 0 && len(*last) > 0 {
		(*last)[len(*last)-1].text += text
		return
	}
	*last = append(*last, cell{text, width, f.style})
	f.col += width
}

// cluster puts one character: tabs go to the next stop, control characters
// show as ^X, and what has no width of its own hangs on its neighbour.
func (f *flow) cluster(s string) {
	switch c := s[0]; {
	case c == '\t':
		f.fit(1)
		for n := min(8-f.col%8, f.cols-f.col); n > 0; n-- {
			f.put(" ", 1)
		}
	case len(s) == 1 && (c < 0x20 || c == 0x7f):
		f.put("^", 1)
		f.put(string(rune(c^0x40)), 1)
	default:
		f.put(s, clusterWidth(s))
	}
}

// ansi puts a prompt: text with SGR sequences, which become styles. Other
// escape sequences are dropped, they would move what the editor relies on.
func (f *flow) ansi(s string) {
	for s != "" {
		if strings.HasPrefix(s, "\x1b") {
			params, rest := sgr(s)
			f.style = joinStyle(f.style, params)
			s = rest
			continue
		}
		if s[0] == '\n' {
			f.newline()
			s = s[1:]
			continue
		}
		c := firstCluster(s)
		if i := strings.IndexByte(c, 0x1b); i > 0 {
			c = c[:i]
		}
		f.cluster(c)
		s = s[len(c):]
	}
	f.style = ""
}

// sgr reads the escape sequence that s begins with; params is "0" to reset,
// "" for sequences that are no colours.
func sgr(s string) (params, rest string) {
	if strings.HasPrefix(s, "\x1b]") { // a window title, ended by BEL or ESC \
		if i := strings.IndexAny(s[2:], "\a\x1b"); i >= 0 {
			return "", strings.TrimPrefix(strings.TrimPrefix(s[2+i:], "\a"), "\x1b\\")
		}
		return "", ""
	}
	if !strings.HasPrefix(s, "\x1b[") {
		return "", s[min(len(s), 2):]
	}
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			if s[i] != 'm' {
				return "", s[i+1:]
			}
			if i == 2 {
				return "0", s[i+1:]
			}
			return s[2:i], s[i+1:]
		}
	}
	return "", ""
}

func joinStyle(old, params string) string {
	switch {
	case params == "":
		return old
	case params == "0" || old == "":
		return strings.TrimPrefix(params, "0")
	default:
		return old + ";" + params
	}
}

// text puts the edited text. style gives the style of the byte at an offset,
// cursor is the offset of the cursor; the answer is where it stands.
func (f *flow) text(s string, cursor int, continuation string, style func(at int) string) (atRow, atCol int) {
	at := 0
	for g := graphemes.FromString(s); g.Next(); {
		c := g.Value()
		if c == "\r\n" {
			c = "\n"
		}
		if at == cursor {
			atRow, atCol = f.here(c)
		}
		if c == "\n" {
			f.newline()
			f.ansi(continuation)
		} else {
			f.style = style(at)
			f.cluster(c)
		}
		at += len(g.Value())
	}
	f.style = ""
	if cursor >= at {
		atRow, atCol = f.here(" ")
	}
	return atRow, atCol
}

// here is where the character next will stand; the cursor stands there too.
func (f *flow) here(next string) (atRow, atCol int) {
	if next == "\n" {
		next = " "
	}
	f.fit(max(1, clusterWidth(next)))
	return len(f.rows) - 1, f.col
}

// oneRow cuts s to the columns.
func oneRow(s string, cols int, style string) row {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	var out row
	used := 0
	for g := graphemes.FromString(s); g.Next(); {
		w := clusterWidth(g.Value())
		if used+w > cols {
			// The last column shows that there is more.
			for len(out) > 0 && used+1 > cols {
				used -= out[len(out)-1].width
				out = out[:len(out)-1]
			}
			if cols > 0 {
				out = append(out, cell{"…", 1, style})
			}
			return out
		}
		out = append(out, cell{g.Value(), w, style})
		used += w
	}
	return out
}

// view cuts a frame that is higher than the window to the rows around the
// cursor; extra rows (menu, search) stand below and keep at least one row.
func view(f frame, extra []row, height int) frame {
	height = max(height, 1)
	room := height - len(f.rows)
	if room < len(extra) {
		room = max(room, min(1, height-1))
		extra = extra[:min(room, len(extra))]
	}
	h := height - len(extra)
	if top := min(f.cursor, len(f.rows)-h); top > 0 {
		f.rows = f.rows[top:]
		f.cursor -= top
	}
	f.rows = f.rows[:min(len(f.rows), h)]
	f.rows = append(f.rows[:len(f.rows):len(f.rows)], extra...)
	return f
}
