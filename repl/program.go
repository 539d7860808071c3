package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"

	"github.com/nacre-sh/nacre/plugins"
)

// program is one run of a program of the host.
type program struct {
	args       []string
	env        []string
	dir        string
	in         io.Reader
	out, err   io.Writer
	background bool
}

// killDelay is how long a program has to end after the shell was told to.
const killDelay = 5 * time.Second

// runProgram runs a program of the host and returns its exit status: 127 when
// there is none of that name, 126 when it cannot be executed, 128 and the
// signal when one killed it.
func (s *Shell) runProgram(ctx context.Context, j *job, p program) int {
	path, err := interp.LookPathDir(p.dir, expand.ListEnviron(p.env...), p.args[0])
	if err != nil {
		return s.noProgram(j, p)
	}
	cmd := &exec.Cmd{Path: path, Args: p.args, Env: p.env, Dir: p.dir, Stdin: p.in, Stdout: p.out, Stderr: p.err}
	if p.background && s.terminal != nil && cmd.Stdin == s.options.In {
		cmd.Stdin = nil // as in any shell: a background program does not read the terminal
	}
	err = j.start(s.terminal, p.background, func(attr *syscall.SysProcAttr) (int, error) {
		cmd.SysProcAttr = attr
		if err := startProgram(cmd); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	if err != nil {
		return s.notStarted(ctx, p, path, err)
	}
	return s.await(ctx, j, p, cmd)
}

// startProgram retries while the file is still open for writing somewhere, for
// a moment: another thread's fork may hold it.
func startProgram(cmd *exec.Cmd) error {
	again := *cmd
	err := cmd.Start()
	for wait := time.Millisecond; errors.Is(err, unix.ETXTBSY) && wait < 300*time.Millisecond; wait *= 2 {
		time.Sleep(wait)
		*cmd = again
		err = cmd.Start()
	}
	return err
}

// await waits for the program's end, passes on the end of the job, and tells it
// when Ctrl-Z stops the program.
func (s *Shell) await(ctx context.Context, j *job, p program, cmd *exec.Cmd) int {
	done := make(chan struct{})
	go s.endWith(ctx, cmd.Process.Pid, done)
	if s.terminal != nil && !p.background {
		watchStops(j, cmd.Process.Pid)
	}
	err := cmd.Wait()
	close(done)
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	foreground := s.terminal != nil && !p.background && j.stateNow() == jobForeground
	j.programEnded(s.terminal, p.background, status)
	if foreground && status.Exited() {
		s.terminal.accept()
	}
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintf(p.err, "nacre: %s: %v\n", p.args[0], err)
		return 1
	}
	return status.ExitStatus()
}

// endWith ends the program when its job ends. A program that shares the
// terminal's process group with the shell has got the Ctrl-C itself.
func (s *Shell) endWith(ctx context.Context, pid int, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	sig := syscall.SIGTERM
	var cause *plugins.SignalError
	if errors.As(context.Cause(ctx), &cause) && cause.Signal == os.Interrupt {
		if s.terminal == nil {
			return
		}
		sig = syscall.SIGINT
	}
	syscall.Kill(pid, sig)
	if sig == syscall.SIGINT {
		return
	}
	select {
	case <-done:
	case <-time.After(killDelay):
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// watchStops tells the job each time the program stops, until it ends; it
// leaves the end itself to be waited for.
func watchStops(j *job, pid int) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.Code != cldStopped {
			return
		}
		// Consume the stop, which WNOWAIT has left.
		unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
		if group, err := unix.Getpgid(pid); err == nil {
			j.programStopped(group)
		}
	}
}

const cldStopped = 5 // CLD_STOPPED of waitid(2)

// noProgram explains why there is nothing to run.
func (s *Shell) noProgram(j *job, p program) int {
	name := p.args[0]
	if strings.Contains(name, "/") {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.dir, file)
		}
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Fprintf(p.err, "nacre: %s: no such file\n", name)
			return 127
		case err != nil:
			fmt.Fprintf(p.err, "nacre: %s: %v\n", name, err)
		case info.IsDir():
			fmt.Fprintf(p.err, "nacre: %s: is a directory\n", name)
		default:
			fmt.Fprintf(p.err, "nacre: %s: permission denied\n", name)
		}
		return 126
	}
	fmt.Fprintf(p.err, "nacre: %s: command not found\n", name)
	var names []string
	for _, c := range s.options.Registry.Commands() {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	if near := plugins.Nearest(name, names); near != "" {
		question := fmt.Sprintf("Did you mean '%s'?", near)
		o := plugins.Offer{Hint: question, Question: question, Word: name, With: near, Careful: true}
		if ask := s.offerTo(j, p.in, p.out, p.err); ask == nil || plugins.Destroys(near) || !ask(p.args, o) {
			plugins.SayHint(p.err, o)
		}
	}
	return 127
}

// notStarted explains a failed start. A text file without a #! line is a
// script, as in any shell.
func (s *Shell) notStarted(ctx context.Context, p program, path string, err error) int {
	if errors.Is(err, unix.ENOEXEC) {
		text, readErr := os.Open(path)
		if readErr != nil {
			fmt.Fprintf(p.err, "nacre: %s: %v\n", p.args[0], readErr)
			return 126
		}
		defer text.Close()
		return s.Source(ctx, &plugins.Invocation{
			Args: p.args, In: p.in, Out: p.out, Err: p.err, Env: p.env, Dir: p.dir, Globals: s.options.Globals,
		}, p.args[0], text)
	}
	fmt.Fprintf(p.err, "nacre: %s: %v\n", p.args[0], errors.Unwrap(err))
	return 126
}
