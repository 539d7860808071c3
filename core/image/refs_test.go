package image

import (
	"testing"

	"github.com/distribution/reference"
)

// Our quick forms of a name are the reference library's.
func TestRefAgreesWithTheLibrary(t *testing.T) {
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, name := range []string{"a", "a/b", "library/a", "library/a/b", "localhost/a", "localhost:5000/a/b", "docker.io/a", "ghcr.io/library/a", "127.0.0.1:5/library/a"} {
		for _, suffix := range []string{":latest", ":5.7", digest} {
			named, err := reference.ParseNormalizedNamed(name + suffix)
			if err != nil {
				t.Fatal(err)
			}
			r := ref{full: named.String(), canonical: suffix == digest}
			if r.familiar() != reference.FamiliarString(named) || r.repo() != named.Name() {
				t.Errorf("%s: familiar %s and repository %s, want %s and %s", named, r.familiar(), r.repo(), reference.FamiliarString(named), named.Name())
			}
		}
	}
}
