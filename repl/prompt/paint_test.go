package prompt

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hinshun/vt10x"
)

func lay(cols int, prompt, text string, cursor int) frame {
	f := newFlow(cols)
	f.ansi(prompt)
	row, col := f.text(text, cursor, "… ", func(int) string { return "" })
	return frame{f.rows, row, col}
}

func (f frame) text() string {
	var out []string
	for _, r := range f.rows {
		var b strings.Builder
		for _, c := range r {
			b.WriteString(c.text)
		}
		out = append(out, b.String())
	}
	return strings.Join(out, "/")
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		prompt, text string
		cursor       int
		want         string
		row, col     int
	}{
		{"> ", "", 0, "> ", 0, 2},
		{"> ", "abc", 3, "> abc", 0, 5},
		{"> ", "12345678", 8, "> 12345678/", 1, 0},
		{"> ", "12345678", 7, "> 12345678", 0, 9},
		{"> ", "123456789", 8, "> 12345678/9", 1, 0},
		{"> ", "1234567日", 7, "> 1234567/日", 1, 0},
		{"> ", "123456日", 9, "> 123456日/", 1, 0},
		{"> ", "a\nb", 1, "> a/… b", 0, 3},
		{"> ", "a\n", 2, "> a/… ", 1, 2},
		{"> ", "12345678\nb", 8, "> 12345678//… b", 1, 0},
		{"> ", "a\tb", 2, "> a     b", 0, 8},
		{"> ", "\x01", 1, "> ^A", 0, 4},
		{"> ", "e\u0301x", 3, "> e\u0301x", 0, 3},
		{"\x1b[1;31mone\x1b[0m\ntwo\x1b]0;title\x07> ", "x", 1, "one/two> x", 1, 6},
		{"0123456789abc", "x", 1, "0123456789/abcx", 1, 4},
	} {
		f := lay(10, c.prompt, c.text, c.cursor)
		if f.text() != c.want || f.cursor != c.row || f.cursorColumn != c.col {
			t.Errorf("%q %q at %d: %s, cursor %d,%d; want %s, cursor %d,%d",
				c.prompt, c.text, c.cursor, f.text(), f.cursor, f.cursorColumn, c.want, c.row, c.col)
		}
	}
}

func TestPromptStyles(t *testing.T) {
	f := newFlow(20)
	f.ansi("\x1b[1m\x1b[35ma\x1b[0mb\x1b[32;4mc\x1b[md")
	var got []string
	for _, c := range f.rows[0] {
		got = append(got, c.text+":"+c.style)
	}
	if s := strings.Join(got, " "); s != "a:1;35 b: c:32;4 d:" {
		t.Error(s)
	}
}

func TestView(t *testing.T) {
	rows := func(s string) (out []row) {
		for _, c := range s {
			out = append(out, row{{string(c), 1, ""}})
		}
		return out
	}
	for _, c := range []struct {
		text   string
		cursor int
		extra  string
		height int
		want   string
		at     int
	}{
		{"abc", 1, "", 5, "a/b/c", 1},
		{"abc", 1, "xy", 5, "a/b/c/x/y", 1},
		{"abc", 1, "xyz", 5, "a/b/c/x/y", 1},
		{"abcdef", 5, "", 3, "d/e/f", 2},
		{"abcdef", 0, "", 3, "a/b/c", 0},
		{"abcdef", 2, "", 3, "c/d/e", 0},
		{"abcdef", 5, "xy", 3, "e/f/x", 1},
		{"a", 0, "xy", 1, "a", 0},
		{"abc", 2, "x", 0, "c", 0},
	} {
		f := view(frame{rows: rows(c.text), cursor: c.cursor}, rows(c.extra), c.height)
		if f.text() != c.want || f.cursor != c.at {
			t.Errorf("%s %s in %d: %s at %d, want %s at %d", c.text, c.extra, c.height, f.text(), f.cursor, c.want, c.at)
		}
	}
}

// Whatever frame follows whatever frame, the screen shows the second, and what
// stood above stays.
func TestPaint(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const cols, rows = 12, 8
	for range 300 {
		term := vt10x.New(vt10x.WithSize(cols, rows))
		_, _ = term.Write([]byte("above\r\n"))
		var p painter
		for range 12 {
			text := strings.Repeat("ab日c\n"[:1+r.IntN(7)/6*6], r.IntN(8)) + strings.Repeat("x", r.IntN(30))
			if n := strings.LastIndexByte(text, 0xe6); n >= 0 && len(text)-n < 3 {
				text = text[:n]
			}
			cursor := len(text)
			if r.IntN(2) == 0 {
				cursor = len(firstCluster(text))
			}
			next := view(lay(cols, "> ", text, cursor), nil, rows-1)
			var b bytes.Buffer
			p.paint(&b, next, cols)
			_, _ = term.Write(b.Bytes())
			check(t, term, next)
		}
	}
}

func check(t *testing.T, term vt10x.Terminal, f frame) {
	t.Helper()
	cursor := term.Cursor()
	top := cursor.Y - f.cursor
	if cursor.X != f.cursorColumn || top < 0 {
		t.Fatalf("cursor %d,%d for %s at %d,%d", cursor.X, cursor.Y, f.text(), f.cursorColumn, f.cursor)
	}
	cols, rows := term.Size()
	for y := top; y < rows; y++ {
		want := make([]rune, 0, cols)
		if y-top < len(f.rows) {
			for _, c := range f.rows[y-top] {
				want = append(want, []rune(c.text)[0])
				for range c.width - 1 {
					want = append(want, '_')
				}
			}
		}
		var got []rune
		for x := range cols {
			c := term.Cell(x, y).Char
			if x < len(want) && want[x] == '_' {
				c = '_' // the test's screen gives every character one cell; a real one covers the next
			}
			got = append(got, c)
		}
		if g, w := strings.TrimRight(string(got), " \x00"), strings.TrimRight(string(want), " "); g != w {
			t.Fatalf("row %d: %q, want %q of %s", y-top, g, w, f.text())
		}
	}
}

func TestAboveAfterResize(t *testing.T) {
	var p painter
	var b bytes.Buffer
	p.paint(&b, lay(40, "> ", strings.Repeat("x", 100), 100), 40) // rows of 40, 40, 22 with the cursor behind
	for _, c := range []struct {
		cols   int
		reflow bool
		want   int
	}{{40, true, 2}, {80, true, 2}, {20, true, 2 + 1 + 1 + 1}, {20, false, 2}, {25, true, 2 + 1 + 1}} {
		if got := p.above(c.cols, c.reflow); got != c.want {
			t.Errorf("%d columns, reflow %v: %d rows above, want %d", c.cols, c.reflow, got, c.want)
		}
	}
}
