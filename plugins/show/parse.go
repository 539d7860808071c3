package show

import (
	"strings"
	"unicode/utf8"
)

// padding is the least number of blanks between two columns of docker's tables.
const padding = 3

// parse takes a table apart that docker's tabwriter has aligned: every column
// begins where its heading does, counted in runes, with blanks before it. What
// follows the table after an empty line is the rest. ok is false for text that
// is no such table.
func parse(text string) (rows [][]string, rest string, ok bool) {
	text, rest = cutTable(text)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	starts := columnStarts(lines[0])
	if len(starts) == 0 {
		return nil, "", false
	}
	for _, line := range lines {
		row, ok := cellsAt(line, starts)
		if !ok {
			return nil, "", false
		}
		rows = append(rows, row)
	}
	return rows, rest, true
}

func cutTable(text string) (table, rest string) {
	if i := strings.Index(text, "\n\n"); i >= 0 {
		return text[:i+1], text[i+1:]
	}
	return text, ""
}

// columnStarts are the rune offsets at which a line's headings begin: upper-case
// words, so that a table without headings is not taken for one.
func columnStarts(heading string) (starts []int) {
	if heading == "" || heading[0] == ' ' || heading != strings.ToUpper(heading) || strings.ContainsRune(heading, 0x1b) {
		return nil
	}
	blanks, at := padding, 0
	for _, r := range heading {
		if r == ' ' {
			blanks++
		} else {
			if blanks >= padding {
				starts = append(starts, at)
			}
			blanks = 0
		}
		at++
	}
	return starts
}

func cellsAt(line string, starts []int) (cells []string, ok bool) {
	runes := make([]int, 0, len(line)+1) // byte offsets
	for i := range line {
		runes = append(runes, i)
	}
	offset := func(rune int) int {
		if rune < len(runes) {
			return runes[rune]
		}
		return len(line)
	}
	for i, start := range starts {
		from, to := offset(start), len(line)
		if i > 0 && strings.TrimRight(line[offset(start-padding):from], " ") != "" {
			return nil, false
		}
		if i+1 < len(starts) {
			to = offset(starts[i+1])
		}
		cells = append(cells, strings.TrimRight(line[from:to], " "))
	}
	return cells, utf8.RuneCountInString(line) > 0
}
