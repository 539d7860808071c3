package crash

import (
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stepper runs a command and kills it right before one of its steps. A step is
// a system call by which the command changes something that others see: a
// file, a lock, a line to its shim, an interface, a mount, a process. Between
// two steps a kill makes no difference, so killing before each of them is
// killing at every moment, however fast the machine is. What the command
// starts (its shim) is not traced, and lives on by itself.
type stepper struct {
	killAt  int // the step that does not happen; 0: none
	steps   int
	threads map[int]bool
}

// run returns how the command ended.
func (s *stepper) run(cmd *exec.Cmd) (end unix.WaitStatus, err error) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("trace %s: %w", cmd, err)
	}
	pid := cmd.Process.Pid
	defer cmd.Process.Release() // waited for here
	s.threads = map[int]bool{}
	for {
		var status unix.WaitStatus
		// Only this thread's: others of this program wait for theirs.
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("trace %s: wait: %w", cmd, err)
		case status.Stopped():
			if err := s.stopped(pid, tid, status); err != nil && !errors.Is(err, unix.ESRCH) { // its program ends
				unix.Kill(pid, unix.SIGKILL)
				return 0, fmt.Errorf("trace %s: %w", cmd, err)
			}
		case tid == pid:
			return status, nil
		}
	}
}

const (
	inSyscall = unix.SIGTRAP | 0x80
	options   = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
)

// stopped lets a thread go on, or ends the program before its step.
func (s *stepper) stopped(pid, tid int, status unix.WaitStatus) error {
	pass := 0
	switch sig := status.StopSignal(); {
	case len(s.threads) == 0: // the program begins
		s.threads[tid] = true
		if err := unix.PtraceSetOptions(tid, options); err != nil {
			return err
		}
	case sig == inSyscall:
		step, err := isStep(tid)
		if err != nil {
			return err
		}
		if step {
			if s.steps++; s.steps == s.killAt {
				return unix.Kill(pid, unix.SIGKILL) // a thread that stands before a call does not make it any more
			}
		}
	case sig == unix.SIGTRAP && status.TrapCause() > 0: // a new thread
	case sig == unix.SIGSTOP && !s.threads[tid]:
		s.threads[tid] = true
	default:
		pass = int(sig)
	}
	return unix.PtraceSyscall(tid, pass)
}

// syscallInfo is the kernel's ptrace_syscall_info at the beginning of a call.
type syscallInfo struct {
	op     uint8
	_      [3]uint8
	_      uint32
	_, _   uint64
	number uint64
	args   [6]uint64
	_      [4]uint64
}

const (
	getSyscallInfo = 0x420e
	opEntry        = 1
)

func isStep(tid int) (bool, error) {
	var info syscallInfo
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0); errno != 0 {
		return false, errno
	}
	return info.op == opEntry && info.changes(), nil
}

// changes tells whether a call may change what others see.
func (i *syscallInfo) changes() bool {
	switch i.number {
	case unix.SYS_WRITE: // eight bytes and fewer are how threads wake each other
		return i.args[2] > 8
	case unix.SYS_OPENAT:
		return i.args[2]&unix.O_CREAT != 0
	case unix.SYS_FCNTL: // SQLite's locks
		cmd := i.args[1]
		return cmd == unix.F_SETLK || cmd == unix.F_OFD_SETLK
	case unix.SYS_CLONE:
		return i.args[0]&unix.CLONE_THREAD == 0
	}
	return changing[i.number]
}

var changing = func() map[uint64]bool {
	m := map[uint64]bool{}
	for _, number := range []uint64{
		unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_CONNECT, unix.SYS_SHUTDOWN, unix.SYS_CLONE3,
		unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT,
		unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FLOCK, unix.SYS_FCHMOD, unix.SYS_FCHMODAT,
		unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_BIND,
		unix.SYS_KILL, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_SENDFILE, unix.SYS_COPY_FILE_RANGE, unix.SYS_SPLICE,
	} {
		m[number] = true
	}
	return m
}()

// steps counts what a command does when nobody kills it.
func (e *engine) steps(prepare func(), args ...string) int {
	e.t.Helper()
	prepare()
	s := stepper{}
	end, err := s.run(e.command(args...))
	must(e.t, err)
	if s.steps == 0 || !end.Exited() || end.ExitStatus() != 0 {
		e.t.Fatalf("nacre %s: ended with %#x after %d steps", strings.Join(args, " "), end, s.steps)
	}
	return s.steps
}

// killAt kills a command, and it alone, before a step. One that has fewer of
// them this time ends by itself, with success or not.
func (e *engine) killAt(step int, args ...string) (killed bool) {
	e.t.Helper()
	s := stepper{killAt: step}
	end, err := s.run(e.command(args...))
	must(e.t, err)
	return end.Signaled()
}

// every is the distance of the steps before which commands are killed; 0 is as
// many of them as each test finds enough.
var every = flag.Int("every", 0, "kill before every `n`th step (1: each)")

// moments are about n of a command's steps, from the first to the last.
func moments(n, steps int) (list []int) {
	stride := max(1, steps/n)
	if *every > 0 {
		stride = *every
	}
	for step := 1; step <= steps; step += stride {
		list = append(list, step)
	}
	return list
}
