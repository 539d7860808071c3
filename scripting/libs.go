package scripting

import (
	"errors"
	"fmt"
	"os"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openLibs opens Lua's libraries and replaces what would reach for the
// process. Not opened: channel, which would share the machine between
// goroutines, and io, which io.go provides.
func (s *State) openLibs() {
	for _, lib := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.OsLibName, lua.OpenOs},
		{lua.StringLibName, lua.OpenString},
		{lua.MathLibName, lua.OpenMath},
		{lua.DebugLibName, lua.OpenDebug},
		{lua.CoroutineLibName, lua.OpenCoroutine},
	} {
		s.L.Push(s.L.NewFunction(lib.open))
		s.L.Push(lua.LString(lib.name))
		s.L.Call(1, 0)
	}
	s.openBase()
	s.openOS()
	s.openIO()
	s.openStrings()
	s.openLoaders()
}

func (s *State) openBase() {
	s.L.SetGlobal("print", s.L.NewFunction(s.checked(s.print)))
	s.L.SetGlobal("unpack", s.L.NewFunction(s.checked(unpack)))
	s.L.SetGlobal("_printregs", lua.LNil) // writes to the process's standard output
}

// print writes to the invocation's standard output. A reader that went away
// (`nacre x.lua | head -1`) ends the script.
func (s *State) print(L *lua.LState) (int, error) {
	words := make([]string, L.GetTop())
	for i := range words {
		words[i] = L.ToStringMeta(L.Get(i + 1)).String()
	}
	_, err := fmt.Fprintln(s.inv.Out, strings.Join(words, "\t"))
	return 0, err
}

// maxResults bounds what one call of unpack and string.byte returns.
const maxResults = 8000

// unpack returns the elements of a list.
func unpack(L *lua.LState) (int, error) {
	t := L.CheckTable(1)
	first, last := L.OptInt(2, 1), L.OptInt(3, t.Len())
	if last < first {
		return 0, nil
	}
	if last-first >= maxResults || last-first < 0 {
		return 0, errors.New("too many results to unpack")
	}
	for i := first; i <= last; i++ {
		L.Push(t.RawGetInt(i))
	}
	return last - first + 1, nil
}

func (s *State) openOS() {
	lib := s.L.GetGlobal("os").(*lua.LTable)
	for name, fn := range map[string]lua.LGFunction{
		"exit":    s.osExit,
		"getenv":  s.osGetenv,
		"setenv":  s.osSetenv,
		"execute": s.osExecute,
		"remove":  s.osRemove,
		"rename":  s.osRename,
		"tmpname": s.checked(osTmpname),
	} {
		lib.RawSetString(name, s.L.NewFunction(fn))
	}
}

// osExit ends the script, never the process: it remembers the status and ends
// the machine's context, so that no pcall of the script can hold it back.
func (s *State) osExit(L *lua.LState) int {
	status := 0
	switch v := L.Get(1).(type) {
	case lua.LBool:
		if !bool(v) {
			status = 1
		}
	case *lua.LNilType:
	default:
		status = L.CheckInt(1) & 0xff
	}
	s.exit = &status
	s.cancel()
	L.RaiseError("%s", errExit.Error())
	return 0
}

func (s *State) osGetenv(L *lua.LState) int {
	v, ok := s.env.get(L.CheckString(1))
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LString(v))
	return 1
}

func (s *State) osSetenv(L *lua.LState) int {
	s.env.set(L.CheckString(1), L.CheckString(2))
	L.Push(lua.LTrue)
	return 1
}

// osExecute runs a line of the shell with the script's own streams and returns
// its status.
func (s *State) osExecute(L *lua.LState) int {
	if L.GetTop() == 0 {
		L.Push(lua.LNumber(1)) // there is a shell
		return 1
	}
	r, err := s.source(L.CheckString(1), execOptions{stream: true})
	if err != nil {
		s.raise(L, err)
	}
	L.Push(lua.LNumber(r.status))
	return 1
}

// pushOutcome returns what os and io functions return: true, or nil and why.
func pushOutcome(L *lua.LState, err error) int {
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(lua.LTrue)
	return 1
}

func (s *State) osRemove(L *lua.LState) int {
	return pushOutcome(L, os.Remove(s.path(L.CheckString(1))))
}

func (s *State) osRename(L *lua.LState) int {
	return pushOutcome(L, os.Rename(s.path(L.CheckString(1)), s.path(L.CheckString(2))))
}

// osTmpname makes an empty file and returns its name; unlike a name alone,
// nobody else can take it.
func osTmpname(L *lua.LState) (int, error) {
	f, err := os.CreateTemp("", "nacre-lua-")
	if err != nil {
		return 0, err
	}
	L.Push(lua.LString(f.Name()))
	return 1, f.Close()
}
