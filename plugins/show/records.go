package show

import "strings"

// indent is how far a field goes in where it goes on below its name.
const indent = "  "

// records shows a table whose columns do not fit: field below field, an empty
// row between two records. A field without content is left out.
func (w Window) records(rows [][]string) string {
	label := 0
	for _, h := range rows[0] {
		label = max(label, Width(h))
	}
	beside := w.Cols-label-len(indent) >= max(softWord, longestID(rows))
	var b strings.Builder
	for n, row := range rows[1:] {
		if n > 0 {
			b.WriteByte('\n')
		}
		for i, cell := range row {
			switch h := rows[0][i]; {
			case cell == "":
			case beside:
				w.beside(&b, h, cell, label)
			default:
				w.below(&b, h, cell)
			}
		}
	}
	if len(rows) == 1 { // nothing to list: what would have been listed
		for _, row := range wrap(strings.Join(rows[0], ", "), w.Cols) {
			b.WriteString(row + "\n")
		}
	}
	return b.String()
}

func longestID(rows [][]string) (n int) {
	for _, row := range rows {
		for _, cell := range row {
			if isID(cell) {
				n = max(n, len(cell))
			}
		}
	}
	return n
}

// beside writes the name of a field and its content at the same height.
func (w Window) beside(b *strings.Builder, heading, cell string, label int) {
	margin := strings.Repeat(" ", label+len(indent))
	for i, piece := range wrap(cell, w.Cols-len(margin)) {
		if i == 0 {
			b.WriteString(heading + margin[Width(heading):])
		} else {
			b.WriteString(margin)
		}
		b.WriteString(w.dress(heading, cell, piece) + "\n")
	}
}

// below writes the content behind the name of a field as far as there is room,
// and goes on below. An id wider than the window stands alone, for the terminal
// to wrap: it can still be copied as one.
func (w Window) below(b *strings.Builder, heading, cell string) {
	name := wrap(heading, w.Cols)
	room := w.Cols - len(indent)
	switch last := name[len(name)-1]; {
	case Width(last)+1+Width(cell) <= w.Cols:
		name[len(name)-1] += " " + w.dress(heading, cell, cell)
	case isID(cell) && len(cell) > room:
		name = append(name, w.dress(heading, cell, cell))
	default:
		for _, piece := range wrap(cell, room) {
			name = append(name, indent+w.dress(heading, cell, piece))
		}
	}
	b.WriteString(strings.Join(name, "\n") + "\n")
}
