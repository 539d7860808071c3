package prompt

import (
	"fmt"
	"testing"

	"github.com/nacre-sh/nacre/plugins"
)

// BenchmarkNarrow narrows a menu of ten thousand candidates, draws it, and widens it again.
func BenchmarkNarrow(b *testing.B) {
	m := &menu{selected: -1}
	for i := range 10_000 {
		m.all = append(m.all, plugins.Candidate{Text: fmt.Sprintf("many/image%d:1", i), Description: "1.2GB, 3 weeks old"})
	}
	for b.Loop() {
		for _, word := range []string{"many/image", "many/image1"} {
			m.word = word
			m.filter()
			m.rows(200, 10)
		}
	}
}
