package history

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/nacre-sh/nacre/repl/fuzzy"
)

// mostFound bounds what one search at the prompt gives.
const mostFound = 500

// Find looks through the lines in memory: those that hold all words of the text
// first, the newest before older ones, then those that have its letters
// somewhere, the best first. Each line comes once. q narrows the search.
func (s *Store) Find(text string, q Query) []Entry {
	q.Words = strings.Fields(text)
	loose := q
	loose.Words = nil
	type scored struct {
		Entry
		score int
	}
	var whole []Entry
	var rest []scored
	entries := s.Entries()
	known := make(map[string]bool, len(entries))
	for _, e := range slices.Backward(entries) {
		if known[e.Text] || !loose.matches(e) {
			continue
		}
		known[e.Text] = true
		if q.matches(e) {
			if whole = append(whole, e); len(whole) == mostFound {
				return whole
			}
			continue
		}
		if score, _, ok := fuzzy.Match(text, e.Text); ok {
			rest = append(rest, scored{e, score})
		}
	}
	slices.SortStableFunc(rest, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	for _, r := range rest[:min(len(rest), mostFound-len(whole))] {
		whole = append(whole, r.Entry)
	}
	return whole
}

// FindAll looks for the words of a text in everything that was ever kept,
// where that is more than Find looks through.
func (s *Store) FindAll(ctx context.Context, text string, q Query) []Entry {
	<-s.loaded
	s.mu.Lock()
	all := s.db == nil || len(s.recent) < s.options.Window
	s.mu.Unlock()
	if all {
		return nil
	}
	q.Words, q.Limit, q.Distinct = strings.Fields(text), mostFound, true
	list, err := s.Search(ctx, q)
	if err != nil {
		return nil // what is in memory has been found
	}
	return list
}
