//go:build cgo

package shim_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// held starts a box whose command tells what is in a file that the engine
// writes, and returns when its init waits for the release.
func held(t *testing.T, prepare func(*box)) (b *box, started chan error, leave func()) {
	t.Helper()
	b = newBox(t, "cat", "/etc/hosts")
	hosts := filepath.Join(b.stateDir, "hosts")
	b.start.Held = true
	b.start.Files = []shimapi.File{{Path: hosts, Mode: 0o644}}
	b.start.Spec.Mounts = append(b.start.Spec.Mounts, specs.Mount{Destination: "/etc/hosts", Type: "bind", Source: hosts, Options: []string{"rbind", "rprivate"}})
	prepare(b)
	b.bind()
	ctx, leave := context.WithCancel(bg)
	t.Cleanup(leave)
	started = make(chan error, 1)
	go func() {
		_, err := b.client.Start(ctx, &b.start)
		started <- err
	}()
	deadline := time.Now().Add(time.Minute)
	for !b.hasProcess() {
		if time.Now().After(deadline) {
			t.Fatalf("the init was never made\n%s", b.shimLog())
		}
		time.Sleep(time.Millisecond)
	}
	return b, started, leave
}

// hasProcess tells whether something runs in the box's cgroup, version 1 or 2.
func (b *box) hasProcess() bool {
	files, _ := filepath.Glob("/sys/fs/cgroup/*/nacre/" + b.id + "/cgroup.procs")
	for _, file := range append(files, "/sys/fs/cgroup/nacre/"+b.id+"/cgroup.procs") {
		if content, err := os.ReadFile(file); err == nil && len(content) > 0 {
			return true
		}
	}
	return false
}

func (b *box) hosts(content string) []shimapi.File {
	return []shimapi.File{{Path: filepath.Join(b.stateDir, "hosts"), Content: []byte(content), Mode: 0o644}}
}

func asItIs(*box) {}

func withRunc(b *box) { b.start.Runtime = &shimapi.Runtime{Path: "/usr/sbin/runc"} }

func TestHeldUntilRelease(t *testing.T) {
	for name, prepare := range map[string]func(*box){"libcontainer": asItIs, "external": withRunc} {
		t.Run(name, func(t *testing.T) {
			b, started, _ := held(t, prepare)
			if state, err := b.client.State(bg); err != nil || state.Status != shimapi.StatusBound {
				t.Errorf("held, it is %+v, %v", state, err)
			}
			if err := b.client.Release(bg, shimapi.Release{Files: b.hosts("known now\n")}); err != nil {
				t.Fatal(err)
			}
			if err := <-started; err != nil {
				t.Fatal(err)
			}
			if exit := b.wait(); exit.ExitCode != 0 || b.log("stdout") != "known now\n" {
				t.Errorf("exit %+v, output %q", exit, b.log("stdout"))
			}
		})
	}
}

func TestHeldAndCancelled(t *testing.T) {
	for name, prepare := range map[string]func(*box){"libcontainer": asItIs, "external": withRunc} {
		t.Run(name, func(t *testing.T) {
			b, started, _ := held(t, prepare)
			if err := b.client.Release(bg, shimapi.Release{Cancel: "no address is left"}); err != nil {
				t.Fatal(err)
			}
			if err := <-started; err == nil || !strings.Contains(err.Error(), "no address is left") {
				t.Errorf("the start says %v", err)
			}
			b.checkNeverRan()
		})
	}
}

// Whoever starts a container may be killed before its network is there.
func TestHeldByNobody(t *testing.T) {
	b, started, leave := held(t, asItIs)
	leave()
	if err := <-started; err == nil {
		t.Error("the start succeeded")
	}
	b.checkNeverRan()
}

func (b *box) checkNeverRan() {
	b.t.Helper()
	b.until("end of the shim", func() bool {
		_, err := os.Stat(filepath.Join(b.runDir, shimapi.SocketFile))
		return os.IsNotExist(err)
	})
	if exit := b.exitFile(); exit.ExitCode == 0 || exit.Error == "" || !exit.StartedAt.IsZero() {
		b.t.Errorf("exit %+v", exit)
	}
	if out := b.log("stdout"); out != "" {
		b.t.Errorf("the command ran: %q", out)
	}
}

// A command that cannot run fails at once, without a release.
func TestHeldAndNotFound(t *testing.T) {
	b := newBox(t, "nosuch")
	b.start.Held = true
	b.bind()
	if _, err := b.client.Start(bg, &b.start); err == nil || !strings.Contains(err.Error(), "executable file not found") {
		t.Errorf("the start says %v", err)
	}
	if err := b.client.Release(bg, shimapi.Release{}); err == nil {
		t.Error("what failed was released")
	}
}

// A restart by policy does not wait for anybody.
func TestHeldOnlyOnce(t *testing.T) {
	b, started, _ := held(t, func(b *box) {
		b.start.Spec.Process.Args = []string{"sh", "-c", "echo ran; exit 1"}
		b.start.Restart = shimapi.Restart{Name: "on-failure", MaxRetries: 1}
	})
	if err := b.client.Release(bg, shimapi.Release{}); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if exit := b.wait(); exit.RestartCount != 1 || b.log("stdout") != "ran\nran\n" {
		t.Errorf("exit %+v, output %q", exit, b.log("stdout"))
	}
}
