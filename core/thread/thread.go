// Package thread knows of the threads below goroutines. It runs work that changes the namespaces or the root folder of
// the thread it runs on, which Go would otherwise give to other goroutines.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Own runs fn on a thread that ends with it, whatever fn has done to the
// thread. Never on the main one: it cannot end, and /proc/self is about it.
func Own(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			Own(fn) // on another one, as this is taken
			runtime.UnlockOSThread()
			return
		}
		fn()
	}()
	<-done
}
