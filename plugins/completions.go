package plugins

import (
	"sync"
	_ "unsafe" // for go:linkname

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// cobra keeps the completion function of every flag of every tree in a package
// variable and never lets go of it: about a quarter of a megabyte per
// invocation, fatal for a shell that runs for weeks. There is no call that
// removes one, so the variable is reached by its name. TestCompletionsForgotten
// fails when an update of cobra changes it.
//
//go:linkname cobraCompletions github.com/spf13/cobra.flagCompletionFunctions
var cobraCompletions map[*pflag.Flag]cobra.CompletionFunc

//go:linkname cobraCompletionsMutex github.com/spf13/cobra.flagCompletionMutex
var cobraCompletionsMutex *sync.RWMutex

// ForgetCompletions drops the completion functions of a tree that has run.
func ForgetCompletions(root *cobra.Command) {
	cobraCompletionsMutex.Lock()
	defer cobraCompletionsMutex.Unlock()
	visit(root, func(c *cobra.Command) {
		drop := func(f *pflag.Flag) { delete(cobraCompletions, f) }
		c.Flags().VisitAll(drop)
		c.PersistentFlags().VisitAll(drop)
	})
}

func visit(c *cobra.Command, f func(*cobra.Command)) {
	for _, child := range c.Commands() {
		visit(child, f)
	}
	f(c)
}
