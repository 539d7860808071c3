package stats

import (
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/nacre-sh/nacre/plugins/show"
)

// view is what the person has chosen to see.
type view struct {
	cols, rows int
	colours    bool
	by         order
	reversed   bool
	top        int // the first container shown
	host       host
}

// host is the machine that the containers run on.
type host struct {
	name   string
	cpus   int
	memory float64 // bytes
}

// column is a column of the view. Its text is laid out to its width.
type column struct {
	heading string
	by      order
	width   int
	left    bool
	grows   bool // takes what room is left
	cell    func(s *series, now sample, known bool, width int) string
	colour  func(now sample) string
}

// Widths of columns.
const (
	nameLeast, nameMost   = 6, 32
	sparkLeast, sparkMost = 10, 30
	sparkGood             = 20 // so wide before less important columns come in
)

// columns chooses what fits: the name, the figure that counts, then the others.
func (v *view) columns(list []series, at time.Time) []column {
	cpu := column{heading: "CPU %", by: byCPU, width: 7, colour: heat, cell: func(_ *series, s sample, ok bool, _ int) string { return percent(s.cpu, ok) }}
	memory := column{heading: "MEM", by: byMemory, width: 8, cell: func(_ *series, s sample, ok bool, _ int) string { return size(s.memory, ok) }}
	first := []column{cpu, memory}
	if v.by == byMemory {
		first = []column{memory, cpu}
	}
	main := append(first,
		v.sparkline("CPU, 1 MIN", "36", func(s sample) float64 { return s.cpu }, 5, at),
		v.sparkline("MEM, 1 MIN", "35", func(s sample) float64 { return s.memory }, 1, at),
	)
	more := []column{
		{heading: "NET ↓", by: byIO, width: 8, cell: func(_ *series, s sample, ok bool, _ int) string { return rate(s.netIn, ok) }},
		{heading: "NET ↑", by: byIO, width: 8, cell: func(_ *series, s sample, ok bool, _ int) string { return rate(s.netOut, ok) }},
		{heading: "MEM %", by: byMemory, width: 7, cell: func(_ *series, s sample, ok bool, _ int) string { return share(s, ok) }},
		{heading: "DISK R", by: byIO, width: 8, cell: func(_ *series, s sample, ok bool, _ int) string { return rate(s.blockIn, ok) }},
		{heading: "DISK W", by: byIO, width: 8, cell: func(_ *series, s sample, ok bool, _ int) string { return rate(s.blockOut, ok) }},
		{heading: "PIDS", width: 5, cell: func(_ *series, s sample, ok bool, _ int) string { return count(s.pids, ok) }},
	}
	name := column{heading: "NAME", by: byName, width: nameLeast, left: true, cell: func(s *series, _ sample, _ bool, _ int) string { return s.name }}
	return v.spread(name, main, more, list)
}

// sparkline is a column of one figure's last minute.
func (v *view) sparkline(heading, colour string, value func(sample) float64, floor float64, at time.Time) column {
	return column{
		heading: heading, width: sparkLeast, left: true, colour: func(sample) string { return colour }, grows: true,
		cell: func(s *series, _ sample, _ bool, width int) string {
			return spark(s.past, value, at, width, topOf(s.past, value, floor))
		},
	}
}

// spread takes the columns that there is room for, in their order. The name and
// the sparklines grow before less important ones come in.
func (v *view) spread(name column, main, more []column, list []series) []column {
	longest := show.Width(name.heading)
	for i := range list {
		longest = max(longest, show.Width(list[i].name))
	}
	name.width = max(nameLeast, min(longest, nameMost, v.cols/3))
	chosen, room := take([]column{name}, main, v.cols-name.width)
	wider := max(0, min(room, min(longest, nameMost)-name.width))
	chosen[0].width += wider
	room = grow(chosen, room-wider, sparkGood)
	chosen, room = take(chosen, more, room)
	grow(chosen, room, sparkMost)
	return chosen
}

// take adds the columns that fit into room, which shrinks by them.
func take(chosen, columns []column, room int) ([]column, int) {
	for _, c := range columns {
		if room < c.width+1 {
			break
		}
		room -= c.width + 1
		chosen = append(chosen, c)
	}
	return chosen, room
}

// grow gives room to the columns that grow, evenly, up to a width; what is left
// is returned.
func grow(chosen []column, room, most int) int {
	for grown := true; grown; {
		grown = false
		for i := range chosen {
			if c := &chosen[i]; c.grows && c.width < most && room > 0 {
				c.width++
				room--
				grown = true
			}
		}
	}
	return room
}

// body is the number of rows for containers: one is the head, one has the
// headings, one the keys. A window of four rows or less does without the keys.
func (v *view) body() int {
	if v.rows > 4 {
		return v.rows - 3
	}
	return max(0, v.rows-2)
}

// scroll moves the view by some containers and keeps it on them.
func (v *view) scroll(by, total int) { v.top = max(0, min(v.top+by, total-v.body())) }

// frame draws everything: one text per row of the window.
func (v *view) frame(list []series, at time.Time) []string {
	v.scroll(0, len(list))
	columns := v.columns(list, at)
	frame := []string{v.head(list), v.headings(columns)}
	for i := v.top; i < min(len(list), v.top+v.body()); i++ {
		frame = append(frame, v.row(columns, &list[i]))
	}
	if len(list) == 0 && v.rows > 3 {
		frame = append(frame, v.paint("2", cell("no container runs", v.cols, true)))
	}
	if v.rows <= 4 {
		return frame[:min(len(frame), v.rows)]
	}
	for len(frame) < v.rows-1 {
		frame = append(frame, "")
	}
	return append(frame, v.keys(len(list)))
}

// head is the first row: the sums over all containers beside what the host has.
func (v *view) head(list []series) string {
	var cpu, memory, in, out float64
	running := 0
	for i := range list {
		if s, ok := list[i].now(); ok {
			running++
			cpu += max(0, s.cpu)
			memory += s.memory
			in += s.netIn
			out += s.netOut
		}
	}
	parts := []string{fmt.Sprintf("%d up", running), fmt.Sprintf("CPU %.0f%%", cpu), "MEM " + units.CustomSize("%.4g%s", memory, 1024, binary)}
	if v.host.cpus > 0 && v.cols >= 60 {
		parts[1] += fmt.Sprintf(" of %d%%", v.host.cpus*100)
		parts[2] += " of " + units.CustomSize("%.4g%s", v.host.memory, 1024, binary)
	}
	parts = append(parts, "NET ↓"+rate(in, true)+"/s ↑"+rate(out, true)+"/s")
	if v.host.name != "" {
		parts = append(parts, v.host.name)
	}
	text := parts[0]
	for _, p := range parts[1:] {
		if show.Width(text)+2+show.Width(p) > v.cols {
			break
		}
		text += "  " + p
	}
	return v.paint("1", cell(text, v.cols, true))
}

// marks are the signs of the column that counts.
var marks = map[bool]string{false: "▾", true: "▴"}

// headings is the second row; the column that counts has a mark.
func (v *view) headings(columns []column) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(' ')
		}
		text := c.heading
		if c.by == v.by && (i == 0 || columns[i-1].by != v.by) {
			text += marks[v.reversed]
		}
		b.WriteString(cell(text, c.width, c.left))
	}
	return v.paint("7", cell(b.String(), v.cols, true))
}

func (v *view) row(columns []column, s *series) string {
	var b strings.Builder
	now, ok := s.now()
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(' ')
		}
		text, colour := cell(c.cell(s, now, ok, c.width), c.width, c.left), ""
		switch {
		case !ok:
			colour = "2"
		case c.colour != nil:
			colour = c.colour(now)
		}
		b.WriteString(v.paint(colour, text))
	}
	return b.String()
}

// keys is the last row: where in the list one is, and as much about the keys as fits.
func (v *view) keys(total int) string {
	where := ""
	if shown := v.body(); total > shown {
		where = fmt.Sprintf("%d-%d of %d  ", v.top+1, min(total, v.top+shown), total)
	}
	text := ""
	for _, text = range []string{"c CPU  m memory  n name  i I/O  ↑↓ scroll  q leave", "c m n i  ↑↓  q leave", "q leave", "q"} {
		if show.Width(where+text) <= v.cols {
			break
		}
	}
	return v.paint("2", cell(where+text, v.cols, true))
}

func (v *view) paint(colour, text string) string {
	if colour == "" || !v.colours && colour != "7" && colour != "1" { // reversed and bold are no colours
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// cell lays a text out to a width.
func cell(text string, width int, left bool) string {
	text = show.Cut(show.Clean(text), width)
	blanks := strings.Repeat(" ", max(0, width-show.Width(text)))
	if left {
		return text + blanks
	}
	return blanks + text
}
