package prompt

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// line is the text being edited, cut at the cursor.
type line struct{ before, after string }

func (l line) text() string { return l.before + l.after }

// firstCluster is the first thing a reader sees as one character.
func firstCluster(s string) string {
	g := graphemes.FromString(s)
	if g.Next() {
		return g.Value()
	}
	return ""
}

// lastCluster looks at the end of s only: clusters are short, texts may be long.
func lastCluster(s string) string {
	const enough = 256
	tail := s
	if len(tail) > enough {
		tail = tail[len(tail)-enough:]
		for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
			tail = tail[1:]
		}
	}
	last := ""
	for g := graphemes.FromString(tail); g.Next(); {
		last = g.Value()
	}
	return last
}

func (l line) insert(s string) line { return line{l.before + s, l.after} }

func (l line) left() line {
	c := lastCluster(l.before)
	return line{l.before[:len(l.before)-len(c)], c + l.after}
}

func (l line) right() line {
	c := firstCluster(l.after)
	return line{l.before + c, l.after[len(c):]}
}

func (l line) backspace() line {
	return line{strings.TrimSuffix(l.before, lastCluster(l.before)), l.after}
}

func (l line) delete() line { return line{l.before, l.after[len(firstCluster(l.after)):]} }

// home and end stay in the row of a text of several rows.
func (l line) home() line {
	i := strings.LastIndexByte(l.before, '\n') + 1
	return line{l.before[:i], l.before[i:] + l.after}
}

func (l line) end() line {
	i := strings.IndexByte(l.after, '\n')
	if i < 0 {
		i = len(l.after)
	}
	return line{l.before + l.after[:i], l.after[i:]}
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func notSpace(r rune) bool { return !unicode.IsSpace(r) }

// wordLeft goes to the beginning of the word before the cursor; in says which
// runes words are made of.
func (l line) wordLeft(in func(rune) bool) line {
	i := len(strings.TrimRightFunc(l.before, func(r rune) bool { return !in(r) }))
	i = len(strings.TrimRightFunc(l.before[:i], in))
	return line{l.before[:i], l.before[i:] + l.after}
}

// wordRight goes to the end of the word after the cursor.
func (l line) wordRight(in func(rune) bool) line {
	rest := strings.TrimLeftFunc(l.after, func(r rune) bool { return !in(r) })
	rest = strings.TrimLeftFunc(rest, in)
	i := len(l.after) - len(rest)
	return line{l.before + l.after[:i], rest}
}

// transpose swaps the characters around the cursor, at the end the last two.
func (l line) transpose() line {
	if l.after == "" {
		l = l.left()
	}
	a, b := lastCluster(l.before), firstCluster(l.after)
	if a == "" || b == "" {
		return line{l.text(), ""}
	}
	return line{l.before[:len(l.before)-len(a)] + b + a, l.after[len(b):]}
}

// up and down go to the same column of the neighbouring row; ok is false when
// there is none.
func (l line) up() (_ line, ok bool) {
	i := strings.LastIndexByte(l.before, '\n')
	if i < 0 {
		return l, false
	}
	col := clusters(l.before[i+1:])
	j := strings.LastIndexByte(l.before[:i], '\n') + 1
	k := j + columnOffset(l.before[j:i], col)
	return line{l.before[:k], l.before[k:] + l.after}, true
}

func (l line) down() (_ line, ok bool) {
	i := strings.IndexByte(l.after, '\n')
	if i < 0 {
		return l, false
	}
	col := clusters(l.before[strings.LastIndexByte(l.before, '\n')+1:])
	row, _, _ := strings.Cut(l.after[i+1:], "\n")
	k := i + 1 + columnOffset(row, col)
	return line{l.before + l.after[:k], l.after[k:]}, true
}

func clusters(s string) (n int) {
	for g := graphemes.FromString(s); g.Next(); {
		n++
	}
	return n
}

// columnOffset is where the n-th character of s begins, at most len(s).
func columnOffset(s string, n int) int {
	at := 0
	for g := graphemes.FromString(s); n > 0 && g.Next(); n-- {
		at += len(g.Value())
	}
	return at
}
