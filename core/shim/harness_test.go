//go:build cgo

package shim_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// shimBinary is built once, as users get it.
var shimBinary, busyboxRoot string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nacre-shim-test")
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
		fmt.Fprintln(os.Stderr, "make the root:", err)
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
	pkgConfig, err := filepath.Abs("../runtime/libseccomp/pkg-config")
	if err != nil {
		return "", err
	}
	build.Env = append(os.Environ(), "CGO_ENABLED=1", "PKG_CONFIG="+pkgConfig)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the shim: %w\n%s", err, out)
	}
	return binary, nil
}

// makeBusybox lays out a root file system around Debian's busybox-static.
func makeBusybox(root string) error {
	for _, dir := range []string{"bin", "dev", "etc", "proc", "sys", "tmp", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	binary, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("busybox-static is needed: %w", err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin", "busybox"), binary, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"sh", "echo", "cat", "sleep", "true", "false", "id", "ls", "stty", "yes", "head", "kill", "test", "tail", "dd", "ip", "hostname", "grep"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc", "notexec"), []byte("text"), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644)
}

// box is one container under test.
type box struct {
	t        testing.TB
	id       string
	runDir   string
	stateDir string
	start    shimapi.Start
	client   *shimapi.Client
	shimPid  int
}

// newBox prepares a container that runs a command; change box.start before launch.
func newBox(t testing.TB, args ...string) *box {
	t.Helper()
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, id: hex.EncodeToString(raw[:])}
	dir := t.TempDir()
	b.runDir, b.stateDir = filepath.Join(dir, "run", "containers", b.id), filepath.Join(dir, "data", "containers", b.id)
	for _, d := range []string{b.runDir, b.stateDir} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	b.start = shimapi.Start{
		Spec: testSpec(args),
		Rootfs: shimapi.Rootfs{
			Lower: []string{busyboxRoot}, Upper: filepath.Join(b.stateDir, "upper"),
			Work: filepath.Join(b.stateDir, "work"), Target: filepath.Join(b.stateDir, "rootfs"),
		},
		Log:      shimapi.Log{Path: filepath.Join(b.stateDir, "log.json")},
		EventLog: filepath.Join(dir, "run", "events.jsonl"),
		Name:     "/box", Image: "busybox", Labels: map[string]string{"a": "b"},
	}
	return b
}

// bind spawns a shim for the box.
func (b *box) bind() {
	b.t.Helper()
	ctx := context.Background()
	idle, err := shimapi.Spawn(ctx, shimBinary)
	if err != nil {
		b.t.Fatal(err)
	}
	b.shimPid = idle.PID()
	b.client, err = idle.Bind(ctx, shimapi.Bind{ID: b.id, RunDir: b.runDir, StateDir: b.stateDir})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.cleanUp)
}

// launch binds unless that is done, and starts.
func (b *box) launch() {
	b.t.Helper()
	if b.client == nil {
		b.bind()
	}
	if _, err := b.client.Start(context.Background(), &b.start); err != nil {
		b.t.Fatalf("start: %v", err)
	}
}

// wait waits for the container's end.
func (b *box) wait() *shimapi.Exit {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result, err := b.client.Wait(ctx)
	if err != nil {
		return b.exitFile() // it has ended already
	}
	r := <-result
	if r.Err != nil {
		b.t.Fatalf("wait: %v\n%s", r.Err, b.shimLog())
	}
	return r.Exit
}

func (b *box) exitFile() *shimapi.Exit {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.stateDir, shimapi.ExitFile))
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.shimLog())
	}
	var exit shimapi.Exit
	if err := json.Unmarshal(data, &exit); err != nil {
		b.t.Fatal(err)
	}
	return &exit
}

func (b *box) shimLog() string {
	data, _ := os.ReadFile(filepath.Join(b.runDir, "shim.log"))
	return string(data)
}

// log returns the output of one stream, as docker logs would show it.
func (b *box) log(stream string) string {
	b.t.Helper()
	data, err := os.ReadFile(b.start.Log.Path)
	if err != nil {
		b.t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(data)) {
		var entry struct{ Log, Stream, Time string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			b.t.Fatalf("%q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339Nano, entry.Time); err != nil {
			b.t.Fatal(err)
		}
		if entry.Stream == stream {
			text.WriteString(entry.Log)
		}
	}
	return text.String()
}

// cleanUp ends the container and checks that nothing is left of it.
func (b *box) cleanUp() {
	ctx := context.Background()
	_ = b.client.Kill(ctx, shimapi.Kill{Signal: 9, Stop: true})
	b.client.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", b.shimPid)); err != nil {
			break
		}
		if time.Now().After(deadline) {
			b.t.Errorf("the shim still runs\n%s", b.shimLog())
			break
		}
	}
	b.checkNoLeaks()
	if log := b.shimLog(); log != "" && !b.t.Failed() {
		b.t.Logf("the shim's log: %s", log)
	}
}

func (b *box) checkNoLeaks() {
	b.t.Helper()
	if groups, _ := filepath.Glob("/sys/fs/cgroup/*/nacre/" + b.id); len(groups) > 0 {
		b.t.Errorf("cgroups are left: %v", groups)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(string(mounts), b.id) {
		b.t.Error("mounts are left")
	}
}

var defaultCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// testSpec is what the engine makes of a plain `run`.
func testSpec(args []string) *specs.Spec {
	spec := &specs.Spec{
		Version:  specs.Version,
		Hostname: "box",
		Process: &specs.Process{
			Args: args, Cwd: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"},
			Capabilities: &specs.LinuxCapabilities{Bounding: defaultCaps, Effective: defaultCaps, Permitted: defaultCaps},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "noexec", "nodev"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=67108864"}},
		},
		Linux: &specs.Linux{
			Resources: &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.UTSNamespace},
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace},
			},
			MaskedPaths:   []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	profile, err := seccomp.GetDefaultProfile(spec)
	if err != nil {
		panic(err)
	}
	spec.Linux.Seccomp = profile
	return spec
}
