package complete

import (
	"strings"

	"github.com/distribution/reference"

	"github.com/nacre-sh/nacre/repl/highlight"
)

// Judge says what is wrong with the words of a command, for its colours:
// options that it does not have, images and containers that are not there. It
// answers at once, from what is known; what is not known is looked for, and
// Options.Changed called when it is.
func (c *Completer) Judge(words []string) map[int]highlight.Kind {
	before, host := hostCommand(words)
	if host || len(before) == 0 {
		return nil
	}
	rest, globals, _ := c.unwrap(before)
	skipped := len(words) - len(rest)
	s := c.shape(rest)
	if s == nil || s.groups {
		return nil
	}
	kinds := map[int]highlight.Kind{}
	n := 0
	for _, p := range s.parts(rest) {
		switch {
		case p.flag && p.wrong && !s.begun(p, rest):
			kinds[skipped+p.at] = highlight.Unknown
		case !p.flag:
			if p.text != "" && c.missing(globals, s.path, n, p.text) {
				kinds[skipped+p.at] = highlight.Missing
			}
			n++
		}
	}
	return kinds
}

// begun tells of an option that is still being typed.
func (s *shape) begun(p part, words []string) bool {
	if p.at != len(words)-1 {
		return false
	}
	for name := range s.flags {
		if strings.HasPrefix(name, p.text) {
			return true
		}
	}
	return false
}

// missing tells whether the n-th argument of a command names an image or a
// container that is not there.
func (c *Completer) missing(globals []string, path string, n int, name string) bool {
	kinds, known := arguments[path]
	if !known {
		return false
	}
	switch w := kinds[min(n, len(kinds)-1)]; w {
	case imageName, imageWanted, imageToRemove:
		if path == "tag" && n > 0 || path == "pull" || path == "commit" {
			return false // a new name
		}
		e := c.engine(globals)
		return e.ready(images) && !e.hasImage(name)
	case anyContainer, running, paused, stopped, mayStop:
		e := c.engine(globals)
		return e.ready(containers) && e.container(name) == nil
	}
	return false
}

// ready tells whether a list is known; one that is stale or was never fetched
// is fetched in the background, not too often.
func (e *engine) ready(k kind) bool {
	e.calmly(k)
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.at[k].IsZero()
}

// indexes find objects by what a user types.
type indexes struct {
	imageOf     map[string]*Image // by familiar name with tag
	containerOf map[string]*Container
}

func (e *engine) indexImages() {
	e.index.imageOf = make(map[string]*Image, len(e.images))
	for i := range e.images {
		for _, tag := range e.images[i].RepoTags {
			e.index.imageOf[tag] = &e.images[i]
		}
	}
}

func (e *engine) indexContainers() {
	e.index.containerOf = make(map[string]*Container, len(e.conts))
	for i := range e.conts {
		for _, n := range e.conts[i].Names {
			e.index.containerOf[strings.TrimPrefix(n, "/")] = &e.conts[i]
		}
	}
}

func (e *engine) hasImage(name string) bool { return e.image(name) != nil }

// image finds an image by name, tag, id or the beginning of one.
func (e *engine) image(name string) *Image {
	e.mu.Lock()
	defer e.mu.Unlock()
	if named, err := reference.ParseDockerRef(name); err == nil {
		if i := e.index.imageOf[reference.FamiliarString(reference.TagNameOnly(named))]; i != nil {
			return i
		}
		if _, digested := named.(reference.Digested); digested {
			return &Image{ID: name} // digests are not listed: taken as there
		}
	}
	id := strings.TrimPrefix(name, "sha256:")
	if id == "" || strings.Trim(id, "0123456789abcdef") != "" {
		return nil
	}
	for i := range e.images {
		if strings.HasPrefix(strings.TrimPrefix(e.images[i].ID, "sha256:"), id) {
			return &e.images[i]
		}
	}
	return nil
}

// container finds a container by name, id or the beginning of one.
func (e *engine) container(name string) *Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.index.containerOf[strings.TrimPrefix(name, "/")]; c != nil {
		return c
	}
	if name == "" || strings.Trim(name, "0123456789abcdef") != "" {
		return nil
	}
	for i := range e.conts {
		if strings.HasPrefix(e.conts[i].ID, name) {
			return &e.conts[i]
		}
	}
	return nil
}
