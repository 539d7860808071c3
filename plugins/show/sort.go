package show

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
)

// Sort orders the lines of a printed table by a column: "size", or "-size" for
// the other direction. "" leaves them. The lines themselves stay. A column that
// is not there is an error (errdefs.ErrInvalidArgument).
func Sort(text, order string) (string, error) {
	if order == "" {
		return text, nil
	}
	rows, rest, ok := parse(text)
	if !ok {
		return text, nil
	}
	sorted, err := permutation(rows, order)
	if err != nil {
		return text, err
	}
	lines := strings.SplitAfter(text[:len(text)-len(rest)], "\n")
	out := []string{lines[0]}
	for _, i := range sorted {
		out = append(out, lines[i])
	}
	return strings.Join(out, "") + rest, nil
}

// SortRows is Sort for rows that are no text yet, their headings first.
func SortRows(rows [][]string, order string) ([][]string, error) {
	if order == "" {
		return rows, nil
	}
	sorted, err := permutation(rows, order)
	if err != nil {
		return nil, err
	}
	out := [][]string{rows[0]}
	for _, i := range sorted {
		out = append(out, rows[i])
	}
	return out, nil
}

// permutation gives the numbers of the rows below the headings in their order.
func permutation(rows [][]string, order string) ([]int, error) {
	name, down := strings.CutPrefix(order, "-")
	column, err := columnNamed(rows[0], name)
	if err != nil {
		return nil, err
	}
	list := make([]int, len(rows)-1)
	keys := make([]key, len(rows))
	for i := range list {
		list[i] = i + 1
		keys[i+1] = keyOf(rows[0][column], rows[i+1][column])
	}
	slices.SortStableFunc(list, func(a, b int) int {
		if n := keys[a].kind - keys[b].kind; n != 0 {
			return n // what has nothing comes last in both directions
		}
		n := cmp.Or(cmp.Compare(keys[a].number, keys[b].number), strings.Compare(keys[a].text, keys[b].text))
		if down {
			n = -n
		}
		return n
	})
	return list, nil
}

// columnNamed finds a column by its heading, the heading's beginning or its last word.
func columnNamed(headings []string, name string) (int, error) {
	want := strings.ToUpper(strings.NewReplacer("-", " ", "_", " ").Replace(name))
	for _, matches := range []func(string) bool{
		func(h string) bool { return h == want },
		func(h string) bool { return want != "" && strings.HasPrefix(h, want) },
		func(h string) bool { return strings.HasSuffix(h, " "+want) },
	} {
		if i := slices.IndexFunc(headings, matches); i >= 0 {
			return i, nil
		}
	}
	var names []string
	for _, h := range headings {
		names = append(names, strings.ToLower(strings.ReplaceAll(h, " ", "-")))
	}
	return 0, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("sort by %q: there is no such column; want one of %s", name, strings.Join(names, ", ")))
}

// key is what a cell is compared by: a number or a text.
type key struct {
	kind   int // 0: a number; 1: a text; 2: nothing
	number float64
	text   string
}

func keyOf(heading, cell string) key {
	if cell == "" || cell == "N/A" {
		return key{kind: 2}
	}
	if seconds, ok := age(cell); ok && strings.HasSuffix(cell, " ago") {
		return key{number: -seconds} // by the moment
	}
	if isID(cell) {
		return key{kind: 1, text: cell}
	}
	first, _, _ := strings.Cut(cell, " ")
	if n, err := strconv.ParseFloat(strings.TrimSuffix(first, "%"), 64); err == nil {
		return key{number: n}
	}
	if strings.Contains(heading, "SIZE") {
		if n, err := units.FromHumanSize(first); err == nil {
			return key{number: float64(n)}
		}
	}
	return key{kind: 1, text: strings.ToLower(cell)}
}

// age reads docker's durations: Less than a second, About an hour, 3 weeks ago.
func age(text string) (seconds float64, ok bool) {
	words := strings.Fields(strings.TrimSuffix(text, " ago"))
	if len(words) < 2 {
		return 0, false
	}
	n := 1.0
	switch strings.Join(words[:len(words)-1], " ") {
	case "Less than a":
		n = 0.5
	case "About a", "About an":
	default:
		var err error
		if n, err = strconv.ParseFloat(words[0], 64); err != nil || len(words) != 2 {
			return 0, false
		}
	}
	const day = 24 * 3600
	unit, known := map[string]float64{
		"second": 1, "minute": 60, "hour": 3600, "day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day,
	}[strings.TrimSuffix(words[len(words)-1], "s")]
	return n * unit, known
}
