package stats

import (
	"strconv"

	"github.com/docker/go-units"
)

// unknown stands where a figure would: before the second sample, and for containers that do not run.
const unknown = "-"

// binary are the short names of units of 1024.
var binary = []string{"B", "K", "M", "G", "T", "P"}

func percent(value float64, known bool) string {
	if !known || value < 0 {
		return unknown
	}
	return strconv.FormatFloat(value, 'f', 2, 64)
}

func size(bytes float64, known bool) string {
	if !known {
		return unknown
	}
	return units.CustomSize("%.4g%s", bytes, 1024, binary)
}

func rate(perSecond float64, known bool) string {
	if !known {
		return unknown
	}
	return units.CustomSize("%.3g%s", float64(int64(perSecond)), 1000, []string{"B", "kB", "MB", "GB", "TB"})
}

// share is the part of the limit that is used.
func share(s sample, known bool) string {
	if s.limit == 0 {
		return unknown
	}
	return percent(s.memory/s.limit*100, known)
}

func count(n uint64, known bool) string {
	if !known {
		return unknown
	}
	return strconv.FormatUint(n, 10)
}

// heat is the colour of a processor's load: nothing special, busy, one
// processor full.
func heat(s sample) string {
	switch {
	case s.cpu >= 90:
		return "31"
	case s.cpu >= 50:
		return "33"
	}
	return ""
}
