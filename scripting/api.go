package scripting

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// function describes one function that scripts may call. The description makes
// the binding and the reference in docs/lua.md.
type function struct {
	name    string
	params  string // as written after the name: "(ref, {quiet = true})"
	returns string
	doc     string
	call    func(s *State, L *lua.LState) (int, error)
}

// field describes one value of a table or object.
type field struct{ name, kind, doc string }

// section describes a table of the API ("nacre", "nacre.json") or, with
// object, the methods and fields of a kind of value.
type section struct {
	name   string
	object string // how the reference names a receiver: "img"
	doc    string
	fields []field
	funcs  []function
}

// Names of the kinds of values.
const (
	typeError     = "error"
	typeResult    = "result"
	typeImage     = "image"
	typeContainer = "container"
)

// sections is the whole API, in the order of the reference.
func sections() []section {
	return []section{
		nacreSection(),
		cmdSection(),
		imageSection(),
		containerSection(),
		resultSection(),
		errorSection(),
		mirrorSection(),
		jsonSection(),
		logSection(),
		envSection(),
	}
}

// bind makes the tables and metatables of all sections.
func (s *State) bind() {
	for _, sec := range sections() {
		if sec.object != "" {
			s.bindObject(sec)
			continue
		}
		t := s.tableAt(sec.name)
		for _, f := range sec.funcs {
			t.RawSetString(f.name, s.L.NewFunction(s.binding(f)))
		}
	}
	s.bindCmd()
	s.bindEnv()
	s.bindText()
	root := s.tableAt("nacre")
	root.RawSetString("interactive", lua.LBool(s.inv.Interactive))
	s.tableAt("nacre.json").RawSetString("null", jsonNull())
}

func (s *State) bindObject(sec section) {
	methods := s.L.NewTable()
	for _, f := range sec.funcs {
		methods.RawSetString(f.name, s.L.NewFunction(s.binding(f)))
	}
	mt := s.L.NewTable()
	mt.RawSetString("__index", methods)
	mt.RawSetString("__name", lua.LString(sec.name))
	s.types[sec.name] = mt
}

// binding makes a Lua function of a described one: Go errors become Lua errors
// with class and position.
func (s *State) binding(f function) lua.LGFunction {
	return func(L *lua.LState) int {
		if err := s.interrupted(); err != nil {
			s.raise(L, err)
		}
		n, err := f.call(s, L)
		if err != nil {
			s.raise(L, err)
		}
		return n
	}
}

// tableAt returns the global table of a dotted name, made when missing.
func (s *State) tableAt(name string) *lua.LTable {
	t := s.L.G.Global
	for _, part := range strings.Split(name, ".") {
		next, ok := t.RawGetString(part).(*lua.LTable)
		if !ok {
			next = s.L.NewTable()
			t.RawSetString(part, next)
		}
		t = next
	}
	return t
}

// bindText gives objects a text: an id for images and containers (so that they
// can be arguments of commands), the output for results, all of it for errors.
func (s *State) bindText() {
	id := func(t *lua.LTable) string { return lua.LVAsString(t.RawGetString("id")) }
	texts := map[string]func(*lua.LTable) string{
		typeImage:     id,
		typeContainer: id,
		typeResult:    func(t *lua.LTable) string { return strings.TrimRight(lua.LVAsString(t.RawGetString("out")), "\n") },
		typeError: func(t *lua.LTable) string {
			e := &Error{Where: lua.LVAsString(t.RawGetString("where")), Message: lua.LVAsString(t.RawGetString("message"))}
			return e.Error()
		},
	}
	for name, text := range texts {
		mt := s.types[name]
		mt.RawSetString("__tostring", s.L.NewFunction(func(L *lua.LState) int {
			L.Push(lua.LString(text(L.CheckTable(1))))
			return 1
		}))
		mt.RawSetString("__concat", s.L.NewFunction(func(L *lua.LState) int {
			L.Push(lua.LString(L.ToStringMeta(L.Get(1)).String() + L.ToStringMeta(L.Get(2)).String()))
			return 1
		}))
	}
}
