package plugins

import (
	"cmp"
	"slices"
)

// Info is what `plugin ls` tells about a plugin.
type Info struct {
	Kind    string // built-in, lua, process
	Version string
	Vendor  string
	Short   string // one line
	Source  string // the file it comes from; "" for a built-in one
}

// Describer is implemented by plugins that are no built-in ones.
type Describer interface {
	Info() Info
}

// Describe returns what is known about a plugin.
func Describe(p Plugin) Info {
	if d, ok := p.(Describer); ok {
		return d.Info()
	}
	return Info{Kind: "built-in"}
}

// Failure is a plugin that did not come in, and why.
type Failure struct {
	Name string
	Info Info
	Err  error
}

// Reject remembers a plugin that was found but could not be loaded, for
// `plugin ls`.
func (r *Registry) Reject(f Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, f)
}

// Failures lists the plugins that did not come in, by name.
func (r *Registry) Failures() []Failure {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := slices.Clone(r.failures)
	slices.SortStableFunc(list, func(a, b Failure) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
