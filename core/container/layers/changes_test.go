package layers

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAPathThatHasNoEnd: a container can make folders deeper than any path may
// be long. Comparing them took the longer the deeper they were.
func TestAPathThatHasNoEnd(t *testing.T) {
	upper := t.TempDir()
	dir, err := unix.Open(upper, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 100)
	for range 50 {
		if err := unix.Mkdirat(dir, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC, 0)
		unix.Close(dir)
		if err != nil {
			t.Fatal(err)
		}
		dir = next
	}
	unix.Close(dir)
	_, err = Changes(upper, nil, func(string) bool { return false })
	if !errors.Is(err, unix.ENAMETOOLONG) || len(err.Error()) > 500 {
		t.Errorf("%v", err)
	}
}
