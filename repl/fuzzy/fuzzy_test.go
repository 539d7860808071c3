package fuzzy_test

import (
	"slices"
	"testing"

	"github.com/nacre-sh/nacre/repl/fuzzy"
)

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    []string // best first; what does not match is left out
		from    []string
	}{
		{"web", []string{"web", "web-1", "my-web", "w-e-b"}, []string{"w-e-b", "my-web", "db", "web-1", "web"}},
		{"wb", []string{"web-backend", "swab"}, []string{"swab", "web-backend"}},
		{"ngx", []string{"nginx", "engine-x"}, []string{"engine-x", "nginx", "gnx"}},
		{"上海", []string{"上海", "上-海"}, []string{"海上", "上-海", "上海"}},
		{"W", []string{"Web"}, []string{"web", "Web"}},
		{"pull nginx", []string{"pull nginx:1", "pull x && run nginx"}, []string{"pull x && run nginx", "pull nginx:1"}},
	} {
		type hit struct {
			text  string
			score int
		}
		var hits []hit
		for _, text := range c.from {
			if score, at, ok := fuzzy.Match(c.pattern, text); ok {
				if len(at) == 0 {
					t.Errorf("%q in %q: no positions", c.pattern, text)
				}
				hits = append(hits, hit{text, score})
			}
		}
		slices.SortStableFunc(hits, func(a, b hit) int { return b.score - a.score })
		var got []string
		for _, h := range hits {
			got = append(got, h.text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.pattern, got, c.want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("ab", "a b")
	f.Add("\xff", "\xff\xfe")
	f.Add("ss", "ẞß")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		_, at, ok := fuzzy.Match(pattern, text)
		if ok && pattern != "" && (len(at) == 0 || !slices.IsSorted(at) || at[len(at)-1] >= len(text)) {
			t.Errorf("%q in %q: at %v", pattern, text, at)
		}
	})
}
