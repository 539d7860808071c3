package api

import (
	"fmt"
	"testing"

	"github.com/containerd/errdefs"
)

func TestMessageOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("no image x: %w", errdefs.ErrNotFound), "no image x"},
		{invalid("a\nhint: b\tc"), "a\nhint: b\tc"},
		{invalid("invalid signal: \x1b]0;mine\x07\u009b\u202e\r"), "invalid signal: \ufffd]0;mine\ufffd\ufffd\ufffd\ufffd"},
	} {
		if got := messageOf(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
