package complete

import (
	"fmt"
	"testing"
)

// BenchmarkComplete measures completion among ten thousand images whose list is known.
func BenchmarkComplete(b *testing.B) {
	c, e := newBench(b)
	for i := range 10_000 {
		e.images = append(e.images, Image{ID: fmt.Sprintf("sha256:%064x", i), RepoTags: []string{fmt.Sprintf("many/image%d:1", i)}, Size: 1e6, Created: 1700000000})
	}
	for _, line := range []string{"rmi many/image99", "rmi many/image", "rmi mi9999"} {
		b.Run(line, func(b *testing.B) {
			c.Complete(b.Context(), line, len(line))
			for b.Loop() {
				c.Complete(b.Context(), line, len(line))
			}
		})
	}
	b.Run("judge", func(b *testing.B) {
		for b.Loop() {
			c.Judge([]string{"rmi", "many/image99:1"})
		}
	})
	b.Run("preview", func(b *testing.B) {
		for b.Loop() {
			c.Preview(b.Context(), "rmi many/image99:1")
		}
	})
}
