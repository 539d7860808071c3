package thread

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// InNetNS works on one thread: it leaves the network namespace by calling
// leave, and returns to it after do. Ending the thread instead, as [Own] does,
// would not always work: Go cannot end the process's first thread, which would then keep
// the container's namespace alive for as long as this process lives. A thread
// that does not come back is never used again.
func InNetNS(leave, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open the host's network namespace: %w", err)
			return
		}
		defer unix.Close(home)
		if err := leave(); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter the container's network namespace: %w", err)
			return
		}
		err = do()
		if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
			done <- errors.Join(err, fmt.Errorf("return to the host's network namespace: %w", back))
			return // still locked: the runtime ends the thread
		}
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}
