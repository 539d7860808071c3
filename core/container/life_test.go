package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
	"github.com/nacre-sh/nacre/core/store"
)

// These tests run real containers: the real shim, the kernel, Debian's busybox.
var shimBinary, busyboxRoot string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nacre-container-test")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if shimBinary, err = buildShim(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	busyboxRoot = filepath.Join(dir, "busybox")
	if err := makeBusybox(busyboxRoot); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// buildShim builds it as users get it, unless NACRE_TEST_BIN names a folder with one (tests/program).
func buildShim(dir string) (string, error) {
	if built := os.Getenv("NACRE_TEST_BIN"); built != "" {
		return filepath.Join(built, shimapi.Binary), nil
	}
	binary := filepath.Join(dir, "bin", shimapi.Binary)
	build := exec.Command("go", "build", "-tags", "seccomp,runc_nocriu,netgo,osusergo",
		"-ldflags", `-linkmode external -extldflags "-static"`, "-o", binary, "../../cmd/nacre-shim")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the shim: %w\n%s", err, out)
	}
	return binary, nil
}

func makeBusybox(root string) error {
	for _, sub := range []string{"bin", "etc", "tmp", "data"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o755); err != nil {
			return err
		}
	}
	binary, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("busybox-static is needed: %w", err)
	}
	for name, content := range map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/sh\n", "etc/group": "root:x:0:\nweb:x:33:\n", "data/of-the-image": "x"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), binary, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"sh", "echo", "cat", "sleep", "true", "id", "touch", "ls"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			return err
		}
	}
	return nil
}

// folderImages serves one image from a folder.
type folderImages struct{}

func (folderImages) Rootfs(_ context.Context, name string, _ *ocispec.Platform) (backend.Rootfs, error) {
	if name != "busybox" {
		return backend.Rootfs{}, errdefs.ErrNotFound.WithMessage("No such image: " + name)
	}
	return backend.Rootfs{ImageID: "sha256:" + strings.Repeat("1", 64), Name: name, Platform: ocispec.Platform{OS: "linux"},
		Config: dockerspec.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{Cmd: []string{"sh"}}}, LowerDirs: []string{busyboxRoot}}, nil
}

func (f folderImages) ID(ctx context.Context, name string) (string, error) {
	root, err := f.Rootfs(ctx, name, nil)
	return root.ImageID, err
}

func (f folderImages) Descendants(ctx context.Context, name string) ([]string, error) {
	id, err := f.ID(ctx, name)
	return []string{id}, err
}

func (folderImages) Commit(context.Context, io.Reader, backend.ImageCommit) (string, error) {
	return "", errdefs.ErrNotImplemented
}
func (folderImages) Lease(context.Context) (io.Closer, error) { return io.NopCloser(nil), nil }

// noNetworks leaves every container alone with its loopback.
type noNetworks struct{ Networks } // what is not below is not asked for

func (noNetworks) IDs(context.Context) (map[string]string, error) {
	return map[string]string{"bridge": "1f2f", "host": "2f"}, nil
}

func (noNetworks) Connect(_ context.Context, req backend.EndpointRequest) (backend.Endpoints, error) {
	if _, err := os.Stat(req.NetNS); err != nil {
		return backend.Endpoints{}, err
	}
	return backend.Endpoints{Hosts: []byte("127.0.0.1 localhost\n")}, nil
}
func (noNetworks) Disconnect(context.Context, string) error { return nil }
func (noNetworks) Connected(context.Context) (map[string]bool, error) {
	return nil, nil
}
func (noNetworks) Plan(_ context.Context, _ *container.HostConfig, asked *network.NetworkingConfig) (*network.NetworkingConfig, error) {
	return asked, nil
}
func (noNetworks) Rename(context.Context, string, string) error { return nil }
func (noNetworks) Mend(context.Context) error                   { return nil }

// folderVolumes keeps volumes as folders and who uses them.
type folderVolumes struct {
	dir   string
	mu    *sync.Mutex
	users map[string]map[string]bool
}

func (v folderVolumes) Acquire(_ context.Context, id, name, _ string, _, _ map[string]string) (volume.Volume, bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	made := v.users[name] == nil
	if made {
		v.users[name] = map[string]bool{}
	}
	v.users[name][id] = true
	path := filepath.Join(v.dir, name, "_data")
	return volume.Volume{Name: name, Mountpoint: path}, made, os.MkdirAll(path, 0o755)
}

func (v folderVolumes) Populate(_ context.Context, name string, lowers []string, path string) error {
	entries, err := os.ReadDir(filepath.Join(v.dir, name, "_data"))
	if err != nil || len(entries) > 0 {
		return err
	}
	return os.CopyFS(filepath.Join(v.dir, name, "_data"), os.DirFS(filepath.Join(lowers[0], path)))
}

func (v folderVolumes) Release(_ context.Context, id string, removeAnonymous bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, users := range v.users {
		if delete(users, id); len(users) == 0 && removeAnonymous && len(name) == 64 {
			delete(v.users, name)
			if err := os.RemoveAll(filepath.Join(v.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v folderVolumes) Attach(context.Context, string) ([]string, error) { return nil, nil }
func (v folderVolumes) Detach(context.Context, string) error             { return nil }
func (v folderVolumes) Attached(context.Context) ([]string, error)       { return nil, nil }

type eventList struct {
	mu   sync.Mutex
	seen []string
}

func (e *eventList) Append(list ...events.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range list {
		e.seen = append(e.seen, string(m.Action))
	}
	return nil
}

func (e *eventList) has(action string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.seen {
		if strings.HasPrefix(s, action) {
			return true
		}
	}
	return false
}

// bench is one store, on which open opens one engine module after another, as
// so many processes would.
type bench struct {
	testing.TB
	st      *store.Store
	volumes folderVolumes
	events  *eventList
}

func newBench(t testing.TB) *bench {
	t.Helper()
	paths, err := store.NewPaths(filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{TB: t, st: st, events: &eventList{},
		volumes: folderVolumes{dir: paths.Volumes(), mu: &sync.Mutex{}, users: map[string]map[string]bool{}}}
	t.Cleanup(func() {
		m := b.open()
		list, err := m.List(context.Background(), backend.ContainerList{All: true})
		if err != nil {
			t.Error(err)
		}
		for _, c := range list {
			if err := m.Remove(context.Background(), c.ID, backend.ContainerRemove{Force: true, Volumes: true}); err != nil {
				t.Error(err)
			}
		}
		m.Close()
		st.Close()
	})
	return b
}

func (b *bench) open() *Module {
	b.Helper()
	m, err := New(context.Background(), Options{
		Store: b.st, Images: folderImages{}, Networks: noNetworks{}, Volumes: b.volumes, Events: b.events,
		Shim: func() (string, error) { return shimBinary, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	return m
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) create(m *Module, name string, hc *container.HostConfig, cmd ...string) string {
	b.Helper()
	res, err := m.Create(b.Context(), name, container.CreateRequest{
		Config: &container.Config{Image: "busybox", Cmd: cmd, AttachStdout: true}, HostConfig: hc}, nil)
	b.must(err)
	return res.ID
}

func (b *bench) run(m *Module, name string, hc *container.HostConfig, cmd ...string) string {
	b.Helper()
	id := b.create(m, name, hc, cmd...)
	b.must(m.Start(b.Context(), id, ""))
	return id
}

func (b *bench) wait(m *Module, name string, c container.WaitCondition) backend.WaitResult {
	b.Helper()
	result, err := m.Wait(b.Context(), name, c)
	b.must(err)
	return b.result(result)
}

func (b *bench) result(ch <-chan backend.WaitResult) backend.WaitResult {
	b.Helper()
	select {
	case r := <-ch:
		return r
	case <-time.After(2 * time.Minute):
		b.Fatal("the wait does not end")
		return backend.WaitResult{}
	}
}

func (b *bench) logs(m *Module, name string, opts backend.ContainerLogs) (stdout, stderr string) {
	b.Helper()
	var raw bytes.Buffer
	b.must(m.Logs(b.Context(), name, opts, func(bool) (io.Writer, error) { return &raw, nil }))
	var out, errOut bytes.Buffer
	_, err := stdcopy.StdCopy(&out, &errOut, &raw)
	b.must(err)
	return out.String(), errOut.String()
}

var allLogs = backend.ContainerLogs{Stdout: true, Stderr: true, Tail: -1}

func (b *bench) state(m *Module, name string) *container.State {
	b.Helper()
	res, err := m.Inspect(b.Context(), name, false)
	b.must(err)
	return res.State
}

// eventually polls for what happens in another process.
func (b *bench) eventually(what string, is func() bool) {
	b.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	b.Fatal(what)
}

// ended tells whether a process is over; nobody may have reaped it.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

func TestLifeFromCreateToRemove(t *testing.T) {
	b := newBench(t)
	m := b.open()
	id := b.create(m, "web", nil, "sh", "-c", "echo out; echo err >&2; exit 7")
	if s := b.state(m, "web"); s.Status != created || s.StartedAt != "0001-01-01T00:00:00Z" {
		t.Errorf("after create: %+v", s)
	}
	ended, err := m.Wait(t.Context(), "web", container.WaitConditionNextExit)
	b.must(err)
	b.must(m.Start(t.Context(), id[:12], ""))
	if r := b.result(ended); r.StatusCode != 7 || r.Err != nil {
		t.Errorf("wait: %+v", r)
	}
	if r := b.wait(m, "web", container.WaitConditionNotRunning); r.StatusCode != 7 {
		t.Errorf("wait afterwards: %+v", r)
	}
	s := b.state(m, id)
	if s.Status != exited || s.ExitCode != 7 || s.Running || s.FinishedAt < s.StartedAt {
		t.Errorf("after the end: %+v", s)
	}
	if out, errOut := b.logs(m, "web", allLogs); out != "out\n" || errOut != "err\n" {
		t.Errorf("logs: %q, %q", out, errOut)
	}
	b.must(m.Remove(t.Context(), "web", backend.ContainerRemove{}))
	if _, err := m.Inspect(t.Context(), "web", false); !errdefs.IsNotFound(err) || err.Error() != "No such container: web" {
		t.Errorf("after the removal: %v", err)
	}
	for _, dir := range []string{m.paths.Container(id), m.paths.ContainerRun(id)} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	for _, action := range []string{"create", "destroy"} {
		if !b.events.has(action) {
			t.Errorf("no event %s among %v", action, b.events.seen)
		}
	}
	log, err := os.ReadFile(m.paths.Events())
	b.must(err)
	start, die := strings.Index(string(log), `"Action":"start"`), strings.Index(string(log), `"Action":"die"`)
	if start < 0 || die < start {
		t.Errorf("the shim's events: %s", log)
	}
}

func TestAnotherProcessSeesAndEndsTheContainer(t *testing.T) {
	b := newBench(t)
	first := b.open()
	id := b.run(first, "web", nil, "sleep", "1000")
	first.Close()
	second := b.open()
	list, err := second.List(t.Context(), backend.ContainerList{})
	b.must(err)
	if len(list) != 1 || list[0].State != running || list[0].Names[0] != "/web" || !strings.HasPrefix(list[0].Status, "Up ") {
		t.Fatalf("list: %+v", list)
	}
	if err := second.Start(t.Context(), id, ""); !errdefs.IsNotModified(err) {
		t.Errorf("start again: %v", err)
	}
	if err := second.Remove(t.Context(), id, backend.ContainerRemove{}); !errdefs.IsConflict(err) {
		t.Errorf("remove while it runs: %v", err)
	}
	b.must(second.Kill(t.Context(), "web", ""))
	if s := b.state(second, "web"); s.ExitCode != 137 || s.Status != exited {
		t.Errorf("after kill: %+v", s)
	}
	if err := second.Kill(t.Context(), "web", ""); !errdefs.IsConflict(err) {
		t.Errorf("kill again: %v", err)
	}
}

func TestStopPauseRestart(t *testing.T) {
	b := newBench(t)
	m := b.open()
	b.run(m, "polite", nil, "sh", "-c", `trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done`)
	b.eventually("it does not get ready", func() bool { out, _ := b.logs(m, "polite", allLogs); return out == "ready\n" })
	b.must(m.Pause(t.Context(), "polite"))
	if s := b.state(m, "polite"); s.Status != paused || !s.Paused || !s.Running {
		t.Errorf("paused: %+v", s)
	}
	b.must(m.Unpause(t.Context(), "polite"))
	pid := b.state(m, "polite").Pid
	b.must(m.Stop(t.Context(), "polite", backend.ContainerStop{}))
	if s := b.state(m, "polite"); s.ExitCode != 3 {
		t.Errorf("after stop: %+v", s)
	}
	if err := m.Stop(t.Context(), "polite", backend.ContainerStop{}); !errdefs.IsNotModified(err) {
		t.Errorf("stop again: %v", err)
	}
	b.must(m.Restart(t.Context(), "polite", backend.ContainerStop{Timeout: new(0)}))
	if s := b.state(m, "polite"); !s.Running || s.Pid == pid {
		t.Errorf("after restart: %+v", s)
	}
	b.run(m, "deaf", nil, "sh", "-c", `trap "" TERM; echo ready; while :; do sleep 0.05; done`)
	b.eventually("it does not get ready", func() bool { out, _ := b.logs(m, "deaf", allLogs); return out == "ready\n" })
	b.must(m.Stop(t.Context(), "deaf", backend.ContainerStop{Timeout: new(0)}))
	if s := b.state(m, "deaf"); s.ExitCode != 137 {
		t.Errorf("after the stop of one that does not listen: %+v", s)
	}
}

func TestAutoRemove(t *testing.T) {
	b := newBench(t)
	m := b.open()
	id := b.create(m, "once", &container.HostConfig{AutoRemove: true, Binds: []string{"/data"}}, "sh", "-c", "exit 5")
	gone, err := m.Wait(t.Context(), id, container.WaitConditionRemoved)
	b.must(err)
	b.must(m.Start(t.Context(), id, ""))
	if r := b.result(gone); r.StatusCode != 5 || r.Err != nil {
		t.Errorf("wait: %+v", r)
	}
	b.create(m, "once", nil, "true") // the name is free at once
	b.must(m.Close())
	if left, err := os.ReadDir(b.volumes.dir); err != nil || len(left) != 0 {
		t.Errorf("volumes left: %v, %v", left, err)
	}
	if _, err := os.Stat(m.paths.Container(id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder left: %v", err)
	}
}

func TestAutoRemoveUnseenIsGoneForTheNextProcess(t *testing.T) {
	b := newBench(t)
	first := b.open()
	id := b.run(first, "once", &container.HostConfig{AutoRemove: true}, "sleep", "1000")
	state, err := readJSON[shimapi.State](filepath.Join(first.paths.ContainerRun(id), shimapi.StateFile))
	b.must(err)
	first.Close()
	b.must(unix.Kill(state.Pid, unix.SIGKILL))
	b.eventually("its shim does not end", func() bool { return ended(state.ShimPid) })
	second := b.open()
	if _, err := second.Inspect(t.Context(), "once", false); !errdefs.IsNotFound(err) {
		t.Errorf("inspect: %v", err)
	}
	b.must(second.Close())
	if _, err := os.Stat(second.paths.Container(id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder left: %v", err)
	}
}

func TestFailedStart(t *testing.T) {
	b := newBench(t)
	m := b.open()
	for cmd, want := range map[string]struct {
		code int
		text string
	}{
		"nosuch":      {127, "executable file not found in $PATH"},
		"/etc/passwd": {126, "permission denied"},
	} {
		id := b.create(m, "", nil, cmd)
		err := m.Start(t.Context(), id, "")
		if err == nil || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %v", cmd, err)
		}
		if s := b.state(m, id); s.Status != created || s.ExitCode != want.code || s.Error == "" {
			t.Errorf("%s: %+v", cmd, s)
		}
	}
	id := b.create(m, "", &container.HostConfig{AutoRemove: true}, "nosuch")
	gone, err := m.Wait(t.Context(), id, container.WaitConditionRemoved)
	b.must(err)
	if err := m.Start(t.Context(), id, ""); err == nil {
		t.Error("it started")
	}
	if r := b.result(gone); r.StatusCode != 127 {
		t.Errorf("wait: %+v", r)
	}
}

// clientConn is the client's end of a hijacked connection: a socketpair.
func clientConn(t *testing.T) (server, client *os.File) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "server"), os.NewFile(uintptr(fds[1]), "client")
}

type halfConn struct{ *os.File }

func (c halfConn) CloseWrite() error { return unix.Shutdown(int(c.Fd()), unix.SHUT_WR) }

func TestAttachBeforeStartLosesNothing(t *testing.T) {
	b := newBench(t)
	m := b.open()
	res, err := m.Create(t.Context(), "cat", container.CreateRequest{Config: &container.Config{
		Image: "busybox", Cmd: []string{"sh", "-c", "echo first; cat"}, OpenStdin: true, StdinOnce: true, AttachStdin: true}}, nil)
	b.must(err)
	server, client := clientConn(t)
	defer client.Close()
	attached, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- m.Attach(context.Background(), res.ID, backend.Attach{Stream: true, Stdin: true, Stdout: true, Stderr: true},
			func(bool) (backend.Conn, error) { close(attached); return halfConn{server}, nil })
	}()
	<-attached
	b.must(m.Start(t.Context(), res.ID, ""))
	if _, err := client.WriteString("typed\n"); err != nil {
		t.Fatal(err)
	}
	b.must(halfConn{client}.CloseWrite()) // end of file for cat, while its output still comes
	var out, errOut bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &errOut, client); err != nil || out.String() != "first\ntyped\n" {
		t.Errorf("got %q, %q, %v", out.String(), errOut.String(), err)
	}
	b.must(<-done)
}

func TestExec(t *testing.T) {
	b := newBench(t)
	m := b.open()
	b.run(m, "web", nil, "sleep", "1000")
	id, err := m.ExecCreate(t.Context(), "web", container.ExecCreateRequest{
		Cmd: []string{"sh", "-c", "id -u; echo $A; cat; exit 4"}, User: "web", Env: []string{"A=b"}, AttachStdin: true, AttachStdout: true, AttachStderr: true})
	b.must(err)
	server, client := clientConn(t)
	defer client.Close()
	done := make(chan error, 1)
	go func() {
		done <- m.ExecStart(context.Background(), id, backend.ExecStart{}, func(bool) (backend.Conn, error) { return halfConn{server}, nil })
	}()
	if _, err := client.WriteString("in\n"); err != nil {
		t.Fatal(err)
	}
	b.must(halfConn{client}.CloseWrite())
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, io.Discard, client); err != nil || out.String() != "33\nb\nin\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	b.must(<-done)
	if e, err := m.ExecInspect(t.Context(), id); err != nil || e.Running || e.ExitCode == nil || *e.ExitCode != 4 {
		t.Errorf("inspect: %+v, %v", e, err)
	}
	if err := m.ExecStart(t.Context(), id, backend.ExecStart{Detach: true}, nil); !errdefs.IsConflict(err) {
		t.Errorf("start again: %v", err)
	}
	missing, err := m.ExecCreate(t.Context(), "web", container.ExecCreateRequest{Cmd: []string{"nosuch"}})
	b.must(err)
	if err := m.ExecStart(t.Context(), missing, backend.ExecStart{Detach: true}, nil); err == nil || !strings.Contains(err.Error(), "executable file not found") {
		t.Errorf("a missing command: %v", err)
	}
	if e, err := m.ExecInspect(t.Context(), missing); err != nil || e.ExitCode == nil || *e.ExitCode != 127 {
		t.Errorf("inspect it: %+v, %v", e, err)
	}
	if _, err := m.ExecInspect(t.Context(), "nosuch"); !errdefs.IsNotFound(err) {
		t.Errorf("an unknown exec: %v", err)
	}
}

// What one process has started, another one can inspect and end.
func TestExecOfAnotherProcess(t *testing.T) {
	b := newBench(t)
	first, second := b.open(), b.open()
	b.run(first, "web", nil, "sleep", "1000")
	id, err := first.ExecCreate(t.Context(), "web", container.ExecCreateRequest{Cmd: []string{"sleep", "1000"}, User: "web", Privileged: true, AttachStdout: true})
	b.must(err)
	b.must(first.ExecStart(t.Context(), id, backend.ExecStart{Detach: true}, nil))
	e, err := second.ExecInspect(t.Context(), id)
	b.must(err)
	if p := e.ProcessConfig; !e.Running || e.Pid == 0 || e.OpenStdin || !e.OpenStdout || p.Entrypoint != "sleep" || !slices.Equal(p.Arguments, []string{"1000"}) || p.User != "web" || !*p.Privileged || p.Tty {
		t.Errorf("inspect: %+v, %+v", e, p)
	}
	web, err := second.Inspect(t.Context(), "web", false)
	b.must(err)
	if !slices.Equal(web.ExecIDs, []string{id}) || e.ContainerID != web.ID {
		t.Errorf("its execs: %v", web.ExecIDs)
	}
	b.must(second.Kill(t.Context(), id, "TERM"))
	over := func(m *Module) func() bool {
		return func() bool {
			e, err := m.ExecInspect(t.Context(), id)
			b.must(err)
			return !e.Running && e.ExitCode != nil && *e.ExitCode == 128+15
		}
	}
	b.eventually("the killed exec goes on", over(second))
	b.eventually("its end is unknown to who started it", over(first))
	if err := second.Kill(t.Context(), id, "KILL"); !errdefs.IsConflict(err) {
		t.Errorf("killed twice: %v", err)
	}
	if err := second.Kill(t.Context(), strings.Repeat("0", 64), "KILL"); !errdefs.IsNotFound(err) {
		t.Errorf("nobody killed: %v", err)
	}
	b.must(first.Kill(t.Context(), "web", "KILL"))
	if !over(b.open())() { // also when the container has ended
		t.Error("its end is forgotten with the container's")
	}
}

// What one process has created, another one can start, once; with the
// container's run it goes.
func TestExecCreatedByAnotherProcess(t *testing.T) {
	b := newBench(t)
	first, second := b.open(), b.open()
	b.run(first, "web", nil, "sleep", "1000")
	create := func(cmd ...string) string {
		id, err := first.ExecCreate(t.Context(), "web", container.ExecCreateRequest{Cmd: cmd, User: "web", Env: []string{"A=b"}, AttachStdout: true})
		b.must(err)
		return id
	}
	id := create("sh", "-c", "id -u > /tmp/by; echo $A >> /tmp/by; exit 6")
	for _, m := range []*Module{first, second} {
		e, err := m.ExecInspect(t.Context(), id)
		if err != nil || e.Running || e.ExitCode != nil || e.Pid != 0 || e.ProcessConfig.User != "web" {
			t.Errorf("inspect what waits: %+v, %v", e, err)
		}
	}
	web, err := second.Inspect(t.Context(), "web", false)
	b.must(err)
	if !slices.Equal(web.ExecIDs, []string{id}) {
		t.Errorf("the container's execs: %v, want %s", web.ExecIDs, id)
	}
	b.must(second.ExecStart(t.Context(), id, backend.ExecStart{Detach: true}, nil))
	over := func(m *Module) func() bool {
		return func() bool {
			e, err := m.ExecInspect(t.Context(), id)
			b.must(err)
			return e.ExitCode != nil && *e.ExitCode == 6
		}
	}
	b.eventually("its end is unknown to who started it", over(second))
	b.eventually("its end is unknown to who created it", over(first))
	for i, m := range []*Module{first, second, b.open()} {
		if err := m.ExecStart(t.Context(), id, backend.ExecStart{Detach: true}, nil); !errdefs.IsConflict(err) {
			t.Errorf("started again by process %d: %v", i, err)
		}
	}

	// Many start it at once: one does.
	id = create("sh", "-c", "echo ran >> /tmp/ran")
	started := make(chan bool)
	for range 6 {
		m := b.open()
		go func() { started <- m.ExecStart(context.Background(), id, backend.ExecStart{Detach: true}, nil) == nil }()
	}
	n := 0
	for range 6 {
		if <-started {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of 6 processes started it", n)
	}

	id = create("true")
	b.must(first.Kill(t.Context(), "web", "KILL"))
	b.eventually("the exec outlives the container's run", func() bool {
		_, err1 := first.ExecInspect(t.Context(), id)
		_, err2 := second.ExecInspect(t.Context(), id)
		return errdefs.IsNotFound(err1) && errdefs.IsNotFound(err2)
	})
}

func TestNamesAndIDs(t *testing.T) {
	b := newBench(t)
	m := b.open()
	id := b.create(m, "web", nil, "true")
	_, err := m.Create(t.Context(), "/web", container.CreateRequest{Config: &container.Config{Image: "busybox"}}, nil)
	want := fmt.Sprintf("Conflict. The container name %q is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", "/web", id)
	if !errdefs.IsConflict(err) || err.Error() != want {
		t.Errorf("the same name: %v", err)
	}
	for _, name := range []string{"web", "/web", id, id[:12], id[:4]} {
		if r, err := m.find(t.Context(), name); err != nil || r.ID != id {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.must(m.Rename(t.Context(), "web", "site"))
	if _, err := m.find(t.Context(), "web"); !errdefs.IsNotFound(err) {
		t.Errorf("the old name: %v", err)
	}
	other := b.create(m, "other", nil, "true")
	if err := m.Rename(t.Context(), other, "site"); !errdefs.IsConflict(err) {
		t.Errorf("a name that is taken: %v", err)
	}
	twin, err := m.find(t.Context(), id)
	b.must(err)
	twin.ID, twin.Name = id[:20]+strings.Repeat("0", 44), "twin"
	b.must(m.insert(t.Context(), twin))
	if _, err := m.find(t.Context(), id[:12]); err == nil || err.Error() != "Multiple IDs found with provided prefix: "+id[:12] {
		t.Errorf("an ambiguous beginning: %v", err)
	}
	if _, err := m.Create(t.Context(), "", container.CreateRequest{Config: &container.Config{Image: "nosuch"}}, nil); !errdefs.IsNotFound(err) {
		t.Errorf("no image: %v", err)
	}
}

// Two processes race for the same name, and for the same start.
func TestRaces(t *testing.T) {
	b := newBench(t)
	modules := []*Module{b.open(), b.open(), b.open(), b.open()}
	outcomes := make(chan error, len(modules))
	for _, m := range modules {
		go func() {
			_, err := m.Create(context.Background(), "web", container.CreateRequest{Config: &container.Config{Image: "busybox", Cmd: []string{"sleep", "1000"}}}, nil)
			outcomes <- err
		}()
	}
	b.oneWins(outcomes, len(modules), errdefs.IsConflict)
	for _, m := range modules {
		go func() { outcomes <- m.Start(context.Background(), "web", "") }()
	}
	b.oneWins(outcomes, len(modules), errdefs.IsNotModified)
	for _, m := range modules {
		go func() { outcomes <- m.Remove(context.Background(), "web", backend.ContainerRemove{Force: true}) }()
	}
	b.oneWins(outcomes, len(modules), errdefs.IsNotFound)
}

func (b *bench) oneWins(outcomes <-chan error, n int, loses func(error) bool) {
	b.Helper()
	won := 0
	for range n {
		if err := <-outcomes; err == nil {
			won++
		} else if !loses(err) {
			b.Errorf("a loser says: %v", err)
		}
	}
	if won != 1 {
		b.Errorf("%d won", won)
	}
}

func TestKilledShim(t *testing.T) {
	b := newBench(t)
	m := b.open()
	id := b.run(m, "web", nil, "sleep", "1000")
	state, err := readJSON[shimapi.State](filepath.Join(m.paths.ContainerRun(id), shimapi.StateFile))
	b.must(err)
	waiting, err := m.Wait(t.Context(), "web", container.WaitConditionNotRunning)
	b.must(err)
	b.must(unix.Kill(state.ShimPid, unix.SIGKILL))
	if r := b.result(waiting); r.StatusCode != 137 || r.Err != nil {
		t.Errorf("wait: %+v", r)
	}
	if s := b.state(m, "web"); s.Status != exited || s.ExitCode != 137 {
		t.Errorf("state: %+v", s)
	}
	b.eventually("its process is left", func() bool { return ended(state.Pid) })
	b.must(m.Start(t.Context(), "web", "")) // and it can be started again
	if s := b.state(m, "web"); !s.Running {
		t.Errorf("after the start: %+v", s)
	}
}

// A shim that was killed takes its container along; whoever looks next lets the
// policy go on, but brings back nothing that a user has stopped or that has none.
func TestPolicyGoesOnWithoutItsShim(t *testing.T) {
	b := newBench(t)
	m := b.open()
	policy := func(name container.RestartPolicyMode) *container.HostConfig {
		return &container.HostConfig{RestartPolicy: container.RestartPolicy{Name: name}}
	}
	ids := map[string]string{
		"always": b.run(m, "always", policy(container.RestartPolicyAlways), "sleep", "1000"),
		"failed": b.run(m, "failed", policy(container.RestartPolicyOnFailure), "sleep", "1000"),
		"plain":  b.run(m, "plain", nil, "sleep", "1000"),
	}
	b.must(m.Close())
	m = b.open()
	kill := func(name string) {
		t.Helper()
		state, err := readJSON[shimapi.State](filepath.Join(m.paths.ContainerRun(ids[name]), shimapi.StateFile))
		b.must(err)
		b.must(unix.Kill(state.ShimPid, unix.SIGKILL))
		b.eventually("the shim of "+name+" is left", func() bool { return ended(state.ShimPid) })
	}
	for name := range ids {
		kill(name)
	}
	restarted := func(name string, count int) func() bool {
		return func() bool {
			res, err := m.Inspect(t.Context(), name, false)
			b.must(err)
			return res.State.Status == running && res.RestartCount == count && res.State.Pid != 0
		}
	}
	b.eventually("always is not restarted", restarted("always", 1))
	b.eventually("failed is not restarted", restarted("failed", 1))
	if s := b.state(m, "plain"); s.Status != exited || s.ExitCode != 137 {
		t.Errorf("without a policy: %+v", s)
	}

	// The next end counts on, and a stop in the pause is the last word.
	kill("always")
	b.eventually("always is not restarted again", restarted("always", 2))
	kill("always")
	b.must(m.Stop(t.Context(), "always", backend.ContainerStop{}))
	if s := b.state(m, "always"); s.Running {
		t.Errorf("after the stop: %+v", s)
	}
	if s := b.state(b.open(), "always"); s.Running {
		t.Errorf("after the stop, in another process: %+v", s)
	}

	// At the machine's end nothing is brought back; after it, what has failed by that stays down.
	b.run(m, "lasting", policy(container.RestartPolicyUnlessStopped), "sleep", "1000")
	if _, err := m.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := b.state(m, "failed"); s.Running {
		t.Errorf("after the machine's end: %+v", s)
	}
	report, err := m.Boot(t.Context())
	b.must(err)
	if !slices.Equal(report.Done, []string{"lasting"}) || len(report.Failed) > 0 {
		t.Errorf("boot: %+v", report)
	}
}

// What a process that was killed in the middle of something has left is
// cleaned up by the next one.
func TestSweep(t *testing.T) {
	b := newBench(t)
	m := b.open()
	half := b.create(m, "half-removed", nil, "true")
	b.must(m.Start(t.Context(), half, ""))
	b.wait(m, half, container.WaitConditionNotRunning)
	if err := m.markRemoving(t.Context(), &leaving{record: &record{ID: half}}); err != nil {
		t.Fatal(err)
	}
	stray := newID()
	b.must(m.makeFolders(stray))
	lost := b.create(m, "lost", nil, "true") // the row says running, but the machine went down
	_, err := m.db.Exec(`UPDATE containers SET status = 'running', started = 1 WHERE id = ?`, lost)
	b.must(err)
	b.must(m.Close())

	next := b.open()
	if _, err := next.find(t.Context(), "half-removed"); !errdefs.IsNotFound(err) {
		t.Errorf("the half removed one: %v", err)
	}
	if s := b.state(next, "lost"); s.Status != exited || s.ExitCode != exitLost {
		t.Errorf("the lost one: %+v", s)
	}
	b.must(next.Close())
	for _, id := range []string{half, stray} {
		for _, dir := range []string{next.paths.Container(id), next.paths.ContainerRun(id)} {
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", dir, err)
			}
		}
	}
	if _, err := next.byID(t.Context(), half); !errdefs.IsNotFound(err) {
		t.Errorf("the row is left: %v", err)
	}
}

func TestVolumes(t *testing.T) {
	b := newBench(t)
	m := b.open()
	host := t.TempDir()
	b.run(m, "writer", &container.HostConfig{Binds: []string{"named:/data", host + ":/host"}}, "sh", "-c", "ls /data; touch /data/mine /host/there")
	b.wait(m, "writer", container.WaitConditionNotRunning)
	if out, _ := b.logs(m, "writer", allLogs); out != "of-the-image\n" {
		t.Errorf("a new volume has %q", out)
	}
	if _, err := os.Stat(filepath.Join(host, "there")); err != nil {
		t.Error(err)
	}
	b.run(m, "reader", &container.HostConfig{VolumesFrom: []string{"writer:ro"}}, "sh", "-c", "ls /data; touch /data/more")
	if r := b.wait(m, "reader", container.WaitConditionNotRunning); r.StatusCode == 0 {
		t.Error("it could write")
	}
	if out, _ := b.logs(m, "reader", allLogs); out != "mine\nof-the-image\n" {
		t.Errorf("the other sees %q", out)
	}
	if users := b.volumes.users["named"]; len(users) != 2 {
		t.Errorf("users: %v", users)
	}
	res, err := m.Inspect(t.Context(), "writer", true)
	b.must(err)
	if len(res.Mounts) != 2 || res.Mounts[0].Name != "named" || res.Mounts[0].Source != filepath.Join(b.volumes.dir, "named", "_data") || res.SizeRw == nil {
		t.Errorf("inspect: %+v", res.Mounts)
	}
}

func TestFollowLogsToTheEnd(t *testing.T) {
	b := newBench(t)
	m := b.open()
	b.run(m, "counter", nil, "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
	follow := allLogs
	follow.Follow = true
	if out, _ := b.logs(m, "counter", follow); out != "1\n2\n3\n4\n5\n" {
		t.Errorf("got %q", out)
	}
	stamped := backend.ContainerLogs{Stdout: true, Tail: 1, Timestamps: true}
	out, _ := b.logs(m, "counter", stamped)
	if stamp, text, ok := strings.Cut(out, " "); !ok || text != "5\n" || len(stamp) != len("2024-01-01T00:00:00.000000000Z") {
		t.Errorf("got %q", out)
	}
}

func TestPruneAndCounts(t *testing.T) {
	b := newBench(t)
	m := b.open()
	b.run(m, "stays", nil, "sleep", "1000")
	old := b.create(m, "goes", nil, "true")
	runs, _, stops, err := m.Counts(t.Context())
	if err != nil || runs != 1 || stops != 1 {
		t.Errorf("counts: %d, %d, %v", runs, stops, err)
	}
	deleted, _, err := m.Prune(t.Context(), nil)
	if err != nil || len(deleted) != 1 || deleted[0] != old {
		t.Errorf("pruned %v, %v", deleted, err)
	}
	uses, err := m.ImageUsers(t.Context(), "sha256:"+strings.Repeat("1", 64))
	if err != nil || len(uses) != 1 || !uses[0].Running {
		t.Errorf("users of the image: %+v, %v", uses, err)
	}
	all, err := m.AllImageUsers(t.Context())
	if err != nil || len(all) != 1 || !slices.Equal(all["sha256:"+strings.Repeat("1", 64)], uses) {
		t.Errorf("users of all images: %+v, %v", all, err)
	}
}

func TestTop(t *testing.T) {
	b := newBench(t)
	m := b.open()
	b.run(m, "web", nil, "sleep", "1000")
	var top container.TopResponse
	b.eventually("its command line", func() (is bool) { // which the kernel shows a moment after the start
		var err error
		top, err = m.Top(t.Context(), "web", nil)
		return err == nil && len(top.Processes) == 1 && top.Processes[0][len(top.Titles)-1] == "sleep 1000"
	})
	if pid, _ := strconv.Atoi(top.Processes[0][1]); pid != b.state(m, "web").Pid {
		t.Errorf("process %d", pid)
	}
}

// BenchmarkRun is the life of `run --rm busybox true` without client and network.
func BenchmarkRun(b *testing.B) {
	bench := newBench(b)
	m := bench.open()
	m.Warm(2)
	time.Sleep(200 * time.Millisecond)
	for b.Loop() {
		id := bench.create(m, "", &container.HostConfig{AutoRemove: true}, "true")
		gone, err := m.Wait(b.Context(), id, container.WaitConditionRemoved)
		bench.must(err)
		bench.must(m.Start(b.Context(), id, ""))
		bench.result(gone)
	}
}

// BenchmarkList is what `ps -a` asks for among 100 containers.
func BenchmarkList(b *testing.B) {
	bench := newBench(b)
	m := bench.open()
	for range 100 {
		bench.create(m, "", nil, "true")
	}
	for b.Loop() {
		if _, err := m.List(b.Context(), backend.ContainerList{All: true}); err != nil {
			b.Fatal(err)
		}
	}
}
