//go:build cgo

package shim_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// until waits for a condition, as long as a busy machine may need.
func (b *box) until(what string, holds func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("no %s\n%s", what, b.shimLog())
		}
	}
}

// A guest shares its donor's IPC namespace and /dev/shm, and still does after
// the donor has ended and the guest was restarted by policy.
func TestSharedIPCOutlivesItsDonor(t *testing.T) {
	donor := newBox(t, "sh", "-c", "echo shared >/dev/shm/x; echo ready; sleep 1000")
	donor.launch()
	donor.until("output of the donor", func() bool { return donor.log("stdout") == "ready\n" })
	state, err := donor.client.State(bg)
	if err != nil {
		t.Fatal(err)
	}

	guest := newBox(t, "sh", "-c", "cat /dev/shm/x; test -e /dev/shm/y || { echo >/dev/shm/y; exit 1; }; sleep 1000")
	for i := range guest.start.Spec.Linux.Namespaces {
		if ns := &guest.start.Spec.Linux.Namespaces[i]; ns.Type == specs.IPCNamespace {
			ns.Path = "/proc/" + strconv.Itoa(state.Pid) + "/ns/ipc"
		}
	}
	for i := range guest.start.Spec.Mounts {
		if m := &guest.start.Spec.Mounts[i]; m.Destination == "/dev/shm" {
			*m = specs.Mount{Destination: m.Destination, Type: "bind", Source: filepath.Join(guest.runDir, shimapi.ShmDir), Options: []string{"rbind", "rprivate"}}
		}
	}
	guest.start.Restart = shimapi.Restart{Name: "on-failure"}
	guest.launch()
	if err := donor.client.Kill(bg, shimapi.Kill{Signal: 9, Stop: true}); err != nil {
		t.Fatal(err)
	}
	guest.until("second run", func() bool { return guest.log("stdout") == "shared\nshared\n" })
	if _, err := os.Stat("/dev/shm/y"); err == nil {
		t.Error("the guest wrote into the host's /dev/shm")
	}
}

// external makes Debian's runc run a box.
func external(t *testing.T, args ...string) *box {
	t.Helper()
	b := newBox(t, args...)
	b.start.Runtime = &shimapi.Runtime{Path: "/usr/sbin/runc"}
	return b
}

func TestExternalRuntime(t *testing.T) {
	b := external(t, "sh", "-c", "echo out; echo err >&2; exit 7")
	b.launch()
	if exit := b.wait(); exit.ExitCode != 7 || b.log("stdout") != "out\n" || b.log("stderr") != "err\n" {
		t.Errorf("exit %+v, output %q and %q", exit, b.log("stdout"), b.log("stderr"))
	}
	missing := external(t, "nosuch")
	missing.bind()
	if _, err := missing.client.Start(bg, &missing.start); err == nil || !strings.Contains(err.Error(), "executable file not found") {
		t.Errorf("a missing program: %v", err)
	}
}

// Whoever removes a container may be quicker than the runtime's own deletion,
// and take the runtime's state away before.
func TestExternalRuntimeWhoseStateIsGone(t *testing.T) {
	b := external(t, "sleep", "1000")
	b.launch()
	if err := os.RemoveAll(filepath.Join(b.runDir, "runtime")); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Kill(bg, shimapi.Kill{Signal: 9, Stop: true}); err != nil {
		t.Fatal(err)
	}
	if exit := b.wait(); exit.ExitCode != 137 {
		t.Errorf("exit %+v", exit)
	}
}
