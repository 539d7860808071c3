package prompt

import (
	"fmt"

	"github.com/nacre-sh/nacre/plugins"
)

// grid is how a menu's items stand: down the first column, then the second.
type grid struct {
	cols, count int // what it was made for
	name, about int // widths
	columns     int
	height      int // rows that all items need
}

const (
	gutter   = 2  // between columns, and between a name and its description
	mostText = 38 // of a description where several columns stand side by side
	fewItems = 8  // so many are shown one below the other, with all of their descriptions
)

// arrange measures the items. Not only those that are left count: the columns
// stay where they are while the list is narrowed.
func (m *menu) arrange(cols int) {
	if m.grid.cols == cols && m.grid.count == len(m.items) {
		return
	}
	if m.grid.cols != cols {
		m.grid = grid{cols: cols}
		for _, it := range m.all {
			m.grid.name = max(m.grid.name, widths.StringWidth(it.Text))
			m.grid.about = max(m.grid.about, widths.StringWidth(it.Description))
		}
	}
	g := &m.grid
	g.count, g.columns = len(m.items), 1
	if g.about == 0 {
		g.columns = max(1, (cols-1)/(g.name+1+gutter))
	} else if len(m.items) > fewItems {
		g.columns = max(1, (cols-1)/(g.name+min(g.about, mostText)+1+2*gutter))
	}
	g.height = (len(m.items) + g.columns - 1) / g.columns
	if g.height > 0 { // no empty columns
		g.columns = (len(m.items) + g.height - 1) / g.height
	}
}

// beside is the item in the next column, or in the one before.
func (m *menu) beside(right bool) int {
	step := -m.grid.height
	if right {
		step = -step
	}
	if i := m.selected + step; i >= 0 && i < len(m.items) {
		return i
	}
	return m.selected
}

// rows draws the menu in at most height rows, the last of which counts when
// not all items fit.
func (m *menu) rows(cols, height int) []row {
	m.arrange(cols)
	g := m.grid
	counted := g.height > height && height > 1
	if counted {
		height--
	}
	height = min(height, g.height)
	if m.selected >= 0 {
		at := m.selected % g.height
		m.top = min(max(m.top, at-height+1), at)
	}
	m.top = max(min(m.top, g.height-height), 0)
	var out []row
	for y := m.top; y < m.top+height; y++ {
		out = append(out, m.row(y))
	}
	if counted {
		text := fmt.Sprintf(" %d–%d of %d", m.top+1, m.top+height, len(m.items))
		if g.columns > 1 {
			text = fmt.Sprintf(" rows %d–%d of %d, %d in all", m.top+1, m.top+height, g.height, len(m.items))
		}
		out = append(out, oneRow(text, cols, styleDim))
	}
	return out
}

// row is one row of the grid.
func (m *menu) row(y int) row {
	g := m.grid
	// A column stays free at the right: a full row is what terminals treat differently.
	each := (g.cols - 1) / g.columns
	var r row
	for x := range g.columns {
		i := x*g.height + y
		if i >= len(m.items) {
			break
		}
		for r.width() < x*each {
			r = append(r, cell{" ", 1, ""})
		}
		room := each
		if g.columns > 1 {
			room -= gutter - 1
		}
		r = append(r, m.cell(m.items[i], i == m.selected, room)...)
	}
	return r
}

func (m *menu) cell(it plugins.Candidate, selected bool, room int) row {
	name, about := "", styleDim
	if selected {
		name, about = styleSelected, styleSelected
	}
	left := m.grid.name
	if m.grid.about > 0 {
		left = min(left, max(m.grid.cols*2/3, m.grid.cols-30))
	}
	r := row{{" ", 1, name}}
	r = append(r, oneRow(it.Text, min(left, room-1), name)...)
	if it.Description == "" || room-left < 8 {
		return r
	}
	for r.width() < left+3 {
		r = append(r, cell{" ", 1, name})
	}
	return append(r, oneRow(it.Description, room-r.width(), about)...)
}
