// Package shots makes the pictures of the README: it types into the real nacre
// at a pseudo-terminal and draws the screen that a person would see as SVG.
// `make shots` runs it; the pictures are text, small, and follow the reader's
// light or dark setting.
package shots

import (
	"bytes"
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/hinshun/vt10x"
)

// Size of a character's cell in pixels, and the frame around the screen.
const (
	cellWidth, cellHeight = 8.43, 18.0
	fontSize              = 14
	margin, bar           = 14.0, 26.0
)

// replay reads what a program has written to a terminal of this size. The
// parser does not know faint text: it gets it as italic, and is drawn as faint.
func replay(raw string, cols, rows int) vt10x.Terminal {
	term := vt10x.New(vt10x.WithSize(cols, rows))
	term.Write([]byte(faintAsItalic(raw))) // it keeps no error
	return term
}

var sgr = regexp.MustCompile("\x1b\\[([0-9;]*)m")

func faintAsItalic(raw string) string {
	return sgr.ReplaceAllStringFunc(raw, func(sequence string) string {
		params := strings.Split(strings.TrimSuffix(strings.TrimPrefix(sequence, "\x1b["), "m"), ";")
		for i := 0; i < len(params); i++ {
			switch params[i] {
			case "38", "48": // their own parameters follow
				i += 2
			case "2":
				params[i] = "3"
			case "22":
				params[i] = "22;23"
			}
		}
		return "\x1b[" + strings.Join(params, ";") + "m"
	})
}

// Bits of vt10x's modes.
const (
	modeUnderline = 2
	modeBold      = 4
	modeItalic    = 16
)

// style is how a run of characters is drawn.
type style struct {
	fg, bg                 vt10x.Color
	bold, faint, underline bool
}

func styleOf(g vt10x.Glyph) style {
	return style{fg: g.FG, bg: g.BG, bold: g.Mode&modeBold != 0, faint: g.Mode&modeItalic != 0, underline: g.Mode&modeUnderline != 0}
}

// class names a colour in the style sheet; "" is the default one.
func class(c vt10x.Color) string {
	switch {
	case c == vt10x.DefaultFG:
		return "f"
	case c == vt10x.DefaultBG:
		return "b"
	case c < 16:
		return fmt.Sprintf("c%d", c)
	}
	return ""
}

// fill is the attribute of a colour: a class, or the colour itself.
func fill(c vt10x.Color) string {
	if name := class(c); name != "" {
		return fmt.Sprintf(`class="%s"`, name)
	}
	return fmt.Sprintf(`fill="%s"`, rgb(c))
}

// rgb is a colour of the 256, or a true one.
func rgb(c vt10x.Color) string {
	n := int(c)
	if n >= 232 && n < 256 {
		grey := 8 + 10*(n-232)
		return fmt.Sprintf("#%02x%02x%02x", grey, grey, grey)
	}
	if n < 256 {
		level := func(i int) int { return []int{0, 95, 135, 175, 215, 255}[i] }
		return fmt.Sprintf("#%02x%02x%02x", level((n-16)/36), level((n-16)/6%6), level((n-16)%6))
	}
	return fmt.Sprintf("#%06x", n&0xffffff)
}

// sheet has the colours of a dark and of a light terminal.
const sheet = `
text{font:14px "DejaVu Sans Mono","Cascadia Mono",Menlo,Consolas,"Liberation Mono",monospace;white-space:pre}
.w{fill:#16181d}.b{fill:#16181d}.f{fill:#d7dae0}.t{fill:#8a919e}.l{fill:#3a3f4b}
.c0{fill:#3a3f4b}.c1{fill:#f0716b}.c2{fill:#7ec97a}.c3{fill:#e2b65c}.c4{fill:#6aa8f0}.c5{fill:#c78be6}.c6{fill:#5cc8d6}.c7{fill:#d7dae0}
.c8{fill:#7d8594}.c9{fill:#ff8f88}.c10{fill:#9be396}.c11{fill:#f4cf80}.c12{fill:#8dc1ff}.c13{fill:#dca8f5}.c14{fill:#83e0ec}.c15{fill:#fff}
@media (prefers-color-scheme:light){
.w{fill:#fbfbf9}.b{fill:#fbfbf9}.f{fill:#2b2f36}.t{fill:#7b818c}.l{fill:#d3d5d9}
.c0{fill:#2b2f36}.c1{fill:#c0392f}.c2{fill:#2f7d32}.c3{fill:#9a6a00}.c4{fill:#1f5fb8}.c5{fill:#8437ad}.c6{fill:#0b7483}.c7{fill:#5c626c}
.c8{fill:#858b95}.c9{fill:#d5483e}.c10{fill:#3a9440}.c11{fill:#b17c06}.c12{fill:#2c72d6}.c13{fill:#9a46c6}.c14{fill:#118a9b}.c15{fill:#000}
}`

// draw makes the picture of a screen, with its title above; empty rows at the
// end are left out, as far as there are more than least.
func draw(term vt10x.Terminal, title string, least int) string {
	term.Lock()
	defer term.Unlock()
	cols, rows := term.Size()
	for rows > least && emptyRow(term, rows-1, cols) {
		rows--
	}
	width, height := float64(cols)*cellWidth+2*margin, float64(rows)*cellHeight+bar+2*margin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`,
		width, height, width, height, html.EscapeString(title))
	fmt.Fprintf(&b, "<style>%s</style>\n", sheet)
	fmt.Fprintf(&b, `<rect class="w" width="%.0f" height="%.0f" rx="9"/>`, width, height)
	for i, colour := range []string{"c1", "c3", "c2"} {
		fmt.Fprintf(&b, `<circle class="%s" cx="%.0f" cy="16" r="5"/>`, colour, margin+6+float64(i)*17)
	}
	fmt.Fprintf(&b, "<text class=\"t\" x=\"%.0f\" y=\"21\" text-anchor=\"middle\">%s</text>\n", width/2, html.EscapeString(title))
	for y := range rows {
		drawRow(&b, term, y, cols)
	}
	if term.CursorVisible() {
		cursor := term.Cursor()
		fmt.Fprintf(&b, `<rect class="f" fill-opacity=".55" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`, left(cursor.X), top(cursor.Y), cellWidth, cellHeight)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func left(x int) float64 { return margin + float64(x)*cellWidth }
func top(y int) float64  { return margin + bar + float64(y)*cellHeight }

func emptyRow(term vt10x.Terminal, y, cols int) bool {
	for x := range cols {
		if g := term.Cell(x, y); g.Char != 0 && g.Char != ' ' || g.BG != vt10x.DefaultBG {
			return false
		}
	}
	return term.Cursor().Y != y
}

// drawRow draws a row in runs of one style.
func drawRow(b *bytes.Buffer, term vt10x.Terminal, y, cols int) {
	for x := 0; x < cols; {
		from, s := x, styleOf(term.Cell(x, y))
		var text []rune
		for ; x < cols && styleOf(term.Cell(x, y)) == s; x++ {
			c := term.Cell(x, y).Char
			if c == 0 {
				c = ' '
			}
			text = append(text, c)
		}
		drawRun(b, from, y, text, s)
	}
	b.WriteByte('\n')
}

// drawRun draws characters of one style. A text ends at two blanks: whatever
// font the reader has, columns stay where they are.
func drawRun(b *bytes.Buffer, x, y int, text []rune, s style) {
	if s.bg != vt10x.DefaultBG {
		fmt.Fprintf(b, `<rect %s x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`, fill(s.bg), left(x), top(y), float64(len(text))*cellWidth+.3, cellHeight)
	}
	for from := 0; from < len(text); from++ {
		if text[from] == ' ' {
			continue
		}
		to := from
		for to < len(text) && (text[to] != ' ' || to+1 < len(text) && text[to+1] != ' ') {
			to++
		}
		fmt.Fprintf(b, `<text %s x="%.2f" y="%.2f"%s>%s</text>`, fill(s.fg), left(x+from), top(y)+fontSize-.5, s.attributes(), html.EscapeString(string(text[from:to])))
		from = to
	}
}

// attributes are those of a text beside its colour.
func (s style) attributes() (list string) {
	if s.bold {
		list += ` font-weight="bold"`
	}
	if s.faint {
		list += ` fill-opacity=".6"`
	}
	if s.underline {
		list += ` text-decoration="underline"`
	}
	return list
}
