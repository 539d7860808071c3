//go:build cgo

package shim_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

func execOf(id string, args ...string) shimapi.Exec {
	return shimapi.Exec{
		ID:      id,
		Process: &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"}, Capabilities: testSpec(nil).Process.Capabilities},
		Streams: shimapi.Attach{Stdout: true, Stderr: true},
	}
}

func (b *box) execState(id string) shimapi.ExecState {
	b.t.Helper()
	state, err := b.client.State(bg)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, x := range state.Execs {
		if x.ID == id {
			return x
		}
	}
	b.t.Fatalf("no exec %s in %+v", id, state.Execs)
	return shimapi.ExecState{}
}

func TestExec(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	req := execOf("one", "sh", "-c", "cat; echo err >&2; exit 4")
	req.Streams.Stdin = true
	conn, pid, err := b.client.Exec(bg, req)
	if err != nil || pid <= 0 {
		t.Fatal(pid, err)
	}
	write(t, conn, "typed\n")
	_ = conn.CloseWrite()
	if out, errText := frames(t, conn); out != "typed\n" || errText != "err\n" {
		t.Errorf("got %q and %q", out, errText)
	}
	// The end of the stream means that the exit code is known.
	if x := b.execState("one"); x.Running || x.ExitCode == nil || *x.ExitCode != 4 || x.Pid != pid {
		t.Errorf("state %+v", x)
	}
	if _, _, err := b.client.Exec(bg, req); !errdefs.IsConflict(err) {
		t.Errorf("the same id again: %v", err)
	}
}

func TestExecTerminal(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	req := execOf("tty", "sh", "-c", "echo ready; read x; stty size")
	req.Process.Terminal = true
	req.Process.ConsoleSize = &specs.Box{Height: 20, Width: 70}
	req.Streams.Stdin = true
	conn, _, err := b.client.Exec(bg, req)
	if err != nil {
		t.Fatal(err)
	}
	readUntil(t, conn, "ready\r\n")
	if err := b.client.ExecResize(bg, "tty", 21, 71); err != nil {
		t.Fatal(err)
	}
	write(t, conn, "\n")
	if got := readAll(t, conn); !strings.HasSuffix(got, "21 71\r\n") {
		t.Errorf("got %q", got)
	}
	if err := b.client.ExecResize(bg, "nosuch", 1, 1); !errdefs.IsNotFound(err) {
		t.Errorf("resize of an unknown exec: %v", err)
	}
}

func TestExecDetached(t *testing.T) {
	b := newBox(t, "sh", "-c", "while [ ! -e /done ]; do sleep 0.05; done; cat /done")
	b.launch()
	req := execOf("bg", "sh", "-c", "echo x > /part; busybox mv /part /done; exit 2")
	req.Detach = true
	if _, _, err := b.client.Exec(bg, req); err != nil {
		t.Fatal(err)
	}
	exit := b.wait()
	if got := b.log("stdout"); got != "x\n" {
		t.Errorf("got %q", got)
	}
	if len(exit.Execs) != 1 || exit.Execs[0].ExitCode == nil {
		t.Errorf("the exit keeps no execs: %+v", exit)
	}
}

func TestExecCannotRun(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	_, _, err := b.client.Exec(bg, execOf("bad", "nosuch"))
	var e *shimapi.Error
	if !errors.As(err, &e) || e.Code != 127 ||
		e.Message != `OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown` {
		t.Errorf("got %v", err)
	}
	if x := b.execState("bad"); x.Running || x.ExitCode == nil || *x.ExitCode != 127 {
		t.Errorf("state %+v", x)
	}
}

func TestExecEndsWithTheContainer(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	conn, _, err := b.client.Exec(bg, execOf("long", "sleep", "100"))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if err := b.client.Kill(bg, shimapi.Kill{Signal: 9, Stop: true}); err != nil {
		t.Fatal(err)
	}
	readAll(t, conn)
	exit := b.wait()
	if len(exit.Execs) != 1 || exit.Execs[0].ExitCode == nil || *exit.Execs[0].ExitCode != 137 {
		t.Errorf("execs %+v", exit.Execs)
	}
	if _, _, err := b.client.Exec(bg, execOf("late", "true")); err == nil {
		t.Error("exec in an ended container")
	}
}

func TestExecRefusedWhilePaused(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	if err := b.client.Pause(bg, true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.client.Exec(bg, execOf("x", "true")); !errdefs.IsConflict(err) {
		t.Errorf("got %v", err)
	}
}
