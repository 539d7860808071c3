package process_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/process"
	"github.com/nacre-sh/nacre/tests/program"
)

const valid = `{"SchemaVersion":"0.1.0","Vendor":"Tests","Version":"v9","ShortDescription":"Says hey"}`

// script is an executable that counts how often it is asked for its metadata.
func script(metadata string) string {
	return `#!/bin/sh
case "$1" in
docker-cli-plugin-metadata) echo x >> "$(dirname "$0")/asked"; ` + metadata + `;;
__complete) shift; printf '%s\tall\n' "$*"; printf 'two\n_activeHelp_ hint\n:4\n'; echo "noise" >&2;;
*) echo "args: $*"; echo "dir: $(pwd)"; echo "host: ${DOCKER_HOST%%/*}"; echo "self: $DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"; cat; echo oops >&2; exit 7;;
esac
`
}

// write makes an executable file.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func asked(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "x")
}

// host runs programs as the shell does, as far as these tests need it.
type host struct{}

func (host) Exec(ctx context.Context, inv *plugins.Invocation) int {
	c := exec.CommandContext(ctx, inv.Args[0], inv.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr, c.Dir, c.Env = inv.In, inv.Out, inv.Err, inv.Dir, inv.Env
	if err := c.Run(); err != nil && c.ProcessState == nil {
		fmt.Fprintln(inv.Err, err)
		return 126
	}
	return c.ProcessState.ExitCode()
}
func (host) Source(context.Context, *plugins.Invocation, string, io.Reader) int { return 1 }
func (host) Registry() *plugins.Registry                                        { return plugins.NewRegistry() }

// echo is an engine that sends back what it gets, until the other side has
// closed its half.
type echo struct{ t *testing.T }

func (e echo) Dial(context.Context) (net.Conn, error) {
	l, err := net.Listen("unix", filepath.Join(e.t.TempDir(), "s"))
	if err != nil {
		return nil, err
	}
	go func() {
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		text, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "engine got %s", text)
	}()
	return net.Dial("unix", l.Addr().String())
}

func find(t *testing.T, o process.Options) ([]*process.Plugin, map[string]string) {
	t.Helper()
	found, failed, _ := process.Find(t.Context(), o)
	problems := map[string]string{}
	for _, f := range failed {
		problems[f.Name] = f.Err.Error()
	}
	return found, problems
}

// TestFind asks every kind of executable that may lie in such a folder.
func TestFind(t *testing.T) {
	first, second, slow := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(first, "docker-hey"), script("echo '"+valid+"'"))
	write(t, filepath.Join(second, "docker-hey"), script("exit 1")) // hidden by the first
	write(t, filepath.Join(second, "nacre-own"), script("echo '"+valid+"'"))
	write(t, filepath.Join(second, "docker-own"), script("exit 1")) // hidden by nacre's
	write(t, filepath.Join(second, "docker-garbage"), script("echo hello"))
	write(t, filepath.Join(second, "docker-fails"), script("exit 3"))
	write(t, filepath.Join(second, "docker-novendor"), script(`echo '{"SchemaVersion":"0.1.0"}'`))
	write(t, filepath.Join(second, "docker-noschema"), script(`echo '{"Vendor":"x"}'`))
	write(t, filepath.Join(second, "docker-future"), script(`echo '{"SchemaVersion":"2.0.0","Vendor":"x"}'`))
	write(t, filepath.Join(slow, "docker-hangs"), script("sleep 60 & sleep 60"))
	write(t, filepath.Join(second, "docker-noexec"), "not a program")
	write(t, filepath.Join(second, "docker-Bad_Name"), script("echo '"+valid+"'"))
	write(t, filepath.Join(second, "docker-plain"), script("echo '"+valid+"'"))
	if err := os.Chmod(filepath.Join(second, "docker-plain"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", filepath.Join(second, "docker-dangling")); err != nil {
		t.Fatal(err)
	}
	found, problems := find(t, process.Options{Dirs: []string{first, second, "/nowhere"}, Env: program.Environ(), Limit: time.Minute})
	_, hangs := find(t, process.Options{Dirs: []string{slow}, Env: program.Environ(), Limit: 300 * time.Millisecond})
	problems["hangs"] = hangs["hangs"]
	var names []string
	for _, p := range found {
		names = append(names, p.Name()+" "+filepath.Base(p.Info().Source)+" "+p.Info().Version+" "+p.Info().Short)
	}
	if got, want := strings.Join(names, ", "), "hey docker-hey v9 Says hey, own nacre-own v9 Says hey"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
	for name, want := range map[string]string{
		"garbage":  "invalid metadata: ",
		"fails":    "failed to fetch metadata: exit status 3",
		"novendor": "plugin metadata does not define a vendor",
		"noschema": "plugin SchemaVersion version cannot be empty",
		"future":   `plugin SchemaVersion "2.0.0" is not supported: must be lower than 2.0.0`,
		"hangs":    "it did not tell its metadata within 300ms",
		"noexec":   "failed to fetch metadata: exec format error",
	} {
		if !strings.HasPrefix(problems[name], want) {
			t.Errorf("%s: %q, want %q", name, problems[name], want)
		}
		delete(problems, name)
	}
	if len(problems) > 0 {
		t.Errorf("more problems: %v", problems)
	}
}

// TestCache asks an executable once, and again when the file has changed.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "docker-hey")
	write(t, path, script("echo '"+valid+"'"))
	write(t, filepath.Join(dir, "docker-fails"), "#!/bin/sh\nexit 3\n")
	o := process.Options{Dirs: []string{dir}, Cache: filepath.Join(t.TempDir(), "sub", "plugins.json"), Env: program.Environ()}
	for range 3 {
		if found, problems := find(t, o); len(found) != 1 || len(problems) != 1 {
			t.Fatalf("found %v, problems %v", found, problems)
		}
	}
	if n := asked(t, dir); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if _, _, news := process.Find(t.Context(), o); len(news) != 0 {
		t.Errorf("an old failure is news: %v", news)
	}
	write(t, path, script("echo '"+strings.ReplaceAll(valid, "v9", "v10")+"'"))
	if found, _ := find(t, o); len(found) != 1 || found[0].Info().Version != "v10" {
		t.Errorf("found %v", found)
	}
	if err := os.WriteFile(o.Cache, []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, _ := find(t, o); len(found) != 1 {
		t.Errorf("with a broken cache found %v", found)
	}
	if n := asked(t, dir); n != 3 {
		t.Errorf("asked %d times", n)
	}
	if info, err := os.Stat(o.Cache); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("cache: %v, %v", info.Mode(), err)
	}
}

func loaded(t *testing.T, text string) *plugins.Registry {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "docker-hey"), text)
	found, problems := find(t, process.Options{Dirs: []string{dir}, Env: program.Environ(), Self: "/usr/bin/nacre"})
	if len(found) != 1 {
		t.Fatal(problems)
	}
	r := plugins.NewRegistry()
	if err := r.Load(t.Context(), found[0]); err != nil {
		t.Fatal(err)
	}
	return r
}

func invocation(t *testing.T, in string, args ...string) (*plugins.Invocation, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	return &plugins.Invocation{
		Args: args, In: strings.NewReader(in), Out: &out, Err: &errs, Dir: t.TempDir(), Env: program.Environ(), Engine: echo{t}, Shell: host{},
	}, &out, &errs
}

// TestRun passes everything on: arguments as they are, streams, folder,
// environment, status.
func TestRun(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	c, _ := loaded(t, script("echo '"+valid+"'")).Lookup("hey")
	inv, out, errs := invocation(t, "input\n", "hey", "-f", "a b", "--help")
	inv.Globals = []string{"--debug"}
	status := plugins.Execute(t.Context(), c, inv)
	want := "args: --debug hey -f a b --help\ndir: " + inv.Dir + "\nhost: unix:\nself: /usr/bin/nacre\ninput\n"
	if status != 7 || out.String() != want || errs.String() != "oops\n" {
		t.Errorf("status %d, output %q, errors %q; want output %q", status, out, errs, want)
	}
}

// TestOtherEngine leaves an engine that the user has named to the executable.
func TestOtherEngine(t *testing.T) {
	c, _ := loaded(t, script("echo '"+valid+"'")).Lookup("hey")
	inv, out, _ := invocation(t, "", "hey")
	inv.Env = append(inv.Env, "DOCKER_HOST=tcp://example")
	plugins.Execute(t.Context(), c, inv)
	if !strings.Contains(out.String(), "host: tcp:\n") {
		t.Errorf("output %q", out)
	}
}

// TestEngine reaches the invocation's engine from the executable, with both
// halves of the connection, and leaves no socket behind.
func TestEngine(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	program := build(t)
	c, _ := loaded(t, "#!/bin/sh\ncase $1 in docker-cli*) echo '"+valid+"';; *) exec "+program+";; esac\n").Lookup("hey")
	inv, out, errs := invocation(t, "", "hey")
	if status := plugins.Execute(t.Context(), c, inv); status != 0 || out.String() != "engine got hello; socket 0700" {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// build compiles an executable that talks to the engine.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := `package main

import ("fmt"; "io"; "net"; "os"; "path/filepath"; "strings")

func main() {
	path := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	c, err := net.Dial("unix", path)
	if err != nil { fmt.Println(err); os.Exit(1) }
	io.WriteString(c, "hello")
	c.(*net.UnixConn).CloseWrite()
	io.Copy(os.Stdout, c)
	info, _ := os.Stat(filepath.Dir(path))
	fmt.Printf("; socket %#o", info.Mode().Perm())
}
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	if out, err := exec.Command("go", "build", "-o", program, filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// TestComplete asks the executable as the prompt does.
func TestComplete(t *testing.T) {
	c, _ := loaded(t, script("echo '"+valid+"'")).Lookup("hey")
	inv, _, _ := invocation(t, "", "hey")
	root, err := c.Build(inv)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"__complete", "hey", "up", "--fl"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "hey up --fl\tall\ntwo\n:4\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
