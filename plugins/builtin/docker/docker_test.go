package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/tests/program"
)

// fakeEngine is a small real HTTP server that knows one image; it counts connections.
type fakeEngine struct {
	listener net.Listener
	mu       sync.Mutex
	dials    int
}

func newFakeEngine(t *testing.T) *fakeEngine {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/e.sock")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.51")
		w.Header().Set("OSType", "linux")
		switch {
		case strings.HasSuffix(r.URL.Path, "/_ping"):
		case strings.HasSuffix(r.URL.Path, "/images/json"):
			fmt.Fprint(w, `[{"Id":"sha256:24ecf1f593abaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","RepoTags":["busybox:latest"],"Created":1700000000,"Size":1000}]`)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprint(w, `{"message":"not served"}`)
		}
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return &fakeEngine{listener: l}
}

func (e *fakeEngine) Dial(ctx context.Context) (net.Conn, error) {
	e.mu.Lock()
	e.dials++
	e.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, "unix", e.listener.Addr().String())
}

// shell is the least that a command may ask for: a registry and Exec.
type shell struct{ r *plugins.Registry }

func (s shell) Registry() *plugins.Registry { return s.r }
func (s shell) Source(context.Context, *plugins.Invocation, string, io.Reader) int {
	return 1
}
func (s shell) Exec(ctx context.Context, inv *plugins.Invocation) int {
	c, ok := s.r.Lookup(inv.Args[0])
	if !ok {
		return 127
	}
	return plugins.Execute(ctx, c, inv)
}

type outcome struct {
	out, err string
	status   int
}

func newShell(t testing.TB) shell {
	t.Helper()
	r := plugins.NewRegistry()
	if err := r.Load(context.Background(), New(Options{Version: "test"})); err != nil {
		t.Fatal(err)
	}
	return shell{r}
}

func (s shell) run(ctx context.Context, e plugins.Engine, env []string, words ...string) outcome {
	var out, errs bytes.Buffer
	status := s.Exec(ctx, &plugins.Invocation{
		Args: words, In: strings.NewReader(""), Out: &out, Err: &errs, Dir: "/", Env: env, Engine: e, Shell: s,
	})
	return outcome{out.String(), errs.String(), status}
}

func TestMain(m *testing.M) {
	if env := program.Environ(); len(env) < len(os.Environ()) { // docker/cli reads some variables before main
		panic(syscall.Exec("/proc/self/exe", os.Args, env))
	}
	dir, err := os.MkdirTemp("", "nacre-docker")
	if err != nil {
		panic(err)
	}
	os.Setenv("DOCKER_CONFIG", dir)
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func TestCommands(t *testing.T) {
	s, e := newShell(t), newFakeEngine(t)
	for _, c := range []struct {
		words  string
		out    string // contained
		err    string // contained
		status int
	}{
		{"images", "REPOSITORY   TAG", "", 0},
		{"docker images -q", "24ecf1f593ab\n", "", 0},
		{"nacre image ls -q", "24ecf1f593ab\n", "", 0},
		{"images --format {{.Repository}}", "busybox\n", "", 0},
		{"help images", "Usage:  nacre images [OPTIONS]", "", 0},
		{"images --help", "nacre image ls, nacre image list, nacre images", "", 0},
		{"docker", "", "Management Commands:", 0},
		{"docker --version", "nacre version test", "", 0},
		{"docker imgaes", "", "Did you mean 'nacre images'?", 1},
		{"docker --hots x ps", "", "Did you mean --host?", 125},
		{"image", "", "Usage:  nacre image COMMAND", 0},
		{"image lss", "", "Did you mean 'nacre image ls'?", 1},
		{"ps --filtre x", "", "Did you mean --filter?", 125},
		{"run", "", "nacre: 'nacre run' requires at least 1 argument", 1},
		{"ps", "", "Error response from daemon: not served", 1},
		{"docker --context nosuch images", "", "unable to resolve docker endpoint", 1},
		{"docker --context nosuch context ls", "default", "", 0},
		{"docker -H unix:///nonexistent.sock images", "", "/nonexistent.sock", 1},
		{"docker --tlsverify --tlscacert /nonexistent images", "", "Failed to initialize: ", 1},
		{"docker --tls --tlscert /nonexistent images", "", "Failed to initialize: ", 1},
		{"docker --log-level loud images", "", "unable to parse logging level", 1},
		{"docker -H a -H b images", "", "specify only one -H", 125},
	} {
		got := s.run(t.Context(), e, nil, strings.Fields(c.words)...)
		if !strings.Contains(got.out, c.out) || !strings.Contains(got.err, c.err) || got.status != c.status || (c.err == "") != (got.err == "") {
			t.Errorf("%s: printed %q, %q, status %d; want %q, %q, %d", c.words, got.out, got.err, got.status, c.out, c.err, c.status)
		}
	}
}

// TestEnvironment: the invocation's environment chooses the engine, not the process's.
func TestEnvironment(t *testing.T) {
	s, ours, other := newShell(t), newFakeEngine(t), newFakeEngine(t)
	host := "DOCKER_HOST=unix://" + other.listener.Addr().String()
	if got := s.run(t.Context(), ours, []string{host}, "images", "-q"); got.status != 0 || ours.dials != 0 {
		t.Errorf("DOCKER_HOST: %+v, %d connections to the embedded engine", got, ours.dials)
	}
	if got := s.run(t.Context(), ours, []string{"DOCKER_CONTEXT=nosuch"}, "images"); got.status != 1 {
		t.Errorf("DOCKER_CONTEXT: %+v", got)
	}
	if got := s.run(t.Context(), ours, nil, "images", "-q"); got.status != 0 || ours.dials == 0 {
		t.Errorf("neither: %+v", got)
	}
}

// TestParallel runs many invocations at once: package variables of the
// libraries must not be written by any of them (run with -race).
func TestParallel(t *testing.T) {
	s, e := newShell(t), newFakeEngine(t)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			words := [][]string{{"images", "-q"}, {"images", "--help"}, {"docker", "help", "run"}, {"ps", "--nope"}}[i%4]
			s.run(t.Context(), e, nil, words...)
		})
	}
	wg.Wait()
}

// TestNothingStays: a shell that has run a thousand commands is no bigger.
func TestNothingStays(t *testing.T) {
	s, e := newShell(t), newFakeEngine(t)
	size := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range 20 {
		s.run(t.Context(), e, nil, "images", "-q")
	}
	before, files := size(), openFiles(t)
	for range 200 {
		s.run(t.Context(), e, nil, "images", "-q")
	}
	if grown := int64(size()) - int64(before); grown > 2<<20 {
		t.Errorf("200 commands have left %d KiB behind", grown>>10)
	}
	if now := openFiles(t); now > files+4 {
		t.Errorf("200 commands have left %d descriptors open", now-files)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestOwnInput: a read that a command has left behind ends with the command and
// does not eat what comes next.
func TestOwnInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	in, release := ownInput(r)
	ended := make(chan error, 1)
	go func() {
		_, err := in.Read(make([]byte, 1))
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond)
	release()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the read has got something")
		}
	case <-time.After(time.Minute):
		t.Fatal("the read goes on")
	}
	if _, err := w.WriteString("next"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if n, err := r.Read(b); err != nil || string(b[:n]) != "next" {
		t.Errorf("the shell read %q, %v", b[:n], err)
	}
}

// BenchmarkHelp is what a command costs beside the engine's work.
func BenchmarkHelp(b *testing.B) {
	s := newShell(b)
	for b.Loop() {
		s.run(b.Context(), nil, nil, "images", "--help")
	}
}
