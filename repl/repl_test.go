package repl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	programs "github.com/nacre-sh/nacre/tests/program"
)

// testPlugin provides commands with the names that matter to dispatch. Each
// prints "<name>: args", except cat (copies its input), fail (exits 7), stuck
// (waits for its context) and env (prints a variable and the folder).
type testPlugin struct {
	deaf chan struct{} // closed when deaf or stuck runs; may be nil
}

func (testPlugin) Name() string { return "test" }
func (testPlugin) Close() error { return nil }

func (p testPlugin) Register(_ context.Context, r *plugins.Registry) error {
	for _, name := range []string{"ps", "exec", "export", "kill", "wait", "history", "logout", "cat", "fail", "stuck", "where", "crash", "deaf"} {
		if err := r.Add(plugins.Command{Name: name, Build: p.build}); err != nil {
			return err
		}
	}
	return nil
}

func (p testPlugin) build(inv *plugins.Invocation) (*cobra.Command, error) {
	root := plugins.NewRoot()
	root.AddCommand(&cobra.Command{
		Use: inv.Args[0], DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch inv.Args[0] {
			case "cat":
				_, err := io.Copy(inv.Out, inv.In)
				return err
			case "fail":
				return &plugins.StatusError{Status: 7, Err: fmt.Errorf("failed as asked")}
			case "stuck":
				if p.deaf != nil {
					close(p.deaf)
				}
				<-cmd.Context().Done()
				return cmd.Context().Err()
			case "where":
				wd, _ := os.Getwd()
				fmt.Fprintln(inv.Out, inv.Dir, wd == inv.Dir, slices.Contains(inv.Env, "COLOUR=red"))
				return nil
			case "deaf":
				if p.deaf != nil {
					close(p.deaf)
				}
				select {}
			case "crash":
				panic("on purpose")
			}
			fmt.Fprintf(inv.Out, "%s: %s\n", inv.Args[0], strings.Join(args, " "))
			return nil
		},
	})
	return root, nil
}

// output takes what the parts of a script print at the same time.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// run runs a script and returns what it prints and its exit status.
func run(t *testing.T, script string, params ...string) (out, errs string, status int) {
	t.Helper()
	t.Chdir(".") // and back again at the end
	r := plugins.NewRegistry()
	if err := r.Load(t.Context(), testPlugin{}); err != nil {
		t.Fatal(err)
	}
	var o, e output
	dir := t.TempDir()
	s, err := New(Options{
		Registry: r, Out: &o, Err: &e, Dir: dir, Chdir: os.Chdir,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir},
	})
	if err != nil {
		t.Fatal(err)
	}
	status = s.RunText(t.Context(), "test", params, strings.NewReader(script))
	return o.String(), e.String(), status
}

func TestDispatch(t *testing.T) {
	for _, c := range []struct {
		name, script, out string
		status            int
	}{
		{"a command of ours wins over the host's", "ps -aq", "ps: -aq\n", 0},
		{"command reaches the host's", "command cat /dev/null; command echo hi", "hi\n", 0},
		{"! reaches the host's", "!echo hi", "hi\n", 0},
		{"a path reaches the host's", "/bin/echo hi", "hi\n", 0},
		{"other words are the host's", "printf '%s\\n' b a | sort", "a\nb\n", 0},
		{"shell builtins that containers have", "exec web ls; kill web; wait web; history img; logout; kill", "exec: web ls\nkill: web\nwait: web\nhistory: img\nlogout: \nkill: \n", 0},
		{"wait for the background stays the shell's", "/bin/true & wait; wait $!; echo $?", "0\n", 0},
		{"exec with only a redirection stays the shell's", "exec 2>/dev/null; nosuchword; echo on", "on\n", 0},
		{"exec of a path stays the shell's", "exec /bin/echo gone; echo never", "gone\n", 0},
		{"export with a value stays the shell's", "export A=1 B=2; /bin/sh -c 'echo $A$B'", "12\n", 0},
		{"export of a variable stays the shell's", "A=3; export A; /bin/sh -c 'echo $A'", "3\n", 0},
		{"export of a container", "export web; export -o x.tar my-web; id=ab12; export $id", "export: web\nexport: -o x.tar my-web\nexport: ab12\n", 0},
		{"export of a container to a file", "web=1; export web > f; /bin/cat f", "export: web\n", 0},
		{"export in a function and a substitution", "f() { export $1; }; x=$(f web); echo \"[$x]\"", "[export: web]\n", 0},
		{"pipes between both kinds", "ps a b | tr a-z A-Z | cat", "PS: A B\n", 0},
		{"substitution", "ps $(ps x | wc -w)", "ps: 2\n", 0},
		{"status of a command of ours", "fail || echo $?", "7\n", 0},
		{"an error does not stop the script", "fail; ps on", "ps: on\n", 0},
		{"the last command's status is the script's", "ps; fail", "ps: \n", 7},
		{"set -e stops", "set -e; fail; ps never", "", 7},
		{"exit", "exit 5; ps never", "", 5},
		{"unknown word", "nosuchword || echo $?", "127\n", 0},
		{"not executable", "/etc/passwd || echo $?; / || echo $?; /no/such || echo $?", "126\n126\n127\n", 0},
		{"a script without #!", "echo 'echo $0 $1; ps in' > s; chmod +x s; ./s one", "./s one\nps: in\n", 0},
		{"killed by a signal", "/bin/sh -c 'kill -TERM $$' || echo $?", "143\n", 0},
		{"loops, functions, arithmetic", "f() { for i in 1 2; do ps $((i+$1)); done; }; f 3", "ps: 4\nps: 5\n", 0},
		{"exit trap", "trap 'echo bye' EXIT; ps", "ps: \nbye\n", 0},
		{"a crash is an error", "crash || echo $?", "2\n", 0},
		{"variables reach commands, cd moves them", "export COLOUR=red; cd /; where", "/ true true\n", 0},
		{"background", "/bin/sh -c 'sleep 0.05; echo late' & echo early; wait", "early\nlate\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, status := run(t, c.script)
			if out != c.out || status != c.status {
				t.Errorf("%s\nprinted %q (stderr %q), status %d; want %q, %d", c.script, out, errs, status, c.out, c.status)
			}
		})
	}
}

func TestMessages(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"hsitory x", "nacre: hsitory: command not found\nDid you mean 'history'?\n"},
		{"fail", "failed as asked\n"},
		{"ps (", "nacre: test:1: syntax error: `foo(` must be followed by `)`\n  ps (\n  ^\n"},
		{"ps; nosuch 2>/dev/null\nif true; then", "nacre: test:2: syntax error: `then` must be followed by a statement list\n  if true; then\n           ^\n"},
	} {
		if _, errs, _ := run(t, c.script); errs != c.want {
			t.Errorf("%s: printed %q, want %q", c.script, errs, c.want)
		}
	}
}

func TestParameters(t *testing.T) {
	if out, _, _ := run(t, `echo "$1" "$#" "$@"`, "a b", "-e"); out != "a b 2 a b -e\n" {
		t.Errorf("got %q", out)
	}
}

// TestLines: a script on standard input, whose commands read what follows them.
func TestLines(t *testing.T) {
	text := "ps one\nx=2\nif true\nthen\n  ps $x\nfi\ncat <<E\nhere $x\nE\nps a \\\n  b\nread line\nconsumed\necho got $line\n'\nstill\n' || echo $?\nps )\necho on\nfail"
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r := plugins.NewRegistry()
	if err := r.Load(t.Context(), testPlugin{}); err != nil {
		t.Fatal(err)
	}
	var out, errs output
	s, err := New(Options{Registry: r, In: in, Out: &out, Err: &errs, Dir: t.TempDir(), Env: programs.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	status := s.Loop(t.Context(), "stdin", NewLines(in))
	want := "ps: one\nps: 2\nhere 2\nps: a b\ngot consumed\n127\non\n"
	if out.String() != want || status != 7 {
		t.Errorf("printed %q, status %d; want %q, 7\nstderr %s", out.String(), status, want, errs.String())
	}
	if !strings.Contains(errs.String(), "stdin:17: syntax error") {
		t.Errorf("stderr: %s", errs.String())
	}
}

// TestInterrupt: Ctrl-C ends what runs and, in a script, the script.
func TestInterrupt(t *testing.T) {
	r := plugins.NewRegistry()
	stuck := make(chan struct{})
	if err := r.Load(t.Context(), testPlugin{stuck}); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	var out, errs output
	s, err := New(Options{Registry: r, Out: &out, Err: &errs, Dir: t.TempDir(), Env: programs.Environ(), Signals: signals})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-stuck
		signals <- os.Interrupt
	}()
	if status := s.RunText(t.Context(), "test", nil, strings.NewReader("ps a; stuck; ps never")); status != 130 {
		t.Errorf("status %d, want 130", status)
	}
	if out.String() != "ps: a\n" || errs.String() != "" {
		t.Errorf("printed %q, %q", out.String(), errs.String())
	}
}

// script is an Editor that types lines; each is read when the one before has run.
type script struct {
	lines  []string
	before map[string]func() // what happens while a line runs, begun just before it
}

func (s *script) ReadLine(context.Context) (string, error) {
	if len(s.lines) == 0 {
		return "", io.EOF
	}
	line := s.lines[0]
	s.lines = s.lines[1:]
	if line == "^C" {
		return "", ErrInterrupted
	}
	if happens, ok := s.before[line]; ok {
		go happens()
	}
	return line, nil
}

func (s *script) Close() error { return nil }

// TestGiveUp: the third Ctrl-C leaves a command alone that ignores it; the
// session goes on where it was. Lines that are given up count as interrupted.
// journal remembers lines and how they ended.
type journal struct{ lines []string }

func (j *journal) Began(line, dir string) (func(int) error, error) {
	return func(status int) error {
		j.lines = append(j.lines, fmt.Sprintf("%s: %d", line, status))
		return nil
	}, nil
}

func TestGiveUp(t *testing.T) {
	r := plugins.NewRegistry()
	deaf := make(chan struct{})
	if err := r.Load(t.Context(), testPlugin{deaf}); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal)
	var out, errs output
	kept := &journal{}
	s, err := New(Options{
		Registry: r, Out: &out, Err: &errs, Dir: t.TempDir(), Env: programs.Environ(), Signals: signals,
		Journal: kept,
	})
	if err != nil {
		t.Fatal(err)
	}
	interrupt := func() {
		<-deaf
		for range abandonAfter {
			signals <- os.Interrupt
		}
	}
	status := s.Loop(t.Context(), "", &script{before: map[string]func(){"deaf; ps never": interrupt}, lines: []string{"x=kept", "deaf; ps never", "echo $? $x", "if true", "^C", "echo $?", "history 1", "fail", "if )"}})
	want := "130 kept\n130\nhistory: 1\n"
	if out.String() != want || status != 2 {
		t.Errorf("printed %q, status %d; want %q, 2\n%s", out.String(), status, want, errs.String())
	}
	lines := []string{"x=kept: 0", "deaf; ps never: 130", "echo $? $x: 0", "echo $?: 0", "history 1: 0", "fail: 7", "if ): 2"}
	if !slices.Equal(kept.lines, lines) {
		t.Errorf("the journal holds %q, want %q", kept.lines, lines)
	}
}
