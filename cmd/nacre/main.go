// Command nacre is the shell for containers. This file and its neighbours only
// assemble: options, streams and signals of the process on one side, the shell,
// the plugins and the engine on the other.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"go.podman.io/storage/pkg/reexec"

	"github.com/nacre-sh/nacre/core/engine"
	"github.com/nacre-sh/nacre/core/thread"
	"github.com/nacre-sh/nacre/core/thread/early"
)

// version is set by the linker.
var version = "unknown"

func main() {
	engine.RegisterHelpers()
	if reexec.Init() { // the layer store runs this program again to unpack in a chroot
		return
	}
	deferCollection()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: everything below takes its streams, words and environment
// as parameters.
func run(words []string, in, out, errs *os.File) int {
	o, err := parseOptions(words)
	if err != nil {
		return usageError(errs, err)
	}
	thread.GrowStack()
	if len(o.words) == 0 { // a shell, not a command that lives for some milliseconds
		early.End()
	} else {
		time.AfterFunc(thread.Calm, early.End)
	}
	ctx, signals, stops, end := listen(context.Background(), in)
	defer end()
	p := assemble(ctx, o, in, out, errs)
	p.stops = stops
	defer p.close()
	return p.start(ctx, signals)
}

func usageError(w io.Writer, err error) int {
	fmt.Fprintf(w, "nacre: %v\n\nRun 'nacre --help' for more information\n", err)
	return 125
}
