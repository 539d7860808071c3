package scripting

import (
	"slices"
	"strings"
)

// environ is the environment of one script: what os.getenv and nacre.env read
// and write, and what commands inherit. The process's own stays untouched.
type environ struct{ pairs []string }

func newEnviron(pairs []string) *environ { return &environ{slices.Clone(pairs)} }

func (e *environ) get(name string) (string, bool) {
	for i := len(e.pairs) - 1; i >= 0; i-- {
		if n, v, _ := strings.Cut(e.pairs[i], "="); n == name {
			return v, true
		}
	}
	return "", false
}

func (e *environ) unset(name string) {
	e.pairs = slices.DeleteFunc(e.pairs, func(p string) bool { return strings.HasPrefix(p, name+"=") })
}

func (e *environ) set(name, value string) {
	e.unset(name)
	e.pairs = append(e.pairs, name+"="+value)
}

func (e *environ) list() []string { return slices.Clone(e.pairs) }
