// Package scripting runs Lua: scripts, `-e` snippets, and the init.lua files of
// plugins. A State is one Lua machine with one invocation's streams, folder,
// environment and engine; everything that it does to containers goes through
// moby/client over the invocation's engine, or through the shell like a typed
// command. Nothing in here knows an engine module.
//
// Lua's own libraries reach for the process: its standard streams, working
// folder, environment, exit. A script in nacre is one command among others, so
// io, os, print, dofile and require are replaced by versions that stay inside
// the invocation, and string functions by versions that Ctrl-C interrupts.
//
// What scripts see is described once, in the sections of api.go: the bindings
// and docs/lua.md both come from there.
package scripting

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/moby/moby/client"
	lua "github.com/yuin/gopher-lua"

	"github.com/nacre-sh/nacre/plugins"
)

// Sizes of the Lua machine: it starts small and grows to about 16 MiB of
// values; a recursion deeper than the call stack is a Lua error.
const (
	registrySize    = 1024
	registryMaxSize = 1 << 20
	callStackSize   = 2048
)

// State is one Lua machine. It belongs to the goroutine that made it: nothing
// in it is safe for concurrent use. Parallel work happens in Go, inside one
// Lua call, and never touches the machine.
type State struct {
	L      *lua.LState
	ctx    context.Context
	cancel context.CancelFunc
	inv    *plugins.Invocation
	env    *environ
	in     *bufio.Reader // over inv.In; commands get it while it holds bytes
	exit   *int          // set by os.exit
	client *client.Client
	target string                 // what client was made for
	files  map[*file]struct{}     // open files, closed with the state
	types  map[string]*lua.LTable // metatables by kind of value
	plugin *declarations          // of a plugin's init.lua, nil in scripts

	loading *settingsLoading // of the user's init.lua, nil elsewhere
}

// New makes a machine for one invocation. inv.Engine and inv.Run may be nil:
// functions that need them then raise an error that says so. The context ends
// the script at its next instruction, and every call that waits.
func New(ctx context.Context, inv *plugins.Invocation) *State {
	ctx, cancel := context.WithCancel(ctx)
	s := &State{
		ctx:    ctx,
		cancel: cancel,
		inv:    inv,
		env:    newEnviron(inv.Env),
		in:     bufio.NewReader(Interruptible(ctx, inv.In)),
		files:  map[*file]struct{}{},
		types:  map[string]*lua.LTable{},
	}
	s.L = lua.NewState(lua.Options{
		SkipOpenLibs:        true,
		RegistrySize:        registrySize,
		RegistryMaxSize:     registryMaxSize,
		RegistryGrowStep:    registrySize,
		CallStackSize:       callStackSize,
		MinimizeStackMemory: true,
	})
	s.L.SetContext(ctx)
	s.openLibs()
	s.bind()
	return s
}

// Close frees the machine and closes the files that the script left open.
func (s *State) Close() error {
	var errs []error
	for f := range s.files {
		errs = append(errs, f.close())
	}
	s.cancel()
	s.L.Close()
	if s.client != nil {
		errs = append(errs, s.client.Close())
	}
	return errors.Join(errs...)
}

// Script is a program and what it is called with.
type Script struct {
	Name string // as it appears in errors; arg[0]
	Path string // absolute path of the file, "" when it is no file; `require` looks beside it
	Text io.Reader
	Args []string // arg[1]…
}

// Run runs a script to its end and returns its exit status: 0, the status that
// it gave to os.exit, or 1 with an error. An interrupted script returns 130
// and the context's error.
func (s *State) Run(script Script) (int, error) {
	fn, err := s.Load(script)
	if err != nil {
		return 1, err
	}
	args := make([]lua.LValue, len(script.Args))
	for i, a := range script.Args {
		args[i] = lua.LString(a)
	}
	_, err = s.Call(fn, 0, args...)
	return s.status(err)
}

// Load compiles a script and sets `arg` and the folder of `require` for it.
func (s *State) Load(script Script) (*lua.LFunction, error) {
	if script.Path != "" {
		s.setRequirePath(filepath.Dir(script.Path))
	}
	arg := s.L.NewTable()
	arg.RawSetInt(0, lua.LString(script.Name))
	for i, a := range script.Args {
		arg.RawSetInt(i+1, lua.LString(a))
	}
	s.L.SetGlobal("arg", arg)
	return s.compile(s.L, script.Text, script.Name)
}

// Call calls a Lua function and returns its first n results. An error is an
// *Error, errExit after os.exit, or the context's.
func (s *State) Call(fn lua.LValue, n int, args ...lua.LValue) ([]lua.LValue, error) {
	top := s.L.GetTop()
	defer s.L.SetTop(top)
	if err := s.L.CallByParam(lua.P{Fn: fn, NRet: n, Protect: true}, args...); err != nil {
		return nil, s.scriptError(err)
	}
	if s.exit != nil { // os.exit was the last instruction, or its error was caught
		return nil, errExit
	}
	results := make([]lua.LValue, n)
	for i := range results {
		results[i] = s.L.Get(top + 1 + i)
	}
	return results, nil
}

// ExitStatus translates the error of Call into an exit status; the error that
// comes back is what is left to report.
func (s *State) ExitStatus(err error) (int, error) { return s.status(err) }

func (s *State) status(err error) (int, error) {
	switch {
	case s.exit != nil:
		return *s.exit, nil
	case err == nil:
		return 0, nil
	case s.ctx.Err() != nil:
		return statusInterrupted, err
	}
	return 1, err
}

// statusInterrupted is what shells report for a command that Ctrl-C ended.
const statusInterrupted = 130

// errExit is how os.exit leaves Lua.
var errExit = errors.New("script called os.exit")

// path resolves a file name of the script against the invocation's folder.
func (s *State) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.inv.Dir, name)
}

// stdin is what a command that shares the script's standard input reads from:
// the invocation's own, unless the script has read ahead.
func (s *State) stdin() io.Reader {
	if s.in.Buffered() > 0 {
		return s.in
	}
	return s.inv.In
}
