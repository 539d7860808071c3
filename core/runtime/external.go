//go:build cgo

package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// consolePatience is how long an external runtime may take to hand out the
// terminal that it was asked for.
const consolePatience = 30 * time.Second

// bundleVersion is the specification that a bundle claims: runtimes refuse
// newer ones than they know, and the fields they do not know they ignore.
const bundleVersion = "1.0.2"

// external runs a container with another program that speaks the command line
// of the OCI runtimes (runc, crun, …). The program ends once it has done what
// it was told; the container's processes are left to this one, which therefore
// is their subreaper.
type external struct {
	program string
	args    []string // before the command
	dir     string   // bundle, log, process ids
	id      string
	spec    *specs.Spec
	group   cgroups.Manager
	init    *os.Process
}

// CreateExternal prepares a container that an external runtime will run; dir
// is a folder for its files, and belongs to the container.
func CreateExternal(program string, args []string, id, dir string, spec *specs.Spec, warn Warn) (*Container, error) {
	if err := validate(spec); err != nil {
		return nil, err
	}
	clampToHost(spec.Process, warn)
	if err := os.RemoveAll(dir); err != nil { // of a shim that was killed; the lock is ours
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		return nil, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of the container's processes: %w", err)
	}
	e := &external{program: program, args: args, dir: dir, id: id, spec: spec}
	return &Container{e}, e.openGroup()
}

func (e *external) openGroup() error {
	group, err := specconv.CreateCgroupConfig(&specconv.CreateOpts{CgroupName: e.id, Spec: e.spec}, nil)
	if err != nil {
		return err
	}
	e.group, err = manager.New(group)
	return err
}

// command is one call of the runtime; what it says about a failure is in log.
func (e *external) command(log string, args ...string) *exec.Cmd {
	global := []string{"--root", filepath.Join(e.dir, "state"), "--log", log, "--log-format", "json"}
	return exec.Command(e.program, slices.Concat(e.args, global, args)...)
}

// call runs the runtime for a command without streams.
func (e *external) call(args ...string) error {
	log := filepath.Join(e.dir, "log."+args[0])
	defer os.Remove(log)
	out, err := e.command(log, args...).CombinedOutput()
	return e.explain(err, log, string(out))
}

// explain makes an error of what the runtime has logged, in the words that
// libcontainer has for what is common.
func (e *external) explain(err error, log, output string) error {
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(output)
	if content, readErr := os.ReadFile(log); readErr == nil {
		for line := range bytes.Lines(content) {
			var entry struct{ Level, Msg string }
			if json.Unmarshal(line, &entry) == nil && entry.Level == "error" && entry.Msg != "" {
				text = entry.Msg
			}
		}
	}
	for _, errno := range []unix.Errno{unix.ENOENT, unix.EACCES, unix.EISDIR, unix.ENOTDIR} {
		words := errno.Error()
		text = strings.ReplaceAll(text, strings.ToUpper(words[:1])+words[1:], words)
	}
	if text == "" {
		return fmt.Errorf("%s: %w", e.program, err)
	}
	return fmt.Errorf("%s: %s", filepath.Base(e.program), text)
}

func (e *external) Run(stdio Stdio, ready func() error) (*Process, error) {
	bundle := *e.spec
	bundle.Version = bundleVersion
	config, err := json.Marshal(bundle)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(e.dir, "config.json"), config, 0o600); err != nil {
		return nil, err
	}
	proc, err := e.launch(stdio, "create", "--bundle", e.dir)
	if err != nil {
		return nil, err
	}
	if err = ready(); err == nil {
		err = e.call("start", e.id)
	}
	if err != nil {
		_ = proc.Signal(unix.SIGKILL)
		_, _ = proc.Wait()
		return nil, err
	}
	e.init = proc.handle.(*os.Process)
	return proc, nil
}

func (e *external) Exec(p *specs.Process, stdio Stdio) (*Process, error) {
	clampToHost(p, func(string, ...any) {})
	p.Terminal = stdio.Terminal
	content, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(e.dir, "process-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return e.launch(stdio, "exec", "--detach", "--process", f.Name())
}

// launch runs a command of the runtime that leaves a process behind, with the
// streams that are meant for that, and takes hold of the process.
func (e *external) launch(stdio Stdio, args ...string) (*Process, error) {
	dir, err := os.MkdirTemp(e.dir, "launch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	pidFile, log := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	args = append(args, "--pid-file", pidFile)
	proc := &Process{}
	var console *net.UnixListener
	if stdio.Terminal {
		folder, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer folder.Close() // and not before the runtime has ended
		var socket string
		if console, socket, err = listenConsole(folder); err != nil {
			return nil, err
		}
		defer console.Close()
		args = append(args, "--console-socket", socket)
	}
	cmd := e.command(log, append(args, e.id)...)
	cmd.Dir = e.dir
	if !stdio.Terminal {
		setStreams(cmd, stdio)
	}
	if err := e.explain(cmd.Run(), log, ""); err != nil {
		return nil, err
	}
	if proc.Pid, err = readPid(pidFile); err != nil {
		return nil, err
	}
	process, err := os.FindProcess(proc.Pid)
	if err != nil {
		return nil, err
	}
	proc.handle = process
	if stdio.Terminal {
		proc.Console, err = acceptConsole(console)
	}
	if err != nil {
		_ = process.Kill()
		_, _ = process.Wait()
		return nil, err
	}
	return proc, nil
}

func setStreams(cmd *exec.Cmd, stdio Stdio) {
	if stdio.Stdin != nil {
		cmd.Stdin = stdio.Stdin
	}
	if stdio.Stdout != nil {
		cmd.Stdout = stdio.Stdout
	}
	if stdio.Stderr != nil {
		cmd.Stderr = stdio.Stderr
	}
}

// listenConsole makes the socket that the runtime sends the terminal to. An
// address of a socket must be short, as the folder's path may not be: it is
// named through a descriptor of the folder, for the runtime one of this process.
func listenConsole(dir *os.File) (l *net.UnixListener, socket string, err error) {
	socket = fmt.Sprintf("/proc/%d/fd/%d/console", os.Getpid(), dir.Fd())
	l, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: socket})
	return l, socket, err
}

func acceptConsole(l *net.UnixListener) (*os.File, error) {
	if err := l.SetDeadline(time.Now().Add(consolePatience)); err != nil {
		return nil, err
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("receive the console: %w", err)
	}
	defer conn.Close()
	socket, err := conn.File() // in blocking mode
	if err != nil {
		return nil, fmt.Errorf("receive the console: %w", err)
	}
	defer socket.Close()
	return receiveConsole(socket)
}

func readPid(file string) (int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("learn the process that the runtime has started: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}

func (e *external) Signal(sig unix.Signal) error {
	if sig == unix.SIGKILL && !e.ownProcesses() {
		pids, err := e.Processes()
		if err != nil {
			return err
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, sig) // it has ended otherwise
		}
	}
	return e.init.Signal(sig)
}

// ownProcesses tells whether the container's processes end with its init.
func (e *external) ownProcesses() bool {
	return slices.ContainsFunc(e.spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.PIDNamespace && ns.Path == "" })
}

func (e *external) Processes() ([]int, error) { return e.group.GetAllPids() }
func (e *external) Pause() error              { return e.call("pause", e.id) }
func (e *external) Resume() error             { return e.call("resume", e.id) }

func (e *external) Update(resources *specs.LinuxResources) error {
	e.spec.Linux.Resources = resources
	without := *resources
	without.Devices = nil // the rules stay as they are
	content, err := json.Marshal(without)
	if err != nil {
		return err
	}
	file := filepath.Join(e.dir, "resources.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	return e.call("update", "--resources", file, e.id)
}

// Destroy lets the runtime delete the container, and removes what it has left:
// its state may have gone with the container's folder before.
func (e *external) Destroy() error {
	err := e.call("delete", "--force", e.id)
	if gone := e.group.Destroy(); gone != nil {
		return errors.Join(err, gone)
	}
	return os.RemoveAll(e.dir)
}

func (e *external) OOMKills() (uint64, error) {
	if !e.group.Exists() {
		return 0, nil
	}
	return e.group.OOMKillCount()
}
