package plugins

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
)

// Registry holds every command that can be typed. It is safe for concurrent
// use: plugins may add commands while others run.
type Registry struct {
	mu       sync.RWMutex
	plugins  []Plugin
	current  string
	commands map[string]*Command // by name and alias
	failures []Failure
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{commands: map[string]*Command{}} }

// isName tells whether a text is a command's or a plugin's name: lower-case letters, digits and ._-, but none of
// these first. Every start asks for every command, an expression would have to be compiled for it.
func isName(text string) bool {
	for i, c := range []byte(text) {
		plain := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !plain && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return text != ""
}

// Load registers one plugin's commands. When the plugin fails, none of its
// commands stay and the error says whose they were.
func (r *Registry) Load(ctx context.Context, p Plugin) error {
	if !isName(p.Name()) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("plugin name %q: want lower-case letters, digits and . _ -", p.Name()))
	}
	r.mu.Lock()
	if slices.ContainsFunc(r.plugins, func(q Plugin) bool { return q.Name() == p.Name() }) {
		r.mu.Unlock()
		return errdefs.ErrAlreadyExists.WithMessage(fmt.Sprintf("plugin %s: a plugin of that name is loaded", p.Name()))
	}
	r.plugins, r.current = append(r.plugins, p), p.Name()
	r.mu.Unlock()
	if err := p.Register(ctx, r); err != nil {
		r.Unload(p.Name())
		return fmt.Errorf("plugin %s: %w", p.Name(), err)
	}
	return nil
}

// Unload closes a plugin and removes its commands.
func (r *Registry) Unload(name string) error {
	r.mu.Lock()
	i := slices.IndexFunc(r.plugins, func(p Plugin) bool { return p.Name() == name })
	if i < 0 {
		r.mu.Unlock()
		return errdefs.ErrNotFound.WithMessage("no such plugin: " + name)
	}
	p := r.plugins[i]
	r.plugins = slices.Delete(r.plugins, i, i+1)
	for word, c := range r.commands {
		if c.Plugin == name {
			delete(r.commands, word)
		}
	}
	r.mu.Unlock()
	return p.Close()
}

// Add registers a command for the plugin that is being loaded. A name that is
// taken is an error (errdefs.ErrAlreadyExists): who came first keeps it.
func (r *Registry) Add(c Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Plugin == "" {
		c.Plugin = r.current
	}
	words := append([]string{c.Name}, c.Aliases...)
	for _, w := range words {
		if !isName(w) {
			return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("command name %q: want lower-case letters, digits and . _ -", w))
		}
		if old, taken := r.commands[w]; taken {
			return errdefs.ErrAlreadyExists.WithMessage(fmt.Sprintf("command %s is already registered by plugin %s", w, old.Plugin))
		}
	}
	for _, w := range words {
		r.commands[w] = &c
	}
	return nil
}

// Wrap replaces a command by what wrap makes of it, under the same words; a word that is no command stays none.
func (r *Registry) Wrap(word string, wrap func(*Command) Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.commands[word]
	if !ok {
		return
	}
	c := wrap(old)
	for w, registered := range r.commands {
		if registered == old {
			r.commands[w] = &c
		}
	}
}

// Lookup finds a command by name or alias.
func (r *Registry) Lookup(word string) (*Command, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.commands[word]
	return c, ok
}

// Commands lists all commands by name.
func (r *Registry) Commands() []*Command {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []*Command
	for word, c := range r.commands {
		if word == c.Name {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *Command) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Plugins lists the loaded plugins in the order of loading.
func (r *Registry) Plugins() []Plugin {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.plugins)
}
