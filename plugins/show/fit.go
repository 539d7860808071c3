package show

import "strings"

// Fit lays out text that holds a table so that it is no wider than the window.
// Text that is no table comes back as it is.
func (w Window) Fit(text string) string {
	rows, rest, ok := parse(text)
	if !ok {
		return text
	}
	return w.Table(rows) + rest
}

// Table lays rows out, their headings first. Where docker's layout is narrow
// enough it stays, with wide characters counted right.
func (w Window) Table(rows [][]string) string {
	if len(rows) == 0 {
		return ""
	}
	clean := make([][]string, len(rows))
	for i, row := range rows {
		clean[i] = make([]string, len(rows[0]))
		for j := range min(len(row), len(clean[i])) {
			clean[i][j] = Clean(row[j])
		}
	}
	columns := columnsOf(clean)
	if loose(columns) <= w.Cols {
		for i := range columns {
			columns[i].width, columns[i].gap = columns[i].natural, max(padding, leastColumn-columns[i].natural)
		}
		return w.lines(clean, columns)
	}
	if !shrink(columns, w.Cols) {
		return w.records(clean)
	}
	return w.lines(clean, columns)
}

// leastColumn is the least width of a column in docker's tables, its padding
// included; gap is the padding where there is no room to waste.
const (
	leastColumn = 10
	gap         = 2
)

// loose is the width of a table as docker lays it out.
func loose(columns []column) (total int) {
	for _, c := range columns[:len(columns)-1] {
		total += max(leastColumn, c.natural+padding)
	}
	return total + columns[len(columns)-1].natural
}

// manner is what may happen to cells that are too long.
type manner int

const (
	wraps   manner = iota // they go on below
	cuts                  // they end with …
	middles               // … takes the place of their middle
)

// manners of headings whose cells tell enough when they are cut.
var manners = map[string]manner{
	"COMMAND": cuts, "CREATED BY": cuts, "DESCRIPTION": cuts, "COMMENT": cuts, "COMMANDS": cuts, "CMD": cuts, "ERROR": cuts,
	"IMAGE": middles, "REPOSITORY": middles, "URL": middles, "SOURCE": middles, "DOCKER ENDPOINT": middles,
}

// column is a column's room.
type column struct {
	heading    string
	manner     manner
	natural    int // the widest cell
	soft, hard int // what it should, what it must have
	width, gap int // what it gets, and the blanks behind it
}

// Least widths of columns: what is cut or broken to less tells little.
const (
	softCut, hardCut       = 14, 7
	softMiddle, hardMiddle = 20, 8
	tightMiddle            = 14 // less than that only when nothing else gives
	softWord, hardWord     = 24, 12
	softWrap               = 16 // what is shorter stays in one row as long as something can be cut
)

func columnsOf(rows [][]string) []column {
	columns := make([]column, len(rows[0]))
	for i, heading := range rows[0] {
		c := column{heading: heading, manner: manners[heading]}
		word, ids := 0, 0
		for _, row := range rows {
			cell := row[i]
			c.natural = max(c.natural, Width(cell))
			word = max(word, longestWord(cell))
			if isID(cell) {
				ids = max(ids, len(cell))
			}
		}
		switch c.manner {
		case cuts:
			c.soft, c.hard = softCut, hardCut
		case middles:
			c.soft, c.hard = softMiddle, hardMiddle
		case wraps:
			c.soft, c.hard = max(min(word, softWord), softWrap), min(word, hardWord)
		}
		least := max(ids, longestWord(heading))
		c.soft, c.hard = min(c.natural, max(c.soft, least)), min(c.natural, max(c.hard, least))
		columns[i] = c
	}
	return columns
}

// isID recognises what people copy and what a cut or a break would spoil: ids
// and digests, from 12 digits on.
func isID(cell string) bool {
	digits := strings.TrimPrefix(cell, "sha256:")
	return len(digits) >= 12 && len(digits) <= 64 && strings.Trim(digits, "0123456789abcdef") == ""
}

// shrink gives columns their widths so that they fit into cols columns: what
// can be cut gives first, then names, then what can go on below; false when
// that is not enough.
func shrink(columns []column, cols int) bool {
	over := -cols
	for i := range columns {
		columns[i].width, columns[i].gap = columns[i].natural, gap
		over += columns[i].natural
	}
	over += gap * (len(columns) - 1)
	soft, hard := func(c column) int { return c.soft }, func(c column) int { return c.hard }
	tight := func(c column) int { return max(c.hard, min(c.soft, tightMiddle)) }
	for _, stage := range []struct {
		manner manner
		least  func(column) int
	}{{cuts, soft}, {middles, soft}, {wraps, soft}, {cuts, hard}, {middles, tight}, {wraps, hard}, {middles, hard}} {
		for over > 0 {
			widest := -1
			for i, c := range columns {
				if c.manner == stage.manner && c.width > stage.least(c) && (widest < 0 || c.width > columns[widest].width) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			columns[widest].width--
			over--
		}
	}
	return over <= 0
}

// pieces are the rows that a cell takes in its column.
func (c column) pieces(cell string) []string {
	switch {
	case Width(cell) <= c.width:
		return []string{cell}
	case c.manner == wraps || cell == c.heading:
		return wrap(cell, c.width)
	case c.manner == middles:
		return []string{cutMiddle(cell, c.width)}
	}
	return []string{Cut(cell, c.width)}
}

// lines writes rows whose columns have their widths.
func (w Window) lines(rows [][]string, columns []column) string {
	var b strings.Builder
	for n, row := range rows {
		pieces := make([][]string, len(row))
		height := 1
		for i, cell := range row {
			pieces[i] = columns[i].pieces(cell)
			height = max(height, len(pieces[i]))
		}
		for y := range height {
			w.line(&b, columns, row, pieces, y, n == 0)
		}
	}
	return b.String()
}

// line writes the y-th row of a table's row.
func (w Window) line(b *strings.Builder, columns []column, row []string, pieces [][]string, y int, heading bool) {
	last := len(columns) - 1
	for last > 0 && columns[0].gap < padding && (y >= len(pieces[last]) || pieces[last][y] == "") {
		last-- // docker's layout has blanks there, a narrow one need not
	}
	for i, c := range columns[:last+1] {
		piece := ""
		if y < len(pieces[i]) {
			piece = pieces[i][y]
		}
		if heading {
			b.WriteString(piece)
		} else {
			b.WriteString(w.dress(c.heading, row[i], piece))
		}
		if i < last || c.gap >= padding && i < len(columns)-1 {
			b.WriteString(strings.Repeat(" ", c.width-Width(piece)+c.gap))
		}
	}
	b.WriteByte('\n')
}
