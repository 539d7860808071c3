package plugins

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Offer is how a line that failed could be mended. The shell asks whether it
// shall be where somebody sits at its prompt, and runs the mended line.
type Offer struct {
	// Hint is said where nobody is asked; "" says nothing there.
	Hint string
	// Question is what the answer yes or no is asked for. "" asks nothing: there is only the hint.
	Question string
	// Word of the line becomes With. An empty Word leaves the line as it is.
	Word, With string
	// First is a command to run before the line, which follows when that has succeeded.
	First []string
	// Careful makes Enter mean no: what the line does cannot be taken back, or the guess is a bold one.
	Careful bool
}

// offered is an error with an offer. Its text is that of the error alone.
type offered struct {
	error
	offer Offer
}

func (e *offered) Unwrap() error { return e.error }

// WithOffer adds an offer to an error, whose text, class and status stay.
func WithOffer(err error, o Offer) error { return &offered{err, o} }

// offer asks by way of the shell whether an error shall be mended, or says the
// hint that there is.
func offer(inv *Invocation, err error) {
	var o *offered
	if !errors.As(err, &o) {
		return
	}
	if o.offer.Question != "" && inv.Offer != nil && inv.Offer(inv.Args, o.offer) {
		return
	}
	if shownTo(inv.Err) {
		SayHint(inv.Err, o.offer)
	}
}

// SayHint writes an offer that nobody was asked about.
func SayHint(w io.Writer, o Offer) {
	if o.Hint != "" {
		fmt.Fprintln(w, o.Hint)
	}
}

// destroying are the last words of commands whose effect is a loss, or an
// interruption of what runs.
var destroying = []string{"rm", "rmi", "remove", "kill", "stop", "restart", "prune", "reset", "collect", "delete", "disconnect", "down", "leave", "gc"}

// Destroys tells whether a command of this name (its last word) removes or ends
// something. Such a line is never mended by a key.
func Destroys(name string) bool { return slices.Contains(destroying, name) }
