package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

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
