package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The program runs three times over: as started; as process 1 of the new
// namespaces (init), which only reaps; and as its first child, the worker.
const (
	initArgument   = "-init"
	workerArgument = "-worker"
)

// enter runs the program again in namespaces of its own, with a folder to work
// in, and waits for it. When process 1 ends, the kernel ends all others.
func enter(ctx context.Context, args []string) error {
	if os.Geteuid() != 0 {
		return errors.New("containers need root: run it as root")
	}
	dir, err := os.MkdirTemp("", "nacre-bench-")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{initArgument, dir}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	before := cgroups()
	err = cmd.Run()
	removeNewCgroups(before)
	if status := (*exec.ExitError)(nil); errors.As(err, &status) {
		err = errors.New("not finished")
	}
	return errors.Join(err, os.RemoveAll(dir)) // the mounts in it have gone with their namespace
}

// runInit prepares the namespaces, starts the worker and reaps whatever loses
// its parent, until the worker ends.
func runInit(dir string, args []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Where podman keeps network state, whatever its roots are.
	for _, dir := range []string{"/run/netns", "/var/lib/cni", "/etc/cni/net.d"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	worker, err := os.StartProcess("/proc/self/exe", append([]string{os.Args[0], workerArgument, dir}, args...),
		&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for the worker: %w", err)
		}
		if pid == worker.Pid {
			os.Exit(status.ExitStatus())
		}
	}
}
