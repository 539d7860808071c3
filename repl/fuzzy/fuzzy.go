// Package fuzzy compares what was typed with what could be meant: the letters
// have to come in their order, not side by side. How well they sit decides the
// rank: the whole text, then its beginning, then beginnings of words, then runs
// of letters. Completion and the search of the history rank with it.
package fuzzy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Points of a match. A gap costs less than a beginning of a word gives, so that
// `wb` finds `web-backend` before `swab`.
const (
	pointLetter   = 16
	pointRun      = 12 // follows the letter before
	pointWord     = 14 // begins a word
	pointBegin    = 30 // begins the text
	pointCase     = 1
	costGap       = 3
	costGapMore   = 1
	pointPrefix   = 1000 // the text begins with all of it
	pointWhole    = 2000 // the text is it
	pointInOne    = 400  // all of it in one piece
	mostPositions = 256
	mostPattern   = 64  // bytes: nobody means letters out of the middle by a longer one
	mostStarts    = 16  // places to begin at that are compared
	mostText      = 512 // bytes of a text that are compared
)

// Match tells whether the letters of pattern occur in text in their order, and
// how well: a higher score is better, equal patterns give comparable scores.
// Small letters of the pattern match capital ones too. at are the byte offsets
// of the matched letters in text. An empty pattern matches everything with 0.
func Match(pattern, text string) (score int, at []int, ok bool) {
	if pattern == "" {
		return 0, nil, true
	}
	if i := strings.Index(text, pattern); len(pattern) > mostPattern || len(text) > mostText {
		return inOnePiece(i, pattern, text)
	}
	if !contains(pattern, text) {
		return 0, nil, false
	}
	score, at = best(pattern, text)
	return score, at, true
}

// inOnePiece is the match of what is too long to look for letter by letter.
func inOnePiece(i int, pattern, text string) (score int, at []int, ok bool) {
	if i < 0 {
		return 0, nil, false
	}
	for j := range min(len(pattern), mostPositions) {
		at = append(at, i+j)
	}
	return len(pattern)*pointLetter + bonus(true, i == 0, len(pattern) == len(text)), at, true
}

// contains is the quick answer for the many texts that do not match.
func contains(pattern, text string) bool {
	p, size := utf8.DecodeRuneInString(pattern)
	for _, r := range text {
		if r != p && !(unicode.IsLower(p) && unicode.ToLower(r) == p) {
			continue
		}
		if pattern = pattern[size:]; pattern == "" {
			return true
		}
		p, size = utf8.DecodeRuneInString(pattern)
	}
	return false
}

// best looks at several ways to place the pattern: from each place where its
// first letter stands at the beginning of a word, from the very first place, and
// where all of it stands in one piece.
func best(pattern, text string) (score int, at []int) {
	score = -1
	before, starts := ' ', 0
	for i, r := range text {
		if starts == mostStarts {
			break
		}
		p, _ := utf8.DecodeRuneInString(pattern)
		if same(p, r) && (score < 0 || begins(before, r) || hasPrefix(text[i:], pattern)) {
			starts++
			if s, places, ok := from(pattern, text, i, before); ok && s > score {
				score, at = s, places
			}
		}
		before = r
	}
	return score, at
}

// from places the pattern at i, greedily, but takes the next beginning of a
// word or the next letter where both are possible.
func from(pattern, text string, i int, before rune) (score int, at []int, ok bool) {
	at = make([]int, 0, min(len(pattern), mostPositions))
	last, gap := -2, 0
	rest := pattern
	whole := i == 0 && len(pattern) == len(text)
	onePiece := true
	for j, r := range text[i:] {
		p, size := utf8.DecodeRuneInString(rest)
		if !same(p, r) {
			gap++
			before = r
			continue
		}
		score += pointLetter
		if p == r {
			score += pointCase
		}
		switch {
		case i+j == 0:
			score += pointBegin
		case last >= 0 && gap == 0:
			score += pointRun
		case begins(before, r):
			score += pointWord
		}
		if last >= 0 && gap > 0 {
			onePiece = false
			score -= costGap + costGapMore*min(gap, 10)
		}
		if len(at) < mostPositions {
			at = append(at, i+j)
		}
		last, gap, before = i+j, 0, r
		if rest = rest[size:]; rest == "" {
			return score + bonus(onePiece, i == 0, whole), at, true
		}
	}
	return 0, nil, false
}

func bonus(onePiece, first, whole bool) int {
	switch {
	case onePiece && first && whole:
		return pointWhole
	case onePiece && first:
		return pointPrefix
	case onePiece:
		return pointInOne
	}
	return 0
}

func same(p, r rune) bool { return p == r || unicode.IsLower(p) && unicode.ToLower(r) == p }

func hasPrefix(text, pattern string) bool {
	for _, p := range pattern {
		r, size := utf8.DecodeRuneInString(text)
		if size == 0 || !same(p, r) {
			return false
		}
		text = text[size:]
	}
	return true
}

// begins tells that r is the first letter of a word behind before.
func begins(before, r rune) bool {
	letter := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	if !letter(r) {
		return false
	}
	return !letter(before) || unicode.IsLower(before) && unicode.IsUpper(r)
}
