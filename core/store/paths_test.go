package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestUnmountableDataRoot(t *testing.T) {
	for _, name := range []string{"a,b", "a:b", `a\b`} {
		data := filepath.Join(t.TempDir(), name)
		exec := filepath.Join(t.TempDir(), "run")
		_, err := Open(t.Context(), Paths{Data: data, Exec: exec})
		if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "--data-root") {
			t.Errorf("%s: %v", name, err)
		}
		for _, dir := range []string{data, exec} {
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s was made: %v", dir, err)
			}
		}
	}
	odd := filepath.Join(t.TempDir(), "a b'\"\nü%?#")
	st, err := Open(t.Context(), Paths{Data: odd, Exec: filepath.Join(t.TempDir(), "run")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := os.Stat(filepath.Join(odd, "state.db")); err != nil { // there, not where a part of the name would lead
		t.Error(err)
	}
}
