package scripting

import (
	lua "github.com/yuin/gopher-lua"
)

func envSection() section {
	return section{
		name: "nacre.env",
		doc:  "The script's environment: `nacre.env.HOME` reads, `nacre.env.NAME = \"v\"` sets, `nacre.env.NAME = nil` removes. Commands that the script runs inherit it; the shell that runs the script does not see it. `os.getenv` and `os.setenv` work on the same.",
	}
}

func (s *State) bindEnv() {
	mt := s.L.NewTable()
	mt.RawSetString("__index", s.L.NewFunction(func(L *lua.LState) int {
		v, ok := s.env.get(L.CheckString(2))
		if !ok {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LString(v))
		return 1
	}))
	mt.RawSetString("__newindex", s.L.NewFunction(func(L *lua.LState) int {
		name := L.CheckString(2)
		if L.Get(3) == lua.LNil {
			s.env.unset(name)
			return 0
		}
		s.env.set(name, L.CheckString(3))
		return 0
	}))
	s.tableAt("nacre.env").Metatable = mt
}
