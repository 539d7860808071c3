package shimapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Binary is the shim's file name; EnvBinary replaces the search for it.
const (
	Binary    = "nacre-shim"
	EnvBinary = "NACRE_SHIM"
)

// Hello is the first line of an idle shim on its control connection.
type Hello struct {
	NetNS string // path of its fresh network namespace
	Error string `json:",omitempty"`
}

// Find looks for the shim's executable; see FindProgram.
func Find(self string, getenv func(string) string) (string, error) {
	return FindProgram(Binary, EnvBinary, self, getenv)
}

// FindProgram looks for one of the small programs that belong to nacre: by
// getenv(env), then beside self (this program's own file), in ../libexec of
// it, and in the PATH.
func FindProgram(binary, env, self string, getenv func(string) string) (string, error) {
	if path := getenv(env); path != "" {
		return path, nil
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	dir := filepath.Dir(self)
	for _, path := range []string{
		filepath.Join(dir, binary),
		filepath.Join(dir, "..", "libexec", "nacre", binary),
		filepath.Join(dir, "..", "libexec", binary),
	} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return filepath.Clean(path), nil
		}
	}
	if path, err := exec.LookPath(binary); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("find %s: it is neither beside %s nor in the PATH: %w\nhint: install it there, or name it with %s",
		binary, self, errdefs.ErrNotFound, env)
}

// Idle is a shim that belongs to no container yet. It ends when this process
// ends, or with Release.
type Idle struct {
	cmd     *exec.Cmd
	control *net.UnixConn
	ready   chan struct{} // closed when hello or helloErr is there
	hello   Hello
	err     error
	exited  chan struct{}
}

// Spawn starts a shim and returns while it still gets ready.
func Spawn(ctx context.Context, binary string) (*Idle, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ours, theirs, err := controlPair()
	if err != nil {
		return nil, fmt.Errorf("spawn %s: %w", binary, err)
	}
	defer theirs.Close()
	cmd := exec.Command(binary, "shim")
	cmd.Dir = "/" // hold no other folder's file system busy
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"GOMAXPROCS=2", // enough, whatever the machine has; each costs memory, and the runtime need not ask the cgroups
	}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no signal of our terminal reaches it
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("spawn %s: %w", binary, err)
	}
	idle := &Idle{cmd: cmd, control: ours, ready: make(chan struct{}), exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the exit code says nothing that the control connection did not
		close(idle.exited)
	}()
	go idle.readHello()
	return idle, nil
}

func controlPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	own, theirs := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control")
	defer own.Close()
	conn, err := net.FileConn(own)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}

func (i *Idle) readHello() {
	defer close(i.ready)
	line, err := readLine(i.control)
	if err != nil {
		i.err = fmt.Errorf("start %s: it ended before it was ready: %w", i.cmd.Path, err)
		return
	}
	if err := json.Unmarshal(line, &i.hello); err != nil {
		i.err = fmt.Errorf("start %s: read its first line: %w", i.cmd.Path, err)
	} else if i.hello.Error != "" {
		i.err = fmt.Errorf("start %s: %w", i.cmd.Path, errors.New(i.hello.Error))
	}
}

// PID is the shim's process id.
func (i *Idle) PID() int { return i.cmd.Process.Pid }

// Alive tells whether the shim can still be used.
func (i *Idle) Alive() bool {
	select {
	case <-i.exited:
		return false
	default:
		return true
	}
}

// NetNS waits until the shim is ready and returns a path of its network
// namespace, good as long as the shim lives.
func (i *Idle) NetNS(ctx context.Context) (string, error) {
	select {
	case <-i.ready:
		return i.hello.NetNS, i.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Bind gives the shim to a container. It waits for the end of the shim of the
// container's previous run, and fails with errdefs.ErrConflict where that one
// still runs it. After an error the shim is gone.
func (i *Idle) Bind(ctx context.Context, bind Bind) (*Client, error) {
	if _, err := i.NetNS(ctx); err != nil {
		i.Release()
		return nil, err
	}
	if _, err := exchange(ctx, i.control, &Request{Bind: &bind}); err != nil {
		i.Release()
		return nil, err
	}
	return &Client{runDir: bind.RunDir, control: i.control}, nil
}

// Release ends a shim that is not needed.
func (i *Idle) Release() { i.control.Close() }
