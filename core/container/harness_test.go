package container

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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

func (noNetworks) Mend(context.Context) error { return nil }

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

func (v folderVolumes) Detach(context.Context, string) error { return nil }

func (v folderVolumes) Attached(context.Context) ([]string, error) { return nil, nil }

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
