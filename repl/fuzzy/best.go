package fuzzy

import "strings"

// Best returns the indexes of the n texts that fit a word best, in their order.
// There are three ways to fit: to begin with the word, to hold it in one piece
// whatever the case, to have its letters somewhere. Only texts that fit in the
// best of the ways that occur are kept: somebody who types the beginning of one
// name does not want all the names that have its letters somewhere.
func Best(word string, n int, text func(int) string) []int {
	kept := make([]int, 0, n)
	keep := func(fits func(string) bool) bool {
		for i := range n {
			if fits(text(i)) {
				kept = append(kept, i)
			}
		}
		return len(kept) > 0
	}
	if keep(func(t string) bool { return strings.HasPrefix(t, word) }) {
		return kept
	}
	lower := strings.ToLower(word)
	if keep(func(t string) bool { return strings.Contains(strings.ToLower(t), lower) }) {
		return kept
	}
	keep(func(t string) bool { return contains(word, t) })
	return kept
}
