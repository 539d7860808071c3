package plugins

import "context"

type detachKey struct{}

// WithDetach returns a context whose commands tell what they hold of the
// terminal's input: a shell that sends a running command behind its prompt
// calls what was registered, and the command reads no further.
func WithDetach(ctx context.Context, register func(release func())) context.Context {
	return context.WithValue(ctx, detachKey{}, register)
}

// OnDetach has release called when the shell takes the terminal's input away
// from this invocation. Without such a shell it does nothing. release may be
// called from any goroutine, and together with the command's end.
func (inv *Invocation) OnDetach(release func()) {
	if inv.detach != nil {
		inv.detach(release)
	}
}
