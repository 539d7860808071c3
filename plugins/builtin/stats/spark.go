package stats

import (
	"strings"
	"time"
)

// levels are the heights of a sparkline's cells.
var levels = []rune("▁▂▃▄▅▆▇█")

// spark draws the last minute in cols cells: each shows the greatest value of
// its share of the minute, as a part of top. A cell belongs to a fixed stretch
// of time, so that the line moves on and does not flicker.
func spark(past []sample, value func(sample) float64, now time.Time, cols int, top float64) string {
	if cols <= 0 {
		return ""
	}
	width := span / time.Duration(cols)
	last := now.UnixNano() / int64(width)
	cells := make([]float64, cols)
	known := make([]bool, cols)
	for _, s := range past {
		i := cols - 1 - int(last-s.at.UnixNano()/int64(width))
		if v := value(s); i >= 0 && i < cols && v >= 0 {
			cells[i], known[i] = max(cells[i], v), true
		}
	}
	var b strings.Builder
	for i, v := range cells {
		if !known[i] {
			b.WriteByte(' ')
			continue
		}
		level := 0
		if top > 0 {
			level = int(v/top*float64(len(levels)-1) + 0.5)
		}
		b.WriteRune(levels[min(max(level, 0), len(levels)-1)])
	}
	return b.String()
}

// topOf is the value of a full cell: the greatest of the minute, floor at least.
func topOf(past []sample, value func(sample) float64, floor float64) float64 {
	top := floor
	for _, s := range past {
		top = max(top, value(s))
	}
	return top
}
