package engine

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/nacre-sh/nacre/core/store"
)

func open(t testing.TB, opts Options) *Engine {
	t.Helper()
	paths, err := store.NewPaths(filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), paths, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return e
}

// memoryClient is docker's client library on the connection in memory.
func memoryClient(t testing.TB, e *Engine) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost("unix:///memory"), client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return e.Dial(ctx)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDockersClientInMemory(t *testing.T) {
	c := memoryClient(t, open(t, Options{Version: "1.2.3"}))
	ping, err := c.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		t.Fatal(err)
	}
	if ping.APIVersion != client.MaxAPIVersion || ping.OSType != "linux" || ping.BuilderVersion != "1" || ping.SwarmStatus == nil || ping.SwarmStatus.NodeState != "inactive" {
		t.Errorf("ping: %+v", ping)
	}
	version, err := c.ServerVersion(t.Context(), client.ServerVersionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if version.Version != "1.2.3" || len(version.Components) == 0 || version.Components[0].Details["ApiVersion"] != client.MaxAPIVersion {
		t.Errorf("version: %+v", version)
	}
	first, err := c.Info(t.Context(), client.InfoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Info(t.Context(), client.InfoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if first.Info.ID == "" || first.Info.ID != second.Info.ID || first.Info.NCPU == 0 || first.Info.MemTotal == 0 || first.Info.KernelVersion == "" {
		t.Errorf("info: %+v", first.Info)
	}
}

func TestServeOnASocket(t *testing.T) {
	e := open(t, Options{})
	socket := filepath.Join(t.TempDir(), "s", "nacre.sock")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Serve(ctx, []string{"unix://" + socket}) }()
	conn := dialSoon(t, socket)
	conn.Close()

	if info, err := os.Stat(socket); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("the socket's mode: %v, %v", info, err)
	}
	if err := open(t, Options{}).Serve(t.Context(), []string{"unix://" + socket}); !errdefs.IsUnavailable(err) {
		t.Errorf("a second engine on a live socket: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Error("the socket is left behind:", err)
	}
}

func TestServeReplacesOnlyADeadSocket(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	e := open(t, Options{})
	go func() { ended <- e.Serve(ctx, []string{"unix://" + dead}) }()
	dialSoon(t, dead).Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}

	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, Options{}).Serve(t.Context(), []string{"unix://" + precious}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a file in the way: %v", err)
	}
	if raw, _ := os.ReadFile(precious); string(raw) != "data" {
		t.Error("the file in the way is gone")
	}
}

func TestServeRefusesOtherHosts(t *testing.T) {
	e := open(t, Options{})
	for _, host := range []string{"tcp://127.0.0.1:2375", "npipe://x", "unix://", "/run/x.sock", "", "unix:///" + strings.Repeat("x", 200)} {
		if err := e.Serve(t.Context(), []string{host}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestOpenExplains(t *testing.T) {
	dir := t.TempDir()
	paths := store.Paths{Data: dir, Exec: filepath.Join(dir, "run")}
	if err := os.WriteFile(paths.StateDB(), []byte(strings.Repeat("this is no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), paths, Options{}); !errdefs.IsDataLoss(err) || !strings.Contains(err.Error(), "\nhint: ") {
		t.Errorf("a damaged state file: %v", err)
	}
}

func TestCloseEndsStreams(t *testing.T) {
	e := open(t, Options{})
	c := memoryClient(t, e)
	stream := c.Events(t.Context(), client.EventsListOptions{})
	done := make(chan struct{})
	go func() {
		<-stream.Err
		close(done)
	}()
	closed := make(chan error, 1)
	go func() { closed <- e.Close() }()
	for range 2 {
		select {
		case <-done:
			done = nil
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a stream keeps the engine open, or outlives it")
		}
	}
}

func dialSoon(t *testing.T, socket string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// BenchmarkPing is what every request costs on the connection in memory.
func BenchmarkPing(b *testing.B) {
	c := memoryClient(b, open(b, Options{}))
	for b.Loop() {
		if _, err := c.Ping(b.Context(), client.PingOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is what every one-shot command pays.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	paths := store.Paths{Data: filepath.Join(dir, "data"), Exec: filepath.Join(dir, "run")}
	for b.Loop() {
		e, err := Open(b.Context(), paths, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
