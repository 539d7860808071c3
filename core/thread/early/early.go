// Package early calms the Go runtime's monitor thread before anything else of the program is initialised:
// initialising all packages is half of what a short command takes, and the monitor would wake up some fifty
// times meanwhile. See [github.com/nacre-sh/nacre/core/thread.CalmMonitor], which does the same from main on. And
// where the command line names a process to be started, the kernel begins as early to get ready for it.
//
// It must import nothing but syscall: then Go initialises it as soon as syscall is, ahead of all that costs time.
package early

import "syscall"

// slack is by how much the monitor's timers may be late, in nanoseconds: thread.CalmSlack.
const slack = "500000"

// before is the slack that [End] gives back; empty when nothing was changed.
var before = calm()

// calm changes the thread whose number follows the process's: the runtime starts the monitor first of all, and the
// kernel counts up. It returns the slack of before, and nothing when that thread is not ours or may not be changed.
func calm() string {
	if syscall.Access("/proc/self/task/"+monitor(), 0) != nil {
		return ""
	}
	fd, err := syscall.Open(file(), syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	was := make([]byte, 32)
	n, err := syscall.Read(fd, was)
	if err != nil || n <= 0 || write(fd, slack) != nil {
		return ""
	}
	return string(was[:n])
}

// End lets the monitor work as in every program.
func End() {
	if before == "" {
		return
	}
	fd, err := syscall.Open(file(), syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	_ = write(fd, before) // what could be written once can be again
}

func write(fd int, text string) error {
	_, err := syscall.Write(fd, []byte(text))
	return err
}

func file() string { return "/proc/" + monitor() + "/timerslack_ns" }

// monitor is the thread's number in decimal.
func monitor() string { return decimal(syscall.Getpid() + 1) }

// decimal is strconv's Itoa for a positive number; strconv would have to be initialised before.
func decimal(n int) string {
	var digits [20]byte
	at := len(digits)
	for n > 0 {
		at--
		digits[at] = byte('0' + n%10)
		n /= 10
	}
	return string(digits[at:])
}
