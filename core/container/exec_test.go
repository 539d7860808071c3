package container

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

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
