package complete

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl/fuzzy"
)

// Choose keeps the candidates that fit a word best, in their order.
func Choose(list []plugins.Candidate, word string) []plugins.Candidate {
	at := fuzzy.Best(word, len(list), func(i int) string { return list[i].Text })
	kept := make([]plugins.Candidate, len(at))
	for i, j := range at {
		kept[i] = list[j]
	}
	return kept
}

// ranked chooses the candidates for a word and orders them: how well they fit,
// then how often and how lately they were used with the command, then by name.
func (c *Completer) ranked(list []plugins.Candidate, word, command string, keepOrder bool) []plugins.Candidate {
	kept := Choose(list, word)
	if keepOrder || len(kept) < 2 {
		return kept
	}
	use := c.habits.of(c.options.Habits)
	type ranked struct {
		plugins.Candidate
		score, use float64
	}
	all := make([]ranked, len(kept))
	for i, k := range kept {
		all[i] = ranked{Candidate: k, use: use.score(command, k.Text)}
		if !strings.HasPrefix(k.Text, word) {
			score, _, _ := fuzzy.Match(word, k.Text)
			all[i].score = float64(score)
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(-cmp.Compare(a.score, b.score), -cmp.Compare(a.use, b.use), cmp.Compare(a.Text, b.Text))
	})
	for i := range all {
		kept[i] = all[i].Candidate
	}
	return kept
}

// habits count the words of the lines that were typed. A word counts the less
// the more lines were typed since.
type habits struct {
	mu    sync.Mutex
	lines int
	last  string
	table usage
}

type usage map[string]float64

// halfLife is after how many lines a use counts half.
const halfLife = 200

func (h *habits) of(lines func() []string) usage {
	if lines == nil {
		return nil
	}
	list := lines()
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(list); n > 0 && (n != h.lines || list[n-1] != h.last) {
		h.table, h.lines, h.last = count(list), n, list[n-1]
	}
	return h.table
}

// mostLines bounds the lines that are looked at: older ones count next to nothing.
const mostLines = 10 * halfLife

func count(lines []string) usage {
	u := usage{}
	lines = lines[max(0, len(lines)-mostLines):]
	for i, line := range lines {
		weight := math.Exp2(-float64(len(lines)-1-i) / halfLife)
		words := strings.Fields(line)
		if len(words) > 0 && (words[0] == "docker" || words[0] == "nacre") {
			words = words[1:]
		}
		for j, w := range words {
			u[w] += weight
			if j > 0 {
				u[words[0]+"\x00"+w] += weight
			}
			if j > 1 {
				u[words[0]+" "+words[1]+"\x00"+w] += weight
			}
		}
	}
	return u
}

// score is how much a text is used; with this command it counts more.
func (u usage) score(command, text string) float64 {
	s := u[text]
	if command != "" {
		s += 4 * u[command+"\x00"+text]
	}
	return s
}
