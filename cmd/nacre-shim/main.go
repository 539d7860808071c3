//go:build cgo

// nacre-shim is the parent of one container's init; nacre starts it. Its
// contract is in core/shim/shimapi, its work in core/shim. It needs cgo: a
// process enters namespaces before Go's runtime starts.
package main

import (
	"context"
	"fmt"
	"os"
	goruntime "runtime"

	"github.com/nacre-sh/nacre/core/inherit"
	"github.com/nacre-sh/nacre/core/runtime"
	"github.com/nacre-sh/nacre/core/shim"
	_ "github.com/nacre-sh/nacre/core/shim/tinyinit" // takes over when the program is called docker-init
	"github.com/nacre-sh/nacre/core/thread"
)

// init is libcontainer's re-exec hook: in a container's first process nothing
// of main may happen.
//
// The main goroutine stays on the main thread: a goroutine that puts its thread
// into a namespace and ends must not get that one, which cannot end, and whose
// namespaces are what /proc/self shows.
func init() {
	goruntime.LockOSThread()
	if len(os.Args) > 1 && os.Args[1] == "init" {
		thread.SetSlack(thread.UsualSlack) // of this thread, which becomes the container's process
		runtime.Init()
	}
}

func main() {
	if len(os.Args) != 2 || os.Args[1] != "shim" {
		fmt.Fprintln(os.Stderr, "nacre-shim is started by nacre and is of no use alone")
		os.Exit(2)
	}
	inherit.Close(3)
	os.Setenv("GOMAXPROCS", "1") // which libcontainer hands to its init
	thread.CalmMonitor()
	if err := shim.Run(context.Background(), os.NewFile(3, "control")); err != nil {
		fmt.Fprintln(os.Stderr, "nacre-shim:", err)
		os.Exit(1)
	}
}
