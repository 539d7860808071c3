package scripting

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func logSection() section {
	level := func(name, doc string) function {
		return function{name, "(...)", "", doc, func(s *State, L *lua.LState) (int, error) { return 0, s.log(L, name) }}
	}
	return section{
		name: "nacre.log",
		doc:  "Lines on standard error, with the level in front. Values are joined by spaces.",
		funcs: []function{
			level("debug", "Only written when the environment has NACRE_DEBUG."),
			level("info", ""),
			level("warn", ""),
			level("error", "Writes; it does not end the script. `error(…)` does."),
		},
	}
}

func (s *State) log(L *lua.LState, level string) error {
	if on, _ := s.env.get("NACRE_DEBUG"); level == "debug" && on == "" {
		return nil
	}
	words := make([]string, L.GetTop())
	for i := range words {
		words[i] = L.ToStringMeta(L.Get(i + 1)).String()
	}
	_, err := fmt.Fprintf(s.inv.Err, "%s: %s\n", level, strings.Join(words, " "))
	return err
}
