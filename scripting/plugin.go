package scripting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	lua "github.com/yuin/gopher-lua"

	"github.com/nacre-sh/nacre/plugins"
)

// loadLimit bounds how long the init.lua of a plugin may take before its
// commands are known; the prompt waits for it. A machine that is busy, or was
// asleep, must not cost the plugin.
const loadLimit = 3 * time.Second

// Plugin is the init.lua of a plugin: compiled once, run afresh for every
// invocation. Each invocation and each completion has a machine of its own, so
// that the parts of a pipeline run at the same time and a command may call
// itself; what a plugin wants to remember goes to a file.
type Plugin struct {
	Version  string // nacre.plugin's, or ""
	Short    string
	Commands []CommandSpec
	path     string
	program  *lua.FunctionProto
}

// CommandSpec is what a plugin said about one command.
type CommandSpec struct {
	Name    string
	Aliases []string
	Short   string
	Long    string
	Usage   string // "NAME [OPTIONS] ARG…", with the name in front
	Example string
	Hidden  bool
	MinArgs int
	MaxArgs int // -1: any number
	Flags   []FlagSpec
	// Completes tells that the command has a function for its arguments.
	Completes bool
}

// FlagSpec is one flag of a command.
type FlagSpec struct {
	Name      string
	Short     string // one letter, or ""
	Type      string // bool, string, int, list
	Default   any    // bool, string, int or []string
	Help      string
	Completes bool
}

// declarations collects what an init.lua registers.
type declarations struct {
	specs    []CommandSpec
	run      []lua.LValue            // by index of specs
	complete []lua.LValue            // nil or function
	flags    []map[string]lua.LValue // complete functions by flag
	version  string
	short    string
	finished bool
}

// LoadPlugin reads a plugin's init.lua and learns its commands. What it prints
// while it loads goes to stderr.
func LoadPlugin(ctx context.Context, path string, env []string, stderr io.Writer) (*Plugin, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, loadLimit, fmt.Errorf("still loading after %s", loadLimit))
	defer cancel()
	s := New(ctx, loadingInvocation(path, env, stderr))
	defer s.Close()
	fn, err := s.Load(Script{Name: path, Path: path, Text: f})
	if err != nil {
		return nil, err
	}
	p := &Plugin{path: path, program: fn.Proto}
	d, err := s.declare(fn)
	if err != nil {
		return nil, err
	}
	p.Commands, p.Version, p.Short = d.specs, d.version, d.short
	return p, nil
}

// loadingInvocation is what a plugin has while no command runs: no engine, no
// shell, no input.
func loadingInvocation(path string, env []string, stderr io.Writer) *plugins.Invocation {
	return &plugins.Invocation{In: eofReader{}, Out: stderr, Err: stderr, Dir: filepath.Dir(path), Env: env}
}

// declare runs init.lua and returns what it registered.
func (s *State) declare(fn *lua.LFunction) (*declarations, error) {
	s.plugin = &declarations{}
	if _, err := s.Call(fn, 0); err != nil {
		if errors.Is(err, errExit) {
			err = errors.New("os.exit is not allowed while a plugin is loaded")
		}
		return nil, err
	}
	s.plugin.finished = true
	return s.plugin, nil
}

// open makes the machine of one invocation and runs init.lua in it. The engine,
// shell and output are the invocation's from the end of init.lua on.
func (p *Plugin) open(ctx context.Context, inv *plugins.Invocation) (*State, error) {
	loading := *inv
	loading.Engine, loading.Shell, loading.Out = nil, nil, inv.Err
	s := New(ctx, &loading)
	s.setRequirePath(filepath.Dir(p.path))
	if _, err := s.declare(s.L.NewFunctionFromProto(p.program)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.inv.Engine, s.inv.Shell, s.inv.Out = inv.Engine, inv.Shell, inv.Out
	return s, nil
}

// Run runs a command of the plugin and returns its exit status.
func (p *Plugin) Run(ctx context.Context, inv *plugins.Invocation, command string, args []string, flags map[string]any) (status int, err error) {
	s, err := p.open(ctx, inv)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	i, err := s.plugin.index(command)
	if err != nil {
		return 1, err
	}
	results, err := s.Call(s.plugin.run[i], 1, s.list(args), s.flagTable(flags), s.ioTable())
	if err != nil {
		return s.status(err)
	}
	switch v := results[0].(type) {
	case lua.LNumber:
		return int(v) & 0xff, nil
	case lua.LBool:
		if !bool(v) {
			return 1, nil
		}
	}
	return 0, nil
}

// Complete asks the plugin for completions: of the arguments, or of the value
// of a flag when one is named. files tells that files may be offered.
func (p *Plugin) Complete(ctx context.Context, inv *plugins.Invocation, command, flag string, args []string, prefix string) (found []plugins.Candidate, files bool, err error) {
	s, err := p.open(ctx, inv)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	i, err := s.plugin.index(command)
	if err != nil {
		return nil, false, err
	}
	fn, params := s.plugin.complete[i], []lua.LValue{s.list(args), lua.LString(prefix)}
	if flag != "" {
		fn, params = s.plugin.flags[i][flag], params[1:]
	}
	if fn == nil {
		return nil, true, nil
	}
	results, err := s.Call(fn, 1, params...)
	if err != nil {
		return nil, false, err
	}
	list, ok := results[0].(*lua.LTable)
	if !ok {
		return nil, true, nil
	}
	return candidates(list, prefix), false, nil
}

// candidates reads a list of words, or of {word, description}.
func candidates(list *lua.LTable, prefix string) []plugins.Candidate {
	var found []plugins.Candidate
	for i := 1; i <= list.Len(); i++ {
		c := plugins.Candidate{Text: argument(list.RawGetInt(i))}
		if t, ok := list.RawGetInt(i).(*lua.LTable); ok && c.Text == "" {
			c.Text, c.Description = scalar(t.RawGetInt(1)), scalar(t.RawGetInt(2))
		}
		if c.Text != "" && strings.HasPrefix(c.Text, prefix) {
			found = append(found, c)
		}
	}
	return found
}

func (d *declarations) index(command string) (int, error) {
	for i, c := range d.specs {
		if c.Name == command {
			return i, nil
		}
	}
	return 0, errdefs.ErrNotFound.WithMessage("the plugin did not register " + command + " this time")
}

func (s *State) list(words []string) *lua.LTable { return stringList(s.L, words, "\x00") }

func (s *State) flagTable(flags map[string]any) *lua.LTable {
	t := s.L.NewTable()
	for name, value := range flags {
		var v lua.LValue
		switch value := value.(type) {
		case bool:
			v = lua.LBool(value)
		case int:
			v = lua.LNumber(value)
		case string:
			v = lua.LString(value)
		case []string:
			v = s.list(value)
		}
		t.RawSetString(name, v)
		t.RawSetString(strings.ReplaceAll(name, "-", "_"), v)
	}
	return t
}

// ioTable is the third argument of a command's run function.
func (s *State) ioTable() *lua.LTable {
	lib := s.L.GetGlobal("io").(*lua.LTable)
	t := s.L.NewTable()
	for name, stream := range map[string]string{"out": "stdout", "err": "stderr", "input": "stdin"} {
		t.RawSetString(name, lib.RawGetString(stream))
	}
	t.RawSetString("dir", lua.LString(s.inv.Dir))
	t.RawSetString("interactive", lua.LBool(s.inv.Interactive))
	out, in := lib.RawGetString("stdout").(*lua.LUserData).Value.(*file), lib.RawGetString("stdin").(*lua.LUserData).Value.(*file)
	t.RawSetString("write", s.L.NewFunction(func(L *lua.LState) int { return fileWrite(out, L, 2) }))
	t.RawSetString("read", s.L.NewFunction(func(L *lua.LState) int { return fileRead(in, L, 2) }))
	t.RawSetString("lines", s.L.NewFunction(func(L *lua.LState) int { return fileLines(in, L, 2) }))
	return t
}

var (
	wordForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`) })
	flagForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]+$`) })
)

// declareCommand is nacre.command.
func (s *State) declareCommand(L *lua.LState) (int, error) {
	if s.plugin == nil || s.plugin.finished {
		return 0, invalid("nacre.command: only at the top level of a plugin's init.lua")
	}
	o := optionsAt(L, 1)
	spec := CommandSpec{
		Name: o.text("name"), Aliases: o.list("aliases"), Short: o.text("short"), Long: o.text("long"),
		Usage: o.text("usage"), Example: o.text("example"), Hidden: o.boolean("hidden"),
	}
	run, complete := o.function("run"), o.function("complete")
	spec.Completes = complete != nil
	spec.MinArgs, spec.MaxArgs = argumentCount(o)
	flags, functions := flagSpecs(o)
	spec.Flags = flags
	if err := o.done(); err != nil {
		return 0, err
	}
	switch {
	case !wordForm().MatchString(spec.Name):
		return 0, invalid("nacre.command: name %q: want lower-case letters, digits and . _ -", spec.Name)
	case run == nil:
		return 0, invalid("nacre.command: %s has no run function", spec.Name)
	}
	if spec.Usage == "" {
		spec.Usage = spec.Name + " [OPTIONS] [ARG...]"
	} else if first, _, _ := strings.Cut(spec.Usage, " "); first != spec.Name {
		spec.Usage = spec.Name + " " + spec.Usage
	}
	d := s.plugin
	d.specs, d.run, d.complete, d.flags = append(d.specs, spec), append(d.run, run), append(d.complete, complete), append(d.flags, functions)
	return 0, nil
}

// declarePlugin is nacre.plugin.
func (s *State) declarePlugin(L *lua.LState) (int, error) {
	if s.plugin == nil || s.plugin.finished {
		return 0, invalid("nacre.plugin: only at the top level of a plugin's init.lua")
	}
	o := optionsAt(L, 1)
	s.plugin.version, s.plugin.short = o.text("version"), o.text("short")
	return 0, o.done()
}

// function reads an option that is a function; nil when it is not given.
func (o *options) function(name string) lua.LValue {
	v := o.get(name)
	switch v.(type) {
	case *lua.LNilType:
		return nil
	case *lua.LFunction:
		return v
	}
	o.fail(name, "a function", v)
	return nil
}

// argumentCount reads args: a number, or {min = 0, max = 1}.
func argumentCount(o *options) (low, high int) {
	switch v := o.get("args").(type) {
	case *lua.LNilType:
		return 0, -1
	case lua.LNumber:
		return int(v), int(v)
	case *lua.LTable:
		inner := &options{table: v}
		low, high = inner.number("min", 0), inner.number("max", -1)
		if err := inner.done(); err != nil && o.err == nil {
			o.err = err
		}
		return low, high
	default:
		o.fail("args", "a number or {min = …, max = …}", v)
		return 0, -1
	}
}

func flagSpecs(o *options) ([]FlagSpec, map[string]lua.LValue) {
	functions := map[string]lua.LValue{}
	v := o.get("flags")
	list, ok := v.(*lua.LTable)
	if !ok {
		if v != lua.LNil {
			o.fail("flags", "a list", v)
		}
		return nil, functions
	}
	var specs []FlagSpec
	for i := 1; i <= list.Len(); i++ {
		t, ok := list.RawGetInt(i).(*lua.LTable)
		if !ok {
			o.fail(fmt.Sprintf("flags[%d]", i), "a table", list.RawGetInt(i))
			continue
		}
		spec, complete, err := flagSpec(t)
		if err != nil && o.err == nil {
			o.err = fmt.Errorf("flags[%d]: %w", i, err)
		}
		if twice := repeated(specs, spec); twice != "" && o.err == nil {
			o.err = invalid("flags[%d]: %s is there twice", i, twice)
		}
		if complete != nil {
			functions[spec.Name] = complete
		}
		specs = append(specs, spec)
	}
	return specs, functions
}

// repeated names the flag or letter that an earlier flag has already.
func repeated(specs []FlagSpec, f FlagSpec) string {
	for _, old := range specs {
		if old.Name == f.Name {
			return "--" + f.Name
		}
		if f.Short != "" && old.Short == f.Short {
			return "-" + f.Short
		}
	}
	return ""
}

func flagSpec(t *lua.LTable) (FlagSpec, lua.LValue, error) {
	o := &options{table: t}
	f := FlagSpec{Name: o.text("name"), Short: o.text("short"), Type: o.text("type"), Help: o.text("help")}
	complete := o.function("complete")
	f.Completes = complete != nil
	if f.Type == "" {
		f.Type = "bool"
	}
	switch f.Type {
	case "bool":
		f.Default = o.boolean("default")
	case "string":
		f.Default = o.text("default")
	case "int":
		f.Default = o.number("default", 0)
	case "list":
		f.Default = o.list("default")
	default:
		return f, nil, invalid("type %q: want bool, string, int or list", f.Type)
	}
	if err := o.done(); err != nil {
		return f, nil, err
	}
	switch {
	case !flagForm().MatchString(f.Name):
		return f, nil, invalid("name %q: want at least two lower-case letters, digits and -", f.Name)
	case f.Name == "help":
		return f, nil, invalid("--help is there already")
	case len(f.Short) > 1 || f.Short == "h" || f.Short != "" && !isLetter(f.Short[0]):
		return f, nil, invalid("short %q: want one letter, not h", f.Short)
	}
	return f, complete, nil
}
