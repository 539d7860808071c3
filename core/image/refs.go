package image

import (
	"strings"

	"github.com/distribution/reference"
)

// ref is a name of an image as the index has it: in full form, checked when it
// was written. A list of a thousand images must not parse each again.
type ref struct {
	full      string // docker.io/library/busybox:latest, or …busybox@sha256:…
	canonical bool   // has a digest instead of a tag
}

// repo is the name without tag or digest.
func (r ref) repo() string {
	if r.canonical {
		name, _, _ := strings.Cut(r.full, "@")
		return name
	}
	return r.full[:strings.LastIndexByte(r.full, ':')]
}

// familiar is what reference.FamiliarString says.
func (r ref) familiar() string {
	rest, ok := strings.CutPrefix(r.full, "docker.io/")
	if !ok {
		return r.full
	}
	if official, ok := strings.CutPrefix(rest, "library/"); ok && !strings.Contains(official, "/") {
		return official
	}
	return rest
}

func (r ref) named() (reference.Named, error) { return reference.ParseNormalizedNamed(r.full) }

// refs are the names of one image, tags before digests, each group sorted.
type refs []ref

func (r refs) tags() []string    { return r.familiar(false) }
func (r refs) digests() []string { return r.familiar(true) }

func (r refs) familiar(canonical bool) []string {
	out := []string{} // never null in the API's answers
	for _, n := range r {
		if n.canonical == canonical {
			out = append(out, n.familiar())
		}
	}
	return out
}
