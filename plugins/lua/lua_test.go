package lua_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/lua"
)

const greet = `
nacre.plugin{ version = "1.2", short = "Greets" }
nacre.command{
  name = "greet", aliases = { "hallo" }, short = "Greet someone", args = { min = 1, max = 2 },
  usage = "NAME [TIME]", example = "  greet world",
  flags = {
    { name = "loud", short = "l", help = "Shout" },
    { name = "times", short = "n", type = "int", default = 1, help = "How often" },
    { name = "the-word", type = "string", default = "hello", help = "What to say",
      complete = function(prefix) return { "hello", { "hi", "shorter" } } end },
    { name = "tag", type = "list", help = "Tags" },
  },
  complete = function(args, prefix)
    if #args == 0 then return { "world", { "wolf", "an animal" }, "moon" } end
  end,
  run = function(args, flags, io)
    local text = flags.the_word .. ", " .. args[1] .. table.concat(flags.tag, "+")
    if flags.loud then text = text:upper() end
    for i = 1, flags.times do io:write(text, "\n") end
    if args[1] == "nobody" then return 3 end
    if args[1] == "false" then return false end
    if args[1] == "error" then error("cannot greet that") end
    if args[1] == "exit" then os.exit(9) end
    if args[1] == "input" then for line in io:lines() do print(line) end end
    if args[1] == "stderr" then io.err:write("oops\n") end
  end,
}`

// plugin writes an init.lua and finds it.
func plugin(t *testing.T, name, text string) *lua.Plugin {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name, "init.lua"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := lua.Find(dir, nil, io.Discard)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v (%v)", found, err)
	}
	return found[0]
}

func loaded(t *testing.T, name, text string) *plugins.Registry {
	t.Helper()
	r := plugins.NewRegistry()
	if err := r.Load(t.Context(), plugin(t, name, text)); err != nil {
		t.Fatal(err)
	}
	return r
}

// outcome is what one run of a command left.
type outcome struct {
	status   int
	out, err string
}

func run(ctx context.Context, t *testing.T, r *plugins.Registry, in string, args ...string) outcome {
	t.Helper()
	c, ok := r.Lookup(args[0])
	if !ok {
		t.Fatalf("no command %s", args[0])
	}
	var out, errs bytes.Buffer
	status := plugins.Execute(ctx, c, &plugins.Invocation{Args: args, In: strings.NewReader(in), Out: &out, Err: &errs, Dir: t.TempDir()})
	return outcome{status, out.String(), errs.String()}
}

// TestCommand runs a plugin's command as a user types it.
func TestCommand(t *testing.T) {
	r := loaded(t, "greet", greet)
	for _, c := range []struct {
		args, in string
		want     outcome
	}{
		{args: "greet world", want: outcome{out: "hello, world\n"}},
		{args: "hallo world", want: outcome{out: "hello, world\n"}},
		{args: "greet -l -n 2 --tag a --tag b x", want: outcome{out: "HELLO, XA+B\nHELLO, XA+B\n"}},
		{args: "greet x --the-word=hi", want: outcome{out: "hi, x\n"}},
		{args: "greet nobody", want: outcome{status: 3, out: "hello, nobody\n"}},
		{args: "greet false", want: outcome{status: 1, out: "hello, false\n"}},
		{args: "greet exit", want: outcome{status: 9, out: "hello, exit\n"}},
		{args: "greet input", in: "a\nb", want: outcome{out: "hello, input\na\nb\n"}},
		{args: "greet stderr", want: outcome{out: "hello, stderr\n", err: "oops\n"}},
		{args: "greet", want: outcome{status: 1, err: "'nacre greet' requires at least 1 argument\n\nUsage:  nacre greet NAME [TIME]\n\nRun 'nacre greet --help' for more information\n"}},
		{args: "greet a b c", want: outcome{status: 1, err: "'nacre greet' requires at most 2 arguments\n\nUsage:  nacre greet NAME [TIME]\n\nRun 'nacre greet --help' for more information\n"}},
		{args: "greet --lout x", want: outcome{status: 125, err: "unknown flag: --lout\n\nDid you mean --loud?\n\nUsage:  nacre greet NAME [TIME]\n\nRun 'nacre greet --help' for more information\n"}},
	} {
		if got := run(t.Context(), t, r, c.in, strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s\n got %+v\nwant %+v", c.args, got, c.want)
		}
	}
	got := run(t.Context(), t, r, "", "greet", "error")
	if got.status != 1 || !strings.HasSuffix(got.err, "init.lua:22: cannot greet that\n") {
		t.Errorf("error: %+v", got)
	}
}

func TestHelp(t *testing.T) {
	got := run(t.Context(), t, loaded(t, "greet", greet), "", "greet", "--help")
	for _, want := range []string{"Greet someone", "nacre greet NAME [TIME]", "-l, --loud", "--tag list", "How often (default 1)", `(default "hello")`, "greet world"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("help lacks %q:\n%s", want, got.out)
		}
	}
}

// TestComplete asks as the prompt does, through cobra.
func TestComplete(t *testing.T) {
	r := loaded(t, "greet", greet)
	for _, c := range []struct{ args, want string }{
		{"greet|w", "world\nwolf\tan animal\n:4\n"},
		{"greet|world|", ":0\n"}, // no answer: files
		{"greet|--the-word|h", "hello\nhi\tshorter\n:4\n"},
		{"greet|--the-word=hi", "hi\tshorter\n:4\n"},
		{"greet|--l", "--loud\tShout\n:4\n"},
	} {
		if out := complete(t, r, strings.Split(c.args, "|")...); out != c.want {
			t.Errorf("%s: got %q, want %q", c.args, out, c.want)
		}
	}
}

func complete(t *testing.T, r *plugins.Registry, words ...string) string {
	t.Helper()
	c, _ := r.Lookup(words[0])
	inv := &plugins.Invocation{Args: words, Out: io.Discard, Err: io.Discard}
	root, err := c.Build(inv)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{"__complete"}, words...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestAtTheSameTime runs one command many times at once, as pipelines do: each
// has a machine of its own.
func TestAtTheSameTime(t *testing.T) {
	r := loaded(t, "count", `
		local n = 0
		nacre.command{ name = "count", run = function() for i = 1, 1000 do n = n + 1 end print(n) end }`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := run(t.Context(), t, r, "", "count"); got != (outcome{out: "1000\n"}) {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
}

func TestInterrupted(t *testing.T) {
	r := loaded(t, "loop", `nacre.command{ name = "loop", run = function() while true do end end }`)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&plugins.SignalError{Signal: os.Interrupt})
	if got := run(ctx, t, r, "", "loop"); got != (outcome{status: 130}) {
		t.Errorf("%+v", got)
	}
}

// TestRejected shows what the author of a plugin reads when it is not loaded.
func TestRejected(t *testing.T) {
	for text, want := range map[string]string{
		"x = = 1":                      "init.lua:1: syntax error",
		"while true do end":            "still loading after 3s",
		"os.exit(0)":                   "os.exit is not allowed while a plugin is loaded",
		"nacre.images()":               "not available while a plugin is loaded",
		"nacre.sh('ls')":               "not available while a plugin is loaded",
		"nacre.command{ run = print }": `name "": want lower-case letters`,
		"nacre.command{ name = 'X', run = print }":                                                                         `name "X": want lower-case letters`,
		"nacre.command{ name = 'x' }":                                                                                      "x has no run function",
		"nacre.command{ name = 'x', run = 1 }":                                                                             "run: want a function, got a number",
		"nacre.command{ name = 'x', runs = print }":                                                                        `unknown option "runs" (did you mean run?)`,
		"nacre.command{ name = 'x', run = print, flags = { { name = 'help' } } }":                                          "flags[1]: --help is there already",
		"nacre.command{ name = 'x', run = print, flags = { { name = 'aa', type = 'float' } } }":                            `flags[1]: type "float": want bool, string, int or list`,
		"nacre.command{ name = 'x', run = print, flags = { { name = 'aa', short = 'h' } } }":                               `short "h": want one letter, not h`,
		"nacre.command{ name = 'x', run = print, flags = { { name = 'aa' }, { name = 'aa' } } }":                           "flags[2]: --aa is there twice",
		"nacre.command{ name = 'x', run = print, flags = { { name = 'aa', short = 'a' }, { name = 'ab', short = 'a' } } }": "flags[2]: -a is there twice",
		"nacre.command{ name = 'x', run = print } nacre.command{ name = 'x', run = print }":                                "command x is already registered",
	} {
		r := plugins.NewRegistry()
		err := r.Load(t.Context(), plugin(t, "bad", text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant …%s…", text, err, want)
		}
		if len(r.Plugins()) > 0 || len(r.Commands()) > 0 {
			t.Errorf("%s: something stayed: %v %v", text, r.Plugins(), r.Commands())
		}
	}
}

// TestRequire uses a second file of the plugin, also when its command runs.
func TestRequire(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"two/init.lua": `local words = require("words")
			nacre.command{ name = "two", short = words.short, run = function() print(require("words").text) end }`,
		"two/words.lua": `return { short = "From another file", text = "read" }`,
		"notes.txt":     "no plugin",
		"empty/x.lua":   "no plugin",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := lua.Find(dir, nil, io.Discard)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v (%v)", found, err)
	}
	r := plugins.NewRegistry()
	if err := r.Load(t.Context(), found[0]); err != nil {
		t.Fatal(err)
	}
	if got := run(t.Context(), t, r, "", "two"); got != (outcome{out: "read\n"}) {
		t.Errorf("%+v", got)
	}
	if c, _ := r.Lookup("two"); c.Short != "From another file" {
		t.Errorf("short %q", c.Short)
	}
}

func TestNoFolder(t *testing.T) {
	found, err := lua.Find(filepath.Join(t.TempDir(), "none"), nil, io.Discard)
	if err != nil || found != nil {
		t.Errorf("found %v (%v)", found, err)
	}
}
