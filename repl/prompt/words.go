package prompt

import (
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// script is what a character counts as where the cursor goes word by word. A
// change of it ends a word: there are no blanks between Chinese words, nor
// between them and a name of latin letters.
type script int

const (
	blank     script = iota // and signs: between words
	letters                 // with digits and _
	ideograph               // Chinese characters, kana, hangul
	emoji
)

func scriptOf(cluster string) script {
	r, _ := utf8.DecodeRuneInString(cluster)
	switch {
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo):
		return ideograph
	case isWordRune(r) && !hasPictograph(cluster):
		return letters
	case unicode.Is(unicode.So, r) || hasPictograph(cluster) || r >= 0x1F1E6 && r <= 0x1FAFF:
		return emoji
	}
	return blank
}

// hasPictograph recognises keycaps (1️⃣) and the like by what follows their first character.
func hasPictograph(cluster string) bool {
	for _, r := range cluster {
		if r == 0x20E3 || r == 0xFE0F {
			return true
		}
	}
	return false
}

func splitClusters(s string) (list []string) {
	for g := graphemes.FromString(s); g.Next(); {
		list = append(list, g.Value())
	}
	return list
}

// toWordEnd is the length of s up to the end of its first word.
func toWordEnd(s string) int {
	n, in := 0, blank
	for _, c := range splitClusters(s) {
		k := scriptOf(c)
		if in != blank && k != in {
			break
		}
		in = k
		n += len(c)
	}
	return n
}

// toWordBegin is the length of s up to the beginning of its last word.
func toWordBegin(s string) int {
	list := splitClusters(s)
	n, in := len(s), blank
	for i := len(list) - 1; i >= 0; i-- {
		k := scriptOf(list[i])
		if in != blank && k != in {
			break
		}
		in = k
		n -= len(list[i])
	}
	return n
}

func wordLeft(l line) line {
	i := toWordBegin(l.before)
	return line{l.before[:i], l.before[i:] + l.after}
}

func wordRight(l line) line {
	i := toWordEnd(l.after)
	return line{l.before + l.after[:i], l.after[i:]}
}
