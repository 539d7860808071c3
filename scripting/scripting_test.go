package scripting_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/scripting"
)

// session is one script with its streams.
type session struct {
	t        *testing.T
	dir      string
	in       string
	env      []string
	out, err bytes.Buffer
}

func newSession(t *testing.T) *session {
	return &session{t: t, dir: t.TempDir(), env: []string{"HOME=/home/me", "EMPTY="}}
}

func (s *session) invocation() *plugins.Invocation {
	return &plugins.Invocation{In: strings.NewReader(s.in), Out: &s.out, Err: &s.err, Dir: s.dir, Env: s.env}
}

// run runs Lua text to its end.
func (s *session) run(ctx context.Context, text string, args ...string) (int, error) {
	s.t.Helper()
	state := scripting.New(ctx, s.invocation())
	defer func() {
		if err := state.Close(); err != nil {
			s.t.Errorf("close: %v", err)
		}
	}()
	return state.Run(scripting.Script{Name: "test.lua", Text: strings.NewReader(text), Args: args})
}

// lua runs text that must succeed and returns what it printed.
func lua(t *testing.T, text string, args ...string) string {
	t.Helper()
	s := newSession(t)
	status, err := s.run(t.Context(), text, args...)
	if err != nil || status != 0 {
		t.Fatalf("%s: status %d, error %v", text, status, err)
	}
	return s.out.String()
}

// TestPrograms shows what scripts can do without an engine.
func TestPrograms(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`print("a", 1, nil, true)`, "a\t1\tnil\ttrue\n"},
		{`print(arg[0], arg[1], arg[2], ...)`, "test.lua\tx\ty\tx\ty\n"},
		{"#!/usr/bin/env nacre\nprint(debug.getinfo(1, 'l').currentline)", "2\n"},

		// patterns
		{`print(("hello world"):find("o w"))`, "5\t7\n"},
		{`print(("hello"):find("l+"), ("hello"):find("xyz"))`, "3\tnil\n"},
		{`print(("hello"):find("l", 1, true), ("a.b"):find(".", 1, true))`, "3\t2\t2\n"},
		{`print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"))`, "key\tvalue\n"},
		{`print(("x"):find(""), ("x"):find("", 2), ("x"):find("", 3))`, "1\t2\t2\t1\n"},
		{`print(("[[nested [x]]]"):match("%b[]"))`, "[[nested [x]]]\n"},
		{`print(("THE (quick) fox"):find("%((%a+)%)"))`, "5\t11\tquick\n"},
		{`print(("hello"):match("()ll()"))`, "3\t5\n"},
		{`print(("abcabc"):match("(a)(b)c%1%2"))`, "a\tb\n"},
		{`print(("THE fox"):gsub("%f[%a]%a+", "<%0>"))`, "<THE> <fox>\t2\n"},
		{`print(("a-b]c"):match("[%]-]+"), ("]"):match("[]]"), ("x^"):match("[%^x]+"))`, "-\t]\tx^\n"},
		{`print(("a1b2"):gsub("%d", {["1"] = "one"}))`, "aoneb2\t2\n"},
		{`print(("abc"):gsub("%w", function(c) if c ~= "b" then return c:upper() end end))`, "AbC\t3\n"},
		{`print(("abc"):gsub("", "-"))`, "-a-b-c-\t4\n"},
		{`print(("abc abc"):gsub("^abc", "x"))`, "x abc\t1\n"},
		{`print(("aaa"):gsub("a", "b", 2))`, "bba\t2\n"},
		{`print(("a  b"):gsub("%s+", " "))`, "a b\t1\n"},
		{`print(("x=1, y=2"):gsub("(%w+)=(%w+)", "%2=%1"))`, "1=x, 2=y\t2\n"},
		{`for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do io.write(k, v, ";") end`, "a1;b2;"},
		{`for w in ("one two"):gmatch("%a*") do io.write("[", w, "]") end`, "[one][][two][]"},
		{`print(("a.b.c"):match("^(.-)%."))`, "a\n"},
		{`print(pcall(string.find, "a", "[a"))`, "false\ttest.lua:1: malformed pattern (missing ']')\n"},
		{`print(pcall(string.find, "a", "(a"))`, "false\ttest.lua:1: unfinished capture\n"},
		{`print(pcall(string.gsub, "a", "a", "%2"))`, "false\ttest.lua:1: invalid capture index\n"},
		{`print(pcall(string.rep, "x", 1e12))`, "false\ttest.lua:1: resulting string too large\n"},

		// bounds: none of these fills the memory, the stack, or the time
		{`print(pcall(unpack, {}, 1, 1e9))`, "false\ttest.lua:1: too many results to unpack\n"},
		{`print(pcall(string.byte, ("x"):rep(1e6), 1, -1))`, "false\ttest.lua:1: string slice too long\n"},
		{`local t, s = {}, ("x"):rep(6e7) for i = 1, 100 do t[i] = s end print(pcall(table.concat, t))`, "false\ttest.lua:1: resulting string too large\n"},
		{`print(loadstring("return " .. ("not "):rep(1e5) .. "1"))`, "nil\t<string>:1: nested deeper than 1000\n"},
		{`print(loadstring(("x = 1 "):rep(1e6)))`, "nil\t<string>: program too large\n"},
		{`print(loadstring("return " .. ("{"):rep(1e4) .. ("}"):rep(1e4)))`, "nil\t<string>:1: nested deeper than 1000\n"},
		{`print(loadstring(("do "):rep(2000) .. ("end "):rep(2000)))`, "nil\t<string>:1: nested deeper than 1000\n"},
		{`print(unpack({1, 2, nil, 4}, 1, 4)) print(unpack({}), unpack({1, 2}, 2))`, "1\t2\tnil\t4\nnil\t2\n"},
		{`print(("abc"):byte(), ("abc"):byte(2, -1), ("abc"):byte(10))`, "97\t98\n"},
		{`print(table.concat({1, "b", 3}, ", "), table.concat({}), table.concat({1, 2, 3}, "-", 2, 3))`, "1, b, 3\t\t2-3\n"},
		{`local n = 0 print(load(function() n = n + 1 return ({"return ", "4", "2"})[n] end)())`, "42\n"},
		{`print(load(function() return {} end))`, "nil\treader function must return a string\n"},

		// format
		{`print(string.format("%5d|%-5s|%05.1f|%x|%%|%c|%s|%i", 42, "ab", 3.14159, 255, 65, {1} and "t", 7))`, "   42|ab   |003.1|ff|%|A|t|7\n"},
		{`print(string.format("%g %g %e", 100000000, 0.1, 12345.678))`, "1e+08 0.1 1.234568e+04\n"},
		{`print(string.format("%q", 'a"b\\\n'))`, "\"a\\\"b\\\\\\\n\"\n"},
		{`print(string.format("%x", -1))`, "ffffffffffffffff\n"},
		{`print(pcall(string.format, "%1000d", 1))`, "false\ttest.lua:1: invalid format (width or precision too long)\n"},
		{`print(pcall(string.format, "%y", 1))`, "false\ttest.lua:1: invalid option '%y' to 'format'\n"},
		{`print(string.rep("ab", 3, ","))`, "ab,ab,ab\n"},

		// environment: the script's own
		{`print(os.getenv("HOME"), os.getenv("NOPE"), nacre.env.HOME, os.getenv("EMPTY") == "")`, "/home/me\tnil\t/home/me\ttrue\n"},
		{`nacre.env.A = "1" os.setenv("B", "2") print(os.getenv("A"), nacre.env.B) nacre.env.A = nil print(nacre.env.A)`, "1\t2\nnil\n"},

		// JSON
		{`print(nacre.json.encode({1, 2, {a = true, b = "x<y"}}))`, `[1,2,{"a":true,"b":"x<y"}]` + "\n"},
		{`print(nacre.json.encode({}), nacre.json.encode(nacre.json.array({})), nacre.json.encode(1.5), nacre.json.encode(2^40))`, "{}\t[]\t1.5\t1099511627776\n"},
		{`print(nacre.json.encode(nacre.json.decode('{"a":[],"n":[null,1]}')))`, `{"a":[],"n":[null,1]}` + "\n"},
		{`local t = nacre.json.decode('[1,null,3]') print(#t, t[2] == nacre.json.null)`, "3\ttrue\n"},
		{`local t = {} t.t = t print((select(2, pcall(nacre.json.encode, t))).class)`, "invalid_argument\n"},
		{`print((select(2, pcall(nacre.json.encode, {1, a = 2}))).message)`, "json: a table with a list part and with names is neither array nor object\n"},
		{`print((select(2, pcall(nacre.json.encode, 0/0))).class)`, "invalid_argument\n"},

		{`print(nacre.size(1240000))`, "1.24MB\n"},
		{`local co = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) print(co(), co())`, "1\t2\n"},
		{`print(loadstring("return 1 + 1")())`, "2\n"},
	} {
		if got := lua(t, c.text, "x", "y"); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

// TestFiles reads and writes files below the invocation's folder, whatever the
// process's own is.
func TestFiles(t *testing.T) {
	s := newSession(t)
	status, err := s.run(t.Context(), `
		local f = assert(io.open("a.txt", "w"))
		f:write("one\n", 2, "\nthree")
		f:close()
		for line in io.lines("a.txt") do print(line) end
		local f = io.open("a.txt", "r+")
		print(f:read("*l", "*n", "*a"))
		print(f:seek("set", 4), f:read(1), f:read("*l"), f:read("*L"), f:read("*l"))
		f:seek("end") f:write("!") f:seek("set") print((f:read("*a"):gsub("\n", "/")))
		f:close()
		print(io.type(f), pcall(f.read, f))
		print(io.open("missing.txt"))
		print(os.rename("a.txt", "b.txt"), os.remove("b.txt"), os.remove("b.txt") == nil)
		local left = io.open("left.txt", "w") left:write("flushed at the end")`)
	if status != 0 || err != nil {
		t.Fatal(status, err)
	}
	want := []string{
		"one", "2", "three", "one\t2\t", "three", "4\t2\t\tthree\tnil", "one/2/three!",
		"closed file\tfalse\ttest.lua:11: bad argument #1 to (anonymous) (file is closed)",
		"nil\topen " + filepath.Join(s.dir, "missing.txt") + ": no such file or directory", "true\ttrue\ttrue",
	}
	if got := strings.Split(strings.TrimSpace(s.out.String()), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "left.txt"))
	if err != nil || string(text) != "flushed at the end" {
		t.Errorf("a file left open holds %q (%v)", text, err)
	}
}

func TestStreams(t *testing.T) {
	s := newSession(t)
	s.in = "first\n42 rest\ny\n"
	status, err := s.run(t.Context(), `
		print(io.read(), io.read("*n"), io.read("*l"))
		print(nacre.confirm("sure?"), nacre.confirm("again?", {default = true}))
		io.stderr:write("to stderr\n")
		nacre.log.warn("careful", 1)
		nacre.log.debug("unseen")`)
	if status != 0 || err != nil {
		t.Fatal(status, err)
	}
	if got, want := s.out.String(), "first\t42\t rest\ntrue\tfalse\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if got, want := s.err.String(), "sure? [y/N] again? [Y/n] to stderr\nwarn: careful 1\n"; got != want {
		t.Errorf("errors %q, want %q", got, want)
	}
}

// TestErrors shows what a script's author reads.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"\nerror('boom')", "test.lua:2: boom"},
		{"error({})", "(error object is a table value)"},
		{"error(setmetatable({}, {__tostring = function() return 'mine' end}))", "mine"},
		{"local x\nx.y = 1", "test.lua:2: attempt to index"},
		{"x = = 1", "test.lua:1: syntax error near \"=\" (column 5)"},
		{"if true then", "test.lua: syntax error: unexpected end of the script"},
		{"nacre.images{}", "test.lua:1: not available while a plugin is loaded"},
		{"nacre.run{name = 'x'}", "test.lua:1: nacre.run: image is missing"},
		{"nacre.sh('true', {chek = true})", `test.lua:1: unknown option "chek" (did you mean check?)`},
		{"nacre.sh('true', {check = 1, stream = 1})", "test.lua:1: stream: want true or false, got a number"},
		{"nacre.command{name = 'x', run = print}", "test.lua:1: nacre.command: only at the top level of a plugin's init.lua"},
		{"io.popen('ls')", `test.lua:1: io.popen is not provided: nacre.sh("ls").out has a command's output`},
		{"local function f() return f() + 1 end f()", "stack overflow"},
		{"dofile('missing.lua')", "missing.lua: no such file or directory"},
	} {
		s := newSession(t)
		status, err := s.run(t.Context(), c.text)
		if status != 1 || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got status %d, %v\nwant 1, …%s…", c.text, status, err, c.want)
		}
	}
}

// TestExit ends scripts with a status, and no pcall holds it back.
func TestExit(t *testing.T) {
	for text, want := range map[string]int{
		"os.exit()":                          0,
		"os.exit(true)":                      0,
		"os.exit(false)":                     1,
		"os.exit(300)":                       300 & 0xff,
		"pcall(os.exit, 5) print('reached')": 5,
		"while true do pcall(function() os.exit(6) end) end":                 6,
		"coroutine.wrap(function() os.exit(7) end)() print('reached')":       7,
		"xpcall(function() os.exit(8) end, function() return 'handled' end)": 8,
	} {
		s := newSession(t)
		status, err := s.run(t.Context(), text)
		if status != want || err != nil || s.out.Len() > 0 {
			t.Errorf("%s: status %d, error %v, output %q; want status %d", text, status, err, s.out.String(), want)
		}
	}
}

// TestInterrupted ends scripts in the middle of everything that takes long.
func TestInterrupted(t *testing.T) {
	cause := errors.New("enough")
	for _, text := range []string{
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"coroutine.wrap(function() while true do end end)()",
		`string.find(string.rep("a", 50), string.rep("a?", 50) .. string.rep("a", 50) .. "b")`,
		`string.match(string.rep("a", 100000), ".-.-.-.-b")`,
		`string.gsub(string.rep("a", 100000), ".-.-.-b", "")`,
		`for w in string.gmatch(string.rep("a", 100000), ".-.-.-b") do end`,
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
		s := newSession(t)
		began := time.Now()
		status, err := s.run(ctx, text)
		cancel()
		if status != 130 || !errors.Is(err, cause) {
			t.Errorf("%s: status %d, error %v; want 130, %v", text, status, err, cause)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: went on for %s", text, took)
		}
	}
}

// TestInterruptedInput ends a script that waits for a terminal or pipe, and
// leaves what is typed next to others.
func TestInterruptedInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	inv := newSession(t).invocation()
	inv.In = r
	state := scripting.New(ctx, inv)
	defer state.Close()
	if status, err := state.Run(scripting.Script{Name: "x", Text: strings.NewReader("io.read()")}); status != 130 || err == nil {
		t.Errorf("status %d, error %v", status, err)
	}
	if _, err := w.WriteString("next\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, err := r.Read(buf); err != nil || string(buf[:n]) != "next\n" {
		t.Errorf("the next reader got %q (%v)", buf[:n], err)
	}
}

func TestRequire(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "helper.lua"), []byte("return {answer = 42}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSession(t)
	state := scripting.New(t.Context(), s.invocation())
	defer state.Close()
	status, err := state.Run(scripting.Script{
		Name: "main.lua", Path: filepath.Join(dir, "main.lua"),
		Text: strings.NewReader(`print(require("helper").answer, require("helper") == require("helper"))`),
	})
	if status != 0 || err != nil || s.out.String() != "42\ttrue\n" {
		t.Errorf("status %d, error %v, output %q", status, err, s.out.String())
	}
}

// TestLine is what the dialogue at a terminal does with a line.
func TestLine(t *testing.T) {
	s := newSession(t)
	state := scripting.New(t.Context(), s.invocation())
	defer state.Close()
	for _, c := range []struct {
		text              string
		ended, incomplete bool
		failed            bool
		out               string
	}{
		{text: "1 + 1\n", out: "2\n"},
		{text: "= 'x', nil\n", out: "x\tnil\n"},
		{text: "x = 5\n"},
		{text: "x\n", out: "5\n"},
		{text: "for i = 1, 2 do\n", incomplete: true, failed: true},
		{text: "for i = 1, 2 do\nprint(i) end\n", out: "1\n2\n"},
		{text: "error('no')\n", failed: true},
		{text: "x x\n", failed: true},
		{text: "os.exit(3)\n", ended: true, failed: true},
	} {
		s.out.Reset()
		ended, incomplete, err := state.Line(c.text)
		if ended != c.ended || incomplete != c.incomplete || (err != nil) != c.failed || s.out.String() != c.out {
			t.Errorf("%q: ended %v, incomplete %v, error %v, output %q", c.text, ended, incomplete, err, s.out.String())
		}
	}
	if status, err := state.ExitStatus(nil); status != 3 || err != nil {
		t.Errorf("status %d, error %v", status, err)
	}
}
