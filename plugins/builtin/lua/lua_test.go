package lua_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/creack/pty"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/lua"
)

// setup registers the command with two shipped scripts and a configuration
// folder that has one of them, too.
func setup(t *testing.T) *plugins.Command {
	t.Helper()
	config := t.TempDir()
	if err := os.Mkdir(filepath.Join(config, "scripts"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "scripts", "both.lua"), []byte(`print("own", ...)`), 0o600); err != nil {
		t.Fatal(err)
	}
	shipped := fstest.MapFS{
		"both.lua": {Data: []byte(`print("shipped")`)},
		"only.lua": {Data: []byte(`print("only", arg[0])`)},
	}
	r := plugins.NewRegistry()
	if err := r.Load(t.Context(), lua.New(shipped, config)); err != nil {
		t.Fatal(err)
	}
	c, _ := r.Lookup("lua")
	return c
}

func run(ctx context.Context, t *testing.T, c *plugins.Command, dir string, in io.Reader, args ...string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	status := plugins.Execute(ctx, c, &plugins.Invocation{Args: append([]string{"lua"}, args...), In: in, Out: &out, Err: &errs, Dir: dir})
	return status, out.String(), errs.String()
}

// told is a buffer that does something when it is first written to.
type told struct {
	bytes.Buffer
	then func()
}

func (w *told) Write(p []byte) (int, error) {
	if w.Len() == 0 {
		w.then()
	}
	return w.Buffer.Write(p)
}

// TestWhere looks for scripts in the working folder, the user's, the shipped.
func TestWhere(t *testing.T) {
	c, dir := setup(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "here.lua"), []byte(`print("here") os.exit(4)`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args      string
		in        string
		status    int
		out, errs string
	}{
		{args: "both.lua a b", out: "own\ta\tb\n"},
		{args: "only.lua", out: "only\tonly.lua\n"},
		{args: "here.lua", status: 4, out: "here\n"},
		{args: "./both.lua", status: 127, errs: "lua: ./both.lua: no such file\nDid you mean both.lua?\n"},
		{args: "bot.lua", status: 127, errs: "lua: bot.lua: no such file\nDid you mean both.lua?\n"},
		{args: "-e print(...) x -y", out: "x\t-y\n"},
		{args: "-", in: "print(#arg, io.read())", out: "0\tnil\n"},
		{args: "- x", in: "print(...)", out: "x\n"},
		{args: "", in: "error('in')", status: 1, errs: "stdin:1: in\n"},
		{args: "--list", out: "both.lua\nonly.lua\n"},
	} {
		status, out, errs := run(t.Context(), t, c, dir, strings.NewReader(x.in), strings.Fields(x.args)...)
		if status != x.status || out != x.out || errs != x.errs {
			t.Errorf("lua %s: status %d, output %q, errors %q", x.args, status, out, errs)
		}
	}
	if status, _, errs := run(t.Context(), t, c, "/", nil, "tmp"); status != 1 || !strings.Contains(errs, "is a directory") {
		t.Errorf("a folder: status %d, errors %q", status, errs)
	}
}

// TestDialogue types at a real terminal.
func TestDialogue(t *testing.T) {
	c := setup(t)
	typing, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer typing.Close()
	defer terminal.Close()
	if _, err := typing.WriteString("1 + 1\nfor i = 1, 2 do\nio.write(i)\nend\nerror('no')\nname = io.read()\nbob\nname\nos.exit(5)\n"); err != nil {
		t.Fatal(err)
	}
	status, out, errs := run(t.Context(), t, c, "/", terminal)
	if status != 5 || out != "2\n12bob\n" || strings.ReplaceAll(errs, "lua> ", "") != "...> ...> lua:1: no\n" {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
}

// TestDialogueEnds by Ctrl-D and by Ctrl-C, which arrives as the context's end.
func TestDialogueEnds(t *testing.T) {
	c := setup(t)
	typing, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer typing.Close()
	defer terminal.Close()
	if _, err := typing.WriteString("print(1)\n\x04"); err != nil {
		t.Fatal(err)
	}
	if status, out, _ := run(t.Context(), t, c, "/", terminal); status != 0 || out != "1\n" {
		t.Errorf("status %d, output %q", status, out)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	errs := &told{then: func() { cancel(&plugins.SignalError{Signal: os.Interrupt}) }} // at its prompt
	status := plugins.Execute(ctx, c, &plugins.Invocation{Args: []string{"lua"}, In: terminal, Out: io.Discard, Err: errs, Dir: "/"})
	if status != 130 || errs.String() != "lua> \n" {
		t.Errorf("status %d, errors %q", status, errs)
	}
}
