package show

import (
	"strings"
	"unicode"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"github.com/mattn/go-runewidth"
)

// widths are those of modern terminals in a locale that is not East Asian,
// whatever the environment says; the prompt counts in the same way.
var widths = &runewidth.Condition{StrictEmojiNeutral: true}

// Width is the number of columns that a text without control characters takes.
func Width(s string) (n int) {
	if ascii(s) {
		return len(s)
	}
	for g := graphemes.FromString(s); g.Next(); {
		n += clusterWidth(g.Value())
	}
	return n
}

func clusterWidth(s string) int { return min(widths.StringWidth(s), 2) }

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Clean takes the meaning off control characters: descriptions and labels are
// written by strangers, and must not drive the terminal.
func Clean(s string) string {
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, s), string(unicode.ReplacementChar))
}

// clusters are the characters of a text, as a person counts them.
func clusters(s string) (list []string) {
	for g := graphemes.FromString(s); g.Next(); {
		list = append(list, g.Value())
	}
	return list
}

const ellipsis = "…"

// head is the longest beginning of s that takes no more than cols columns.
func head(s string, cols int) string {
	used, end := 0, 0
	for g := graphemes.FromString(s); g.Next(); {
		if used += clusterWidth(g.Value()); used > cols {
			break
		}
		end += len(g.Value())
	}
	return s[:end]
}

// tail is the longest end of s that takes no more than cols columns.
func tail(s string, cols int) string {
	list := clusters(s)
	used, begin := 0, len(s)
	for i := len(list) - 1; i >= 0; i-- {
		if used += clusterWidth(list[i]); used > cols {
			break
		}
		begin -= len(list[i])
	}
	return s[begin:]
}

// Cut shortens s to cols columns; the last one shows that there is more.
func Cut(s string, cols int) string {
	if Width(s) <= cols {
		return s
	}
	return head(s, cols-1) + ellipsis
}

// cutMiddle shortens s to cols columns and keeps more of its end, which tells
// most of a name: reg.exam…eam/web:1.2.
func cutMiddle(s string, cols int) string {
	if Width(s) <= cols {
		return s
	}
	front := head(s, (cols-1)/3)
	return front + ellipsis + tail(s, cols-1-Width(front))
}

// wrap divides s into rows of no more than cols columns: at blanks and after
// commas where that is possible, else behind a sign, else anywhere.
func wrap(s string, cols int) (rows []string) {
	for s = strings.TrimRight(s, " "); Width(s) > cols; {
		first := head(s, cols)
		if first == "" { // a character wider than the row
			first = clusters(s)[0]
		}
		first = first[:breakAt(first, s[len(first):])]
		rows = append(rows, strings.TrimRight(first, " "))
		s = strings.TrimLeft(s[len(first):], " ")
	}
	return append(rows, s)
}

// breakAt is where a row that begins with first is best broken; rest follows it.
func breakAt(first, rest string) int {
	if strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "->") { // of a published port
		return len(first)
	}
	if arrow := len(first) - 1; arrow > 0 && first[arrow] == '-' && strings.HasPrefix(rest, ">") {
		return arrow
	}
	if i := strings.LastIndexAny(first, " ,"); i > 0 {
		return i + 1
	}
	if i := strings.LastIndex(first, "->"); i > 0 {
		return i + 2
	}
	if i := strings.LastIndexAny(first, "/:-_.@="); i > 0 {
		return i + 1
	}
	return len(first)
}

// longestWord is the width of the longest part of s that wrap would not divide
// at a blank or behind a comma.
func longestWord(s string) (n int) {
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' }) {
		for part := range strings.SplitAfterSeq(word, ",") {
			n = max(n, Width(part))
		}
	}
	return n
}
