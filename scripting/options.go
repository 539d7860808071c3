package scripting

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	lua "github.com/yuin/gopher-lua"

	"github.com/nacre-sh/nacre/plugins"
)

// options reads a table of named options. Every key that nobody asked for is
// an error at done: a typing mistake must not pass in silence.
type options struct {
	table *lua.LTable
	known []string
	err   error
}

// optionsAt reads the options from argument n; no argument means none given.
func optionsAt(L *lua.LState, n int) *options {
	switch v := L.Get(n).(type) {
	case *lua.LTable:
		return &options{table: v}
	case *lua.LNilType:
		return &options{table: L.NewTable()}
	default:
		return &options{table: L.NewTable(), err: invalid("want a table of options, got a %s", v.Type())}
	}
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}

// get returns an option's value, nil when it is not given.
func (o *options) get(name string) lua.LValue {
	o.known = append(o.known, name)
	return o.table.RawGetString(name)
}

func (o *options) fail(name, want string, v lua.LValue) {
	if o.err == nil {
		o.err = invalid("%s: want %s, got a %s", name, want, v.Type())
	}
}

func (o *options) boolean(name string) bool {
	switch v := o.get(name).(type) {
	case *lua.LNilType:
		return false
	case lua.LBool:
		return bool(v)
	default:
		o.fail(name, "true or false", v)
		return false
	}
}

func (o *options) text(name string) string {
	v := o.get(name)
	if v == lua.LNil {
		return ""
	}
	if !lua.LVCanConvToString(v) {
		o.fail(name, "a string", v)
	}
	return lua.LVAsString(v)
}

func (o *options) number(name string, otherwise int) int {
	switch v := o.get(name).(type) {
	case *lua.LNilType:
		return otherwise
	case lua.LNumber:
		return int(v)
	default:
		o.fail(name, "a number", v)
		return otherwise
	}
}

// list reads a list of strings; one string is a list of one.
func (o *options) list(name string) []string {
	v := o.get(name)
	if v == lua.LNil {
		return nil
	}
	list, err := stringsOf(v)
	if err != nil {
		o.fail(name, "a list of strings", v)
	}
	return list
}

// pairs reads a table NAME = value, or a list of "NAME=value".
func (o *options) pairs(name string) map[string]string {
	v := o.get(name)
	t, ok := v.(*lua.LTable)
	if !ok {
		if v != lua.LNil {
			o.fail(name, "a table", v)
		}
		return nil
	}
	pairs := map[string]string{}
	t.ForEach(func(k, v lua.LValue) {
		if _, isIndex := k.(lua.LNumber); isIndex {
			key, value, _ := strings.Cut(lua.LVAsString(v), "=")
			pairs[key] = value
			return
		}
		pairs[k.String()] = scalar(v)
	})
	return pairs
}

// positional is the list part: {"a", "b", name = …} gives a, b.
func (o *options) positional() []string {
	var list []string
	for i := 1; i <= o.table.Len(); i++ {
		list = append(list, argument(o.table.RawGetInt(i)))
	}
	return list
}

// done reports the first wrong value or the first key that nobody knows.
func (o *options) done() error {
	if o.err != nil {
		return o.err
	}
	o.table.ForEach(func(k, _ lua.LValue) {
		name, ok := k.(lua.LString)
		if !ok || o.err != nil || slices.Contains(o.known, string(name)) {
			return
		}
		text := fmt.Sprintf("unknown option %q", string(name))
		if near := plugins.Nearest(string(name), o.known); near != "" {
			text += fmt.Sprintf(" (did you mean %s?)", near)
		}
		o.err = invalid("%s", text)
	})
	return o.err
}

// scalar is the text of a value that stands for one word.
func scalar(v lua.LValue) string {
	if b, ok := v.(lua.LBool); ok {
		return b.String()
	}
	return lua.LVAsString(v)
}

// argument is the text of a value as a command's argument: an image or
// container stands for its id.
func argument(v lua.LValue) string {
	if t, ok := v.(*lua.LTable); ok {
		return lua.LVAsString(t.RawGetString("id"))
	}
	return scalar(v)
}

// stringsOf reads a string or a list of strings and objects.
func stringsOf(v lua.LValue) ([]string, error) {
	t, ok := v.(*lua.LTable)
	if !ok {
		if !lua.LVCanConvToString(v) {
			return nil, invalid("want a string or a list of strings, got a %s", v.Type())
		}
		return []string{lua.LVAsString(v)}, nil
	}
	if id := t.RawGetString("id"); id != lua.LNil {
		return []string{lua.LVAsString(id)}, nil
	}
	list := make([]string, 0, t.Len())
	for i := 1; i <= t.Len(); i++ {
		inner, err := stringsOf(t.RawGetInt(i))
		if err != nil {
			return nil, err
		}
		list = append(list, inner...)
	}
	return list, nil
}
