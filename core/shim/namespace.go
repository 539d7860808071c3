//go:build cgo

package shim

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/thread"
)

// newNetNS makes a network namespace with its loopback up. The shim itself
// stays in the host's: a thread goes in, opens it, and ends.
func newNetNS() (*os.File, error) {
	type result struct {
		ns  *os.File
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and no unlock: the thread dies with the goroutine
		ns, err := unshareNet()
		done <- result{ns, err}
	}()
	r := <-done
	return r.ns, r.err
}

func unshareNet() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open the network namespace: %w", err)
	}
	if err := loopbackUp(); err != nil {
		ns.Close()
		return nil, err
	}
	return ns, nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	defer unix.Close(fd)
	ifreq, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	ifreq.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifreq); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// worker is one locked thread with a mount namespace of its own. The
// container's root is mounted there and its processes are forked from there,
// so that a shim that is killed takes its mounts along.
type worker struct{ jobs chan job }

type job struct {
	run  func() error
	done chan<- error
}

// newWorker copies the host's mounts as they are now. What the host mounts
// later still shows up where its mounts are shared. Should the copy fail, every
// job fails with the reason.
func newWorker() *worker {
	w := &worker{jobs: make(chan job)}
	go func() {
		runtime.LockOSThread()             // and no unlock, see newNetNS
		thread.SetSlack(thread.UsualSlack) // what is forked here begins like every process
		broken := privateMounts()
		for j := range w.jobs {
			if broken != nil {
				j.done <- broken
			} else {
				j.done <- j.run()
			}
		}
	}()
	return w
}

func privateMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("detach the mount namespace from the host's: %w", err)
	}
	return nil
}

// begin queues a job for the thread; its outcome is sent once.
func (w *worker) begin(run func() error) <-chan error {
	done := make(chan error, 1)
	w.jobs <- job{run, done}
	return done
}

// do runs a job on the thread and waits for it.
func (w *worker) do(run func() error) error { return <-w.begin(run) }

func (w *worker) close() { close(w.jobs) }

// protectFromOOM lets the kernel choose others than the shim when memory runs
// out: it is small, and its death is the container's. It returns the score
// that the container is to have. Without CAP_SYS_RESOURCE nothing changes.
func protectFromOOM() (before int) {
	const path, score = "/proc/self/oom_score_adj", "-999"
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	before, err = strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	_ = os.WriteFile(path, []byte(score), 0)
	return before
}
