package scripting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func jsonSection() section {
	return section{
		name: "nacre.json",
		doc:  "JSON.",
		fields: []field{
			{"null", "value", "what null becomes inside of lists and objects, and what to write it with"},
		},
		funcs: []function{
			{"encode", "(value, {indent = false})", "string", "Writes a value as JSON. A table with a list part is an array, any other an object; an empty one is an object unless `nacre.json.array` has marked it. A table with both parts, a function, a cycle or a number that is none is an error.", jsonEncode},
			{"decode", "(text)", "value", "Reads one JSON value.", jsonDecode},
			{"array", "(table)", "table", "Marks a table as an array, for empty ones.", jsonArray},
		},
	}
}

// arrayMark is a metatable field that tells an empty array from an empty object.
const arrayMark = "__json_array"

// maxJSONDepth bounds nesting; a table that contains itself runs into it.
const maxJSONDepth = 200

// jsonNull is the value of nacre.json.null: nil cannot be stored in a table.
func jsonNull() *lua.LUserData {
	return &lua.LUserData{Value: json.RawMessage("null"), Metatable: lua.LNil}
}

func isNull(v lua.LValue) bool {
	ud, ok := v.(*lua.LUserData)
	if !ok {
		return false
	}
	_, ok = ud.Value.(json.RawMessage)
	return ok
}

func jsonEncode(_ *State, L *lua.LState) (int, error) {
	value, err := toGo(L.CheckAny(1), 0)
	if err != nil {
		return 0, err
	}
	o := optionsAt(L, 2)
	indent := o.boolean("indent")
	if err := o.done(); err != nil {
		return 0, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(value); err != nil {
		return 0, invalid("json: %s", err)
	}
	L.Push(lua.LString(strings.TrimSuffix(out.String(), "\n")))
	return 1, nil
}

// toGo makes of a Lua value what encoding/json writes.
func toGo(v lua.LValue, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, invalid("json: tables nested deeper than %d, or a table that contains itself", maxJSONDepth)
	}
	switch v := v.(type) {
	case *lua.LNilType:
		return nil, nil
	case lua.LBool:
		return bool(v), nil
	case lua.LString:
		return string(v), nil
	case lua.LNumber:
		if f := float64(v); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f), nil
		}
		return float64(v), nil
	case *lua.LTable:
		return tableToGo(v, depth)
	}
	if isNull(v) {
		return nil, nil
	}
	return nil, invalid("json: cannot write a %s", v.Type())
}

func tableToGo(t *lua.LTable, depth int) (any, error) {
	object := map[string]any{}
	var err error
	t.ForEach(func(k, v lua.LValue) {
		if n, ok := k.(lua.LNumber); ok && float64(n) == math.Trunc(float64(n)) && int(n) >= 1 && int(n) <= t.Len() {
			return
		}
		inner, e := toGo(v, depth+1)
		if e != nil && err == nil {
			err = e
		}
		object[scalarKey(k)] = inner
	})
	if err != nil {
		return nil, err
	}
	if t.Len() == 0 && !isArray(t) {
		return object, nil
	}
	if len(object) > 0 {
		return nil, invalid("json: a table with a list part and with names is neither array nor object")
	}
	list := make([]any, 0, t.Len())
	for i := 1; i <= t.Len(); i++ {
		inner, err := toGo(t.RawGetInt(i), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, inner)
	}
	return list, nil
}

func scalarKey(k lua.LValue) string { return k.String() }

func isArray(t *lua.LTable) bool {
	mt, ok := t.Metatable.(*lua.LTable)
	return ok && lua.LVAsBool(mt.RawGetString(arrayMark))
}

func jsonArray(_ *State, L *lua.LState) (int, error) {
	t := L.CheckTable(1)
	markArray(L, t)
	L.Push(t)
	return 1, nil
}

func markArray(L *lua.LState, t *lua.LTable) {
	mt := L.NewTable()
	mt.RawSetString(arrayMark, lua.LTrue)
	t.Metatable = mt
}

func jsonDecode(_ *State, L *lua.LState) (int, error) {
	values, err := decodeAll(strings.NewReader(L.CheckString(1)))
	if err != nil {
		return 0, err
	}
	if len(values) != 1 {
		return 0, invalid("json: want one value, got %d", len(values))
	}
	L.Push(fromGo(L, values[0], false))
	return 1, nil
}

// decodeAll reads JSON values until the end.
func decodeAll(r io.Reader) ([]any, error) {
	var values []any
	for dec := json.NewDecoder(r); ; {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, invalid("json: %s", err)
		}
		values = append(values, v)
	}
}

// fromGo makes a Lua value of a decoded one. Inside of tables null is
// nacre.json.null, so that lists keep their length.
func fromGo(L *lua.LState, v any, inside bool) lua.LValue {
	switch v := v.(type) {
	case bool:
		return lua.LBool(v)
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case []any:
		t := L.CreateTable(len(v), 0)
		for _, inner := range v {
			t.Append(fromGo(L, inner, true))
		}
		if len(v) == 0 {
			markArray(L, t)
		}
		return t
	case map[string]any:
		t := L.CreateTable(0, len(v))
		for k, inner := range v {
			if inner != nil { // an absent field and a null one read the same
				t.RawSetString(k, fromGo(L, inner, true))
			}
		}
		return t
	case nil:
		if inside {
			return nullOf(L)
		}
		return lua.LNil
	}
	panic(fmt.Sprintf("json: no Lua value for %T", v))
}

// nullOf is the machine's one nacre.json.null.
func nullOf(L *lua.LState) lua.LValue {
	return L.GetField(L.GetField(L.GetGlobal("nacre"), "json"), "null")
}

// pushJSON pushes the Lua form of what encoding/json would write for v.
func pushJSON(L *lua.LState, v any) (int, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	values, err := decodeAll(bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	L.Push(fromGo(L, values[0], false))
	return 1, nil
}

func resultOut(L *lua.LState) string { return lua.LVAsString(L.CheckTable(1).RawGetString("out")) }

func resultLines(_ *State, L *lua.LState) (int, error) {
	rest := resultOut(L)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if rest == "" {
			L.Push(lua.LNil)
			return 1
		}
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		L.Push(lua.LString(line))
		return 1
	}))
	return 1, nil
}

func (s *State) resultJSON(L *lua.LState) (int, error) {
	values, err := decodeAll(strings.NewReader(resultOut(L)))
	if err != nil {
		return 0, err
	}
	if len(values) == 1 {
		L.Push(fromGo(L, values[0], false))
		return 1, nil
	}
	L.Push(fromGo(L, values, false))
	return 1, nil
}
