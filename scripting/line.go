package scripting

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Line runs one line of a dialogue: the values of an expression are printed.
// ended tells that the machine is at its end (os.exit, or the context's);
// incomplete that the text needs more lines.
func (s *State) Line(text string) (ended, incomplete bool, err error) {
	expression := strings.TrimPrefix(strings.TrimSpace(text), "=")
	fn, err := s.Load(Script{Name: "lua", Text: strings.NewReader("return " + expression)})
	if err != nil {
		fn, err = s.Load(Script{Name: "lua", Text: strings.NewReader(text)})
	}
	if err != nil {
		return false, Incomplete(err), err
	}
	_, err = s.Call(s.L.NewFunction(func(L *lua.LState) int {
		L.Push(fn)
		L.Call(0, lua.MultRet)
		if L.GetTop() > 0 {
			if _, err := s.print(L); err != nil {
				L.RaiseError("%s", err.Error())
			}
		}
		return 0
	}), 0)
	return errors.Is(err, errExit) || s.ctx.Err() != nil, false, err
}
