//go:build cgo

package shim_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
	"github.com/nacre-sh/nacre/core/shim/sweep"
)

func (b *box) awaitStatus(want string) *shimapi.State {
	b.t.Helper()
	var state *shimapi.State
	b.until("status "+want, func() bool {
		var err error
		state, err = b.client.State(bg)
		return err == nil && state.Status == want
	})
	return state
}

func (b *box) awaitLog(want string) {
	b.t.Helper()
	b.until(want+" in the log", func() bool { return strings.Contains(b.log("stdout"), want) })
}

func (b *box) eventsSeen() []string {
	b.t.Helper()
	f, err := os.Open(b.start.EventLog)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	var seen []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var m events.Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			b.t.Fatal(err)
		}
		if m.Type != "container" || m.Actor.ID != b.id || m.Actor.Attributes["name"] != "box" || m.Actor.Attributes["a"] != "b" {
			b.t.Errorf("event %+v", m)
		}
		seen = append(seen, strings.TrimSpace(string(m.Action)+" "+m.Actor.Attributes["exitCode"]))
	}
	return seen
}

func TestSignals(t *testing.T) {
	b := newBox(t, "sh", "-c", `trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done`)
	b.launch()
	b.awaitLog("ready")
	if err := b.client.Kill(bg, shimapi.Kill{Signal: int(unix.SIGTERM), Stop: true}); err != nil {
		t.Fatal(err)
	}
	if exit := b.wait(); exit.ExitCode != 7 || !exit.Stopped {
		t.Errorf("exit %+v", exit)
	}
	if got := fmt.Sprint(b.eventsSeen()); got != "[start kill die 7]" {
		t.Errorf("events %s", got)
	}
}

func TestKillIsCode137(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	if err := b.client.Kill(bg, shimapi.Kill{Signal: 99}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("signal 99: %v", err)
	}
	if err := b.client.Kill(bg, shimapi.Kill{Signal: 9, Stop: true}); err != nil {
		t.Fatal(err)
	}
	if exit := b.wait(); exit.ExitCode != 137 {
		t.Errorf("exit %+v", exit)
	}
}

func TestPause(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	if err := b.client.Pause(bg, true); err != nil {
		t.Fatal(err)
	}
	b.awaitStatus(shimapi.StatusPaused)
	if err := b.client.Pause(bg, true); !errdefs.IsConflict(err) {
		t.Errorf("second pause: %v", err)
	}
	if err := b.client.Pause(bg, false); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Pause(bg, true); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Kill(bg, shimapi.Kill{Signal: 9, Stop: true}); err != nil {
		t.Fatal(err)
	}
	if exit := b.wait(); exit.ExitCode != 137 {
		t.Errorf("exit %+v", exit)
	}
}

func TestHold(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	hold := func() func() error {
		t.Helper()
		release, err := b.client.Hold(bg)
		if err != nil {
			t.Fatal(err)
		}
		b.awaitStatus(shimapi.StatusPaused)
		return release
	}
	let := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	release := hold()
	if _, err := b.client.Hold(bg); !errdefs.IsConflict(err) {
		t.Errorf("second hold: %v", err)
	}
	let(release())
	b.awaitStatus(shimapi.StatusRunning)

	// The user's own word stands: what was let go on and paused meanwhile stays paused.
	release = hold()
	let(b.client.Pause(bg, false))
	let(b.client.Pause(bg, true))
	let(release())
	if state, err := b.client.State(bg); err != nil || state.Status != shimapi.StatusPaused {
		t.Errorf("%+v, %v", state, err)
	}
	let(b.client.Pause(bg, false))

	// A client that is killed lets go, too: the kernel closes its connection.
	dir, err := os.Open(b.runDir) // a socket's address must be short
	let(err)
	defer dir.Close()
	conn, err := net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), shimapi.SocketFile))
	let(err)
	_, err = conn.Write([]byte(`{"Hold":{}}` + "\n"))
	let(err)
	b.awaitStatus(shimapi.StatusPaused)
	let(conn.Close())
	b.awaitStatus(shimapi.StatusRunning)

	// The end does not wait for who holds it.
	release = hold()
	let(b.client.Kill(bg, shimapi.Kill{Signal: 9, Stop: true}))
	if exit := b.wait(); exit.ExitCode != 137 {
		t.Errorf("exit %+v", exit)
	}
	_ = release() // the shim may be gone
}

func TestRestartOnFailure(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo run; exit 9")
	b.start.Restart = shimapi.Restart{Name: "on-failure", MaxRetries: 2}
	b.launch()
	exit := b.wait()
	if exit.ExitCode != 9 || exit.RestartCount != 2 {
		t.Errorf("exit %+v", exit)
	}
	if got := b.log("stdout"); got != "run\nrun\nrun\n" {
		t.Errorf("log %q", got)
	}
	if got := fmt.Sprint(b.eventsSeen()); got != "[start die 9 start die 9 start die 9]" {
		t.Errorf("events %s", got)
	}
}

func TestStopEndsRestarts(t *testing.T) {
	b := newBox(t, "false")
	b.start.Restart = shimapi.Restart{Name: "always"}
	b.launch()
	next, err := b.client.WaitNext(bg)
	if err != nil {
		t.Fatal(err)
	}
	if r := <-next; r.Err != nil || r.Exit.ExitCode != 1 {
		t.Fatalf("next exit %+v", r)
	}
	for b.awaitStatus(shimapi.StatusRestarting).RestartCount < 2 {
		time.Sleep(5 * time.Millisecond)
	}
	if err := b.client.Kill(bg, shimapi.Kill{Signal: 15, Stop: true}); err != nil {
		t.Fatal(err)
	}
	if exit := b.wait(); exit.ExitCode != 1 || !exit.Stopped {
		t.Errorf("exit %+v", exit)
	}
	// The end before the pause was told of at once, and is not once more.
	seen := strings.Join(b.eventsSeen(), " ")
	if starts, ends := strings.Count(seen, "start"), strings.Count(seen, "die"); starts < 3 || ends != starts {
		t.Errorf("events %s", seen)
	}
}

func TestStartAgainAfterTheEnd(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo run >> /count; cat /count; sleep 0")
	for range 2 {
		b.start.Spec = testSpec([]string{"sh", "-c", "echo run >> /count; cat /count"})
		b.client = nil
		b.launch()
		if exit := b.wait(); exit.ExitCode != 0 {
			t.Errorf("exit %+v", exit)
		}
	}
	if got := b.log("stdout"); got != "run\nrun\nrun\n" {
		t.Errorf("log %q: the writable layer did not stay", got)
	}
}

func TestAutoRemoveDeletesTheLayer(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo x > /file")
	b.start.AutoRemove, b.start.Rootfs.Volatile = true, true
	b.launch()
	if exit := b.wait(); !exit.AutoRemoved || exit.ExitCode != 0 {
		t.Errorf("exit %+v", exit)
	}
	b.cleanUp()
	if _, err := os.Stat(b.start.Rootfs.Upper); !os.IsNotExist(err) {
		t.Errorf("the writable layer is still there: %v", err)
	}
}

func TestReadOnlyRoot(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo x > /file")
	b.start.Rootfs.ReadOnly = true
	b.launch()
	if exit := b.wait(); exit.ExitCode != 1 || !strings.Contains(b.log("stderr"), "Read-only file system") {
		t.Errorf("exit %+v, %q", exit, b.log("stderr"))
	}
}

func TestManyLayersInALongFolder(t *testing.T) {
	b := newBox(t, "cat", "/top", "/bottom")
	long := filepath.Join(t.TempDir(), strings.Repeat("long,:", 20), strings.Repeat("folder\\", 20))
	var lower []string
	for i := range 100 {
		dir := filepath.Join(long, fmt.Sprint(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, used := range map[string]bool{"top": true, "bottom": i == 99} {
			if used {
				if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "%s %d\n", name, i), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		lower = append(lower, dir)
	}
	b.start.Rootfs.Lower = append(lower, busyboxRoot)
	b.launch()
	b.wait()
	if got := b.log("stdout"); got != "top 0\nbottom 99\n" {
		t.Errorf("got %q, %q", got, b.log("stderr"))
	}
}

func TestOutOfMemory(t *testing.T) {
	limit := int64(16 << 20)
	b := newBox(t, "sh", "-c", "tail /dev/zero")
	b.start.Spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit, Swap: nil}
	b.launch()
	if exit := b.wait(); !exit.OOMKilled || exit.ExitCode != 137 {
		t.Errorf("exit %+v", exit)
	}
	if got := fmt.Sprint(b.eventsSeen()); got != "[start oom die 137]" {
		t.Errorf("events %s", got)
	}
}

// Files are no example: no capability raises their number above fs.nr_open.
func TestLimitAboveTheHosts(t *testing.T) {
	b := newBox(t, "true")
	b.start.Spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_SIGPENDING", Hard: 1 << 40, Soft: 1 << 40}}
	b.launch()
	if exit := b.wait(); exit.ExitCode != 0 {
		t.Errorf("exit %+v\n%s", exit, b.shimLog())
	}
}

func TestUpdate(t *testing.T) {
	before, after, pids := int64(64<<20), int64(128<<20), int64(77)
	b := newBox(t, "sleep", "100")
	b.start.Spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &before}
	b.launch()
	err := b.client.Update(bg, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &after}, Pids: &specs.LinuxPids{Limit: &pids},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory/nacre/" + b.id + "/memory.limit_in_bytes": "134217728\n", "pids/nacre/" + b.id + "/pids.max": "77\n"} {
		if v2 := "/sys/fs/cgroup/cgroup.controllers"; fileExists(v2) {
			file = strings.NewReplacer("memory/nacre", "nacre", "pids/nacre", "nacre", "memory.limit_in_bytes", "memory.max").Replace(file)
		}
		if data, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", file)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", file, data, err)
		}
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A shim that is bound and not started ends with its last client.
func TestBoundShimEndsWithItsClient(t *testing.T) {
	b := newBox(t, "true")
	b.bind()
	conn := b.attach(shimapi.Attach{Stdout: true})
	b.client.Close()
	time.Sleep(50 * time.Millisecond)
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", b.shimPid)); err != nil {
		t.Error("it ended though a client was there")
	}
	conn.Close()
	b.cleanUp() // fails if the shim does not end
}

func TestIdleShimEndsWithItsParent(t *testing.T) {
	idle, err := shimapi.Spawn(bg, shimBinary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idle.NetNS(bg); err != nil {
		t.Fatal(err)
	}
	idle.Release()
	for deadline := time.Now().Add(time.Minute); idle.Alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it still runs")
		}
	}
}

func TestSweepAfterTheShimWasKilled(t *testing.T) {
	b := newBox(t, "sh", "-c", "sleep 100 & echo ready; sleep 100")
	b.launch()
	b.awaitLog("ready")
	state := b.awaitStatus(shimapi.StatusRunning)
	waiting, err := b.client.Wait(bg)
	if err != nil {
		t.Fatal(err)
	}
	if swept, err := sweep.Container(bg, b.runDir); swept || err != nil {
		t.Fatalf("swept a living one: %v, %v", swept, err)
	}
	if err := unix.Kill(b.shimPid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if r := <-waiting; !errdefs.IsUnavailable(r.Err) {
		t.Errorf("waiter got %+v", r)
	}
	ended, err := sweep.All(bg, filepath.Dir(b.runDir))
	if err != nil || len(ended) != 1 || ended[0] != b.id {
		t.Fatalf("swept %v, %v", ended, err)
	}
	if err := unix.Kill(state.Pid, 0); err == nil && !zombie(state.Pid) {
		t.Error("the init still runs")
	}
	if exit := b.exitFile(); exit.ExitCode != 137 || exit.Error == "" || exit.StartedAt.IsZero() {
		t.Errorf("exit %+v", exit)
	}
	if ended, err := sweep.All(bg, filepath.Dir(b.runDir)); err != nil || len(ended) != 0 {
		t.Errorf("second sweep: %v, %v", ended, err)
	}
	b.checkNoLeaks()
	if _, err := shimapi.Dial(bg, b.runDir); !errdefs.IsNotFound(err) {
		t.Errorf("dial: %v", err)
	}
}

func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(data), ") Z ")
}
