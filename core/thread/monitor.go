package thread

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// By how much timers may be late, in nanoseconds: what every process begins
// with, and what the runtime's monitor may take in one that lives for a moment.
const (
	UsualSlack = 50_000
	CalmSlack  = 500_000
)

// Calm is how long a process keeps its monitor calm.
const Calm = time.Second

// CalmMonitor lets the Go runtime's monitor thread sleep longer in this
// process's first second. It would wake up every 20 µs (and the kernel's 50 µs
// of slack) to see whether a thread is stuck in a system call: a tenth of what
// a program costs that lives for some milliseconds. The price is that goroutines
// may wait that much longer for a thread when all are stuck.
//
// To be called at the beginning of main, and only where /proc is the host's. It does nothing where it may not.
// Threads that the monitor starts inherit its slack, and from them programs: see [SetSlack].
func CalmMonitor() {
	tid := monitor()
	if tid == 0 {
		return
	}
	path := "/proc/" + strconv.Itoa(tid) + "/timerslack_ns"
	before, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strconv.Itoa(CalmSlack)), 0)
	}
	if err == nil {
		time.AfterFunc(Calm, func() { _ = os.WriteFile(path, bytes.TrimSpace(before), 0) })
	}
}

// monitor is the first thread that the runtime starts: the one of the smallest
// number, unless numbers have just begun anew; 0 when none is found.
func monitor() (tid int) {
	tasks, err := os.Open("/proc/self/task")
	if err != nil {
		return 0
	}
	defer tasks.Close()
	names, _ := tasks.Readdirnames(-1)
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err == nil && n > os.Getpid() && (tid == 0 || n < tid) {
			tid = n
		}
	}
	return tid
}

// SetSlack sets it for the calling thread, which must be locked, and for the processes forked from it.
func SetSlack(nanoseconds uintptr) { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0) }
