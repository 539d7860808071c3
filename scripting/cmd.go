package scripting

import (
	lua "github.com/yuin/gopher-lua"
)

func cmdSection() section {
	return section{
		name: "nacre.cmd",
		doc: "Every command that can be typed is a function of `nacre.cmd`: docker's, nacre's own, and those of plugins. " +
			"`nacre.cmd.rmi(\"-f\", img)` runs `rmi -f ID`. Arguments are strings, numbers, images, containers, and lists of these.\n\n" +
			"A last table with names holds options: `stream = true` gives the command the script's own streams (otherwise its output is collected and its input is empty), " +
			"`input = text`, `dir = folder`, `env = {NAME = value}`, and `check = false`, which returns the result of a failed command instead of raising an error of class `exit`. " +
			"`nacre.cmd.pull{\"busybox\", stream = true}` is the same in one table. A word that is no command raises `not_found`.",
		funcs: nil,
	}
}

// bindCmd makes nacre.cmd.NAME a function for every word.
func (s *State) bindCmd() {
	mt := s.L.NewTable()
	mt.RawSetString("__index", s.L.NewFunction(func(L *lua.LState) int {
		name := L.CheckString(2)
		L.Push(L.NewFunction(s.binding(function{name: name, call: func(s *State, L *lua.LState) (int, error) {
			return s.callCommand(L, name)
		}})))
		return 1
	}))
	s.tableAt("nacre.cmd").Metatable = mt
}

func (s *State) callCommand(L *lua.LState, name string) (int, error) {
	args, e, err := commandArguments(L)
	if err != nil {
		return 0, err
	}
	r, err := s.command(append([]string{name}, args...), e)
	if err != nil {
		return 0, err
	}
	L.Push(s.resultTable(L, r))
	return 1, nil
}

// commandArguments reads the arguments of a nacre.cmd function.
func commandArguments(L *lua.LState) ([]string, execOptions, error) {
	e := execOptions{check: true}
	var args []string
	for i := 1; i <= L.GetTop(); i++ {
		v := L.Get(i)
		if t, ok := v.(*lua.LTable); ok && i == L.GetTop() && hasNames(t) {
			o := &options{table: t}
			e = execOptionsFrom(o, true)
			if err := o.done(); err != nil {
				return nil, e, err
			}
			v = listPart(L, t)
		}
		words, err := stringsOf(v)
		if err != nil {
			return nil, e, err
		}
		args = append(args, words...)
	}
	return args, e, nil
}

// hasNames tells a table of options from an object and from a plain list.
func hasNames(t *lua.LTable) bool {
	if t.RawGetString("id") != lua.LNil {
		return false
	}
	names := false
	t.ForEach(func(k, _ lua.LValue) {
		if _, ok := k.(lua.LString); ok {
			names = true
		}
	})
	return names
}

func listPart(L *lua.LState, t *lua.LTable) *lua.LTable {
	list := L.NewTable()
	for i := 1; i <= t.Len(); i++ {
		list.Append(t.RawGetInt(i))
	}
	return list
}

func resultSection() section {
	return section{
		name:   typeResult,
		object: "result",
		doc:    "What a command left. `tostring(result)` is its output without the newlines at the end, as `$(…)` gives it.",
		fields: []field{
			{"out", "string", "standard output, empty with `stream`"},
			{"err", "string", "standard error, empty with `stream`"},
			{"status", "number", "exit status"},
			{"ok", "boolean", "whether the status is 0"},
		},
		funcs: []function{
			{"lines", "()", "iterator", "Iterates over the lines of the output: `for id in nacre.cmd.ps(\"-aq\"):lines() do … end`.", resultLines},
			{"json", "()", "value", "Reads the output as JSON; several values, one after the other, become a list.", (*State).resultJSON},
		},
	}
}

func errorSection() section {
	return section{
		name:   typeError,
		object: "err",
		doc: "What nacre's functions raise. `pcall` catches it; `tostring(err)` is position and message. " +
			"Nobody catches it: the script ends with status 1 and the text on standard error.",
		fields: []field{
			{"class", "string", "`not_found`, `conflict`, `invalid_argument`, `permission_denied`, `unauthenticated`, `not_implemented`, `unavailable`, `deadline_exceeded`, `canceled`, `internal`; `exit` for a command that failed"},
			{"message", "string", "what happened"},
			{"status", "number", "the command's exit status, else 1"},
			{"stderr", "string", "what a failed command wrote, for class `exit`"},
			{"where", "string", "`file.lua:12`"},
		},
	}
}
