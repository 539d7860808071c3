// Package crash kills nacre and its shims at every moment of run, start and rm,
// and demands that the next command finds a consistent store: what is listed can
// be removed, new containers run, and nothing is left at the end.
package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
)

// engine is one nacre with roots of its own.
type engine struct {
	t     *testing.T
	nacre string
	root  string
	env   []string
	image string
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	bin, clean, err := program.Build()
	must(t, err)
	t.Cleanup(func() { must(t, clean()) })
	root, err := os.MkdirTemp("", "nacre-c") // short: sockets lie below it
	must(t, err)
	reg, err := registry.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() { reg.Close() })
	img, err := registry.Busybox(runtime.GOARCH)
	must(t, err)
	_, err = registry.Push(t.Context(), reg.Addr, "library/busybox", "latest", img)
	must(t, err)
	e := &engine{
		t: t, nacre: filepath.Join(bin, "nacre"), root: root, image: reg.Addr + "/library/busybox",
		env: program.Environ("NACRE_DATA_ROOT="+filepath.Join(root, "d"), "NACRE_EXEC_ROOT="+filepath.Join(root, "r")),
	}
	t.Cleanup(e.leave)
	e.must("pull", "-q", e.image)
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (e *engine) command(args ...string) *exec.Cmd {
	cmd := exec.Command(e.nacre, args...)
	cmd.Env = e.env
	return cmd
}

// must runs a command that has to succeed and returns its output.
func (e *engine) must(args ...string) string {
	e.t.Helper()
	var stderr bytes.Buffer
	cmd := e.command(args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("nacre %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// eventually repeats a command until it prints what is wanted.
func (e *engine) eventually(want string, args ...string) {
	e.t.Helper()
	var got string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = e.must(args...); got == want {
			return
		}
	}
	e.t.Fatalf("nacre %s: %q, want %q", strings.Join(args, " "), got, want)
}

// consistent says whether the store works: everything listed can be inspected
// and removed, and a new container runs.
func (e *engine) consistent(after string) {
	e.t.Helper()
	if out := e.must("run", "--rm", e.image, "echo", "works"); out != "works" {
		e.t.Fatalf("%s: a new container printed %q", after, out)
	}
	for _, id := range strings.Fields(e.must("ps", "-aq")) {
		e.mustWhileListed(id, "inspect", "-f", "{{.State.Status}}", id)
		e.mustWhileListed(id, "rm", "-f", id)
	}
	e.eventually("", "ps", "-aq")
}

// nothing is what most commands need before them.
func nothing() {}

// mustWhileListed runs a command on a container. It may fail only if the
// container is gone: one with --rm removes itself at any moment.
func (e *engine) mustWhileListed(id string, args ...string) {
	e.t.Helper()
	var out []byte
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out, err = e.command(args...).CombinedOutput()
		if err == nil || !slices.Contains(strings.Fields(e.must("ps", "-aq")), id) {
			return
		}
		if args[0] == "inspect" {
			break // what is listed can be looked at
		}
	}
	e.t.Fatalf("nacre %s: %v\n%s", strings.Join(args, " "), err, out)
}

// leave takes the engine away and demands that nothing of it is left.
func (e *engine) leave() {
	e.must("system", "reset", "--force")
	folders, err := os.ReadDir(filepath.Join(e.root, "d", "containers"))
	if err != nil || len(folders) > 0 {
		e.t.Errorf("folders of containers left: %v %v", folders, err)
	}
	for _, pid := range processesOf(e.root) {
		e.t.Errorf("process left: %s", pid)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(e.t, err)
	if strings.Contains(string(mounts), e.root) {
		e.t.Errorf("mounts left below %s", e.root)
	}
	must(e.t, os.RemoveAll(e.root))
}

// processesOf finds processes that hold files below root open or name it, once
// those that are just ending have had their time.
func processesOf(root string) (found []string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		found = nil
		links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
		seen := map[string]bool{}
		for _, link := range links {
			target, _ := os.Readlink(link)
			if pid := strings.Split(link, "/")[2]; strings.HasPrefix(target, root+"/") && !seen[pid] {
				seen[pid] = true
				name, _ := os.ReadFile("/proc/" + pid + "/comm")
				found = append(found, pid+" "+strings.TrimSpace(string(name)))
			}
		}
		if len(found) == 0 {
			return nil
		}
	}
	return found
}

func TestNacreKilledInRun(t *testing.T) {
	e := newEngine(t)
	for _, line := range [][]string{
		{"run", "-d", "-p", "127.0.0.1::80", "-v", "data:/data", e.image, "sleep", "1000"},
		{"run", "--rm", e.image, "true"},
	} {
		e.killedInSteps(20, nothing, line, func(string) {})
	}
	e.must("volume", "rm", "data")
}

// killedInSteps kills a command before about n of its steps, each time with
// what prepare makes, and demands a consistent store after check.
func (e *engine) killedInSteps(n int, prepare func(), line []string, check func(after string)) {
	e.t.Helper()
	e.steps(prepare, line...) // the first of its kind makes what the others find
	e.consistent(strings.Join(line, " "))
	steps := e.steps(prepare, line...)
	e.consistent(strings.Join(line, " "))
	killed := 0
	for _, step := range moments(n, steps) {
		prepare()
		if e.killAt(step, line...) {
			killed++
		}
		after := fmt.Sprintf("%s killed before step %d of %d", strings.Join(line, " "), step, steps)
		check(after)
		e.consistent(after)
	}
	e.t.Logf("%s: killed %d times in %d steps", strings.Join(line, " "), killed, steps)
	if *every == 0 && killed < n/2 {
		e.t.Errorf("%s was killed %d times only", strings.Join(line, " "), killed)
	}
}

func TestNacreKilledInRemove(t *testing.T) {
	e := newEngine(t)
	create := func() {
		e.must("run", "-d", "--name", "victim", "-v", "data:/data", "-p", "127.0.0.1::80", e.image, "sleep", "1000")
	}
	e.killedInSteps(20, create, []string{"rm", "-f", "-v", "victim"}, func(string) {})
	e.must("volume", "rm", "data")
}

func TestNacreKilledInStop(t *testing.T) {
	e := newEngine(t)
	create := func() { e.must("run", "-d", "--name", "victim", e.image, "sleep", "1000") }
	e.killedInSteps(12, create, []string{"stop", "-t", "0", "victim"}, func(after string) {
		if status := e.must("inspect", "-f", "{{.State.Status}}", "victim"); status != "running" && status != "exited" {
			t.Errorf("%s: status %q", after, status)
		}
	})
}

// A container whose shim was killed has exited with 137, and can be started again.
func TestShimKilled(t *testing.T) {
	e := newEngine(t)
	id := e.must("run", "-d", "--name", "victim", e.image, "sleep", "1000")
	shim, initial := e.pids(id)
	must(t, syscall.Kill(shim, syscall.SIGKILL))
	// The kernel takes its time to end a process with namespaces.
	e.eventually("exited 137", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "victim")
	for deadline := time.Now().Add(time.Minute); alive(initial); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the container's process %d lives on without its shim", initial)
		}
	}
	e.must("start", "victim")
	if got := e.must("exec", "victim", "echo", "again"); got != "again" {
		t.Errorf("exec after the second start: %q", got)
	}
	e.consistent("shim killed")
}

// A container outlives the nacre that started it and everything around it, and
// --rm is kept although nobody waits.
func TestContainerOutlivesNacre(t *testing.T) {
	e := newEngine(t)
	cmd := e.command("run", "--rm", "--name", "survivor", e.image, "sleep", "1000")
	must(t, cmd.Start())
	e.eventually("survivor", "ps", "--format", "{{.Names}}")
	must(t, cmd.Process.Kill())
	cmd.Wait()
	if got := e.must("inspect", "-f", "{{.State.Status}}", "survivor"); got != "running" {
		t.Fatalf("after nacre's death: %q, want running", got)
	}
	e.must("kill", "survivor")
	e.eventually("", "ps", "-aq") // it was to remove itself
	e.consistent("nacre killed")
}

// A shim's state file that was torn by a crash of the machine is no obstacle.
func TestTornStateFile(t *testing.T) {
	e := newEngine(t)
	id := e.must("run", "-d", "--name", "victim", e.image, "sleep", "1000")
	file := filepath.Join(e.root, "r", "containers", id, "state.json")
	content, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, content[:len(content)/2], 0o600))
	e.must("ps", "-a")
	e.must("rm", "-f", "victim")
	e.consistent("state file torn")
}

func (e *engine) pids(id string) (shim, initial int) {
	e.t.Helper()
	content, err := os.ReadFile(filepath.Join(e.root, "r", "containers", id, "state.json"))
	must(e.t, err)
	var state struct{ ShimPid, Pid int }
	must(e.t, json.Unmarshal(content, &state))
	if state.ShimPid == 0 || state.Pid == 0 {
		e.t.Fatalf("no process ids in %s", content)
	}
	return state.ShimPid, state.Pid
}

// alive tells a living process from one that has only not been reaped.
func alive(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(status), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// A removal that dies has happened or has not; what it took comes back, and
// nothing is in use for ever.
func TestNacreKilledInRemovalAndUndo(t *testing.T) {
	e := newEngine(t)
	create := func() {
		e.must("create", "--name", "victim", "-v", "data:/data", e.image, "true")
		e.must("volume", "create", "spare")
	}
	removals := [][]string{{"rm", "victim"}, {"volume", "rm", "spare"}, {"rmi", "-f", e.image}, {"undo"}}
	create()
	most := 0
	for _, args := range removals {
		most = max(most, e.steps(nothing, args...))
	}
	for e.command("undo").Run() == nil { // all that was removed
	}
	e.must("rm", "victim")
	e.must("volume", "rm", "spare", "data")
	e.must("trash", "empty")
	for _, step := range moments(6, most) {
		create()
		for _, args := range removals {
			e.killAt(step, args...)
		}
		after := fmt.Sprintf("removals killed before step %d", step)
		for range 4 { // whatever was removed
			if e.command("undo").Run() != nil {
				break
			}
		}
		e.must("image", "inspect", e.image)
		if got := e.must("run", "--rm", "--pull", "never", "-v", "data:/data", e.image, "echo", "works"); got != "works" {
			t.Fatalf("%s: a new container printed %q", after, got)
		}
		e.must("rm", "victim")
		e.must("volume", "rm", "spare", "data")
		e.must("trash", "empty")
		e.consistent(after)
	}
}

// The collector may die at any moment; the next one goes on.
func TestCollectorKilled(t *testing.T) {
	e := newEngine(t)
	e.must("trash", "set", "--keep", "0")
	steps := e.steps(func() { e.must("rmi", "-f", e.image) }, "system", "collect")
	e.must("pull", "-q", e.image)
	for _, step := range moments(5, steps) {
		e.must("rmi", "-f", e.image)
		e.killAt(step, "system", "collect")
		e.must("pull", "-q", e.image)
		e.consistent(fmt.Sprintf("collector killed before step %d of %d", step, steps))
	}
}
