package scripting

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxString bounds what one call of string.rep, format or gsub may build.
const maxString = 64 << 20

// maxConcat bounds table.concat, which scripts use to put files together.
const maxConcat = 1 << 30

var errTooLarge = errors.New("resulting string too large")

// openStrings replaces the functions of the string library that can run for
// minutes or fill the memory in one call.
func (s *State) openStrings() {
	lib := s.L.GetGlobal("string").(*lua.LTable)
	for name, fn := range map[string]lua.LGFunction{
		"find":   s.checked(func(L *lua.LState) (int, error) { return s.find(L, true) }),
		"match":  s.checked(func(L *lua.LState) (int, error) { return s.find(L, false) }),
		"gmatch": s.checked(s.gmatch),
		"gfind":  s.checked(s.gmatch),
		"gsub":   s.checked(s.gsub),
		"rep":    s.checked(rep),
		"format": s.checked(format),
	} {
		lib.RawSetString(name, s.L.NewFunction(fn))
	}
	lib.RawSetString("byte", s.L.NewFunction(s.checked(byteCodes(lib.RawGetString("byte")))))
	concat := s.L.GetGlobal("table").(*lua.LTable)
	concat.RawSetString("concat", s.L.NewFunction(s.checked(boundedConcat(concat.RawGetString("concat")))))
}

// byteCodes bounds string.byte, whose results all go onto the stack.
func byteCodes(original lua.LValue) func(*lua.LState) (int, error) {
	return func(L *lua.LState) (int, error) {
		length := len(L.CheckString(1))
		first := startIndex(L.OptInt(2, 1), length)
		last := L.OptInt(3, first+1)
		if last < 0 {
			last += length + 1
		}
		if min(last, length)-first > maxResults {
			return 0, errors.New("string slice too long")
		}
		return callOriginal(L, original), nil
	}
}

// boundedConcat adds up before table.concat does, so that a short list of long
// strings does not fill the memory in one call.
func boundedConcat(original lua.LValue) func(*lua.LState) (int, error) {
	return func(L *lua.LState) (int, error) {
		t, sep := L.CheckTable(1), len(L.OptString(2, ""))
		total := 0
		for i := L.OptInt(3, 1); i <= min(L.OptInt(4, t.Len()), t.Len()); i++ {
			total += sep
			if text, ok := t.RawGetInt(i).(lua.LString); ok {
				total += len(text)
			}
			if total > maxConcat {
				return 0, errTooLarge
			}
		}
		return callOriginal(L, original), nil
	}
}

// callOriginal passes the arguments on to a function of the library.
func callOriginal(L *lua.LState, original lua.LValue) int {
	top := L.GetTop()
	L.Push(original)
	for i := 1; i <= top; i++ {
		L.Push(L.Get(i))
	}
	L.Call(top, lua.MultRet)
	return L.GetTop() - top
}

// checked makes a plain Lua error of a Go error, with the script's position.
func (s *State) checked(fn func(L *lua.LState) (int, error)) lua.LGFunction {
	return func(L *lua.LState) int {
		n, err := fn(L)
		if err != nil {
			L.RaiseError("%s", err.Error())
		}
		return n
	}
}

// startIndex turns Lua's 1-based, possibly negative index into an offset.
func startIndex(i, length int) int {
	switch {
	case i > 0:
		i--
	case i < 0:
		i = max(length+i, 0)
	}
	return i
}

func (s *State) find(L *lua.LState, positions bool) (int, error) {
	src, pat := L.CheckString(1), L.CheckString(2)
	init := min(startIndex(L.OptInt(3, 1), len(src)), len(src))
	plain := positions && (L.ToBool(4) || !strings.ContainsAny(pat, "^$*+?.([%-"))
	if plain {
		return findPlain(L, src, pat, init), nil
	}
	m, err := findPattern(s.ctx, src, pat, init, true)
	if err != nil {
		return 0, err
	}
	if m == nil {
		L.Push(lua.LNil)
		return 1, nil
	}
	if !positions {
		return pushCaptures(L, src, m, true)
	}
	L.Push(lua.LNumber(m.start + 1))
	L.Push(lua.LNumber(m.end))
	n, err := pushCaptures(L, src, m, false)
	return n + 2, err
}

func findPlain(L *lua.LState, src, text string, init int) int {
	i := strings.Index(src[init:], text)
	if i < 0 {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LNumber(init + i + 1))
	L.Push(lua.LNumber(init + i + len(text)))
	return 2
}

// captureValue is the i-th capture; the whole match stands for the first one of
// a pattern without captures.
func captureValue(src string, m *match, i int) (lua.LValue, error) {
	if i == 0 && len(m.captures) == 0 {
		return lua.LString(src[m.start:m.end]), nil
	}
	if i >= len(m.captures) {
		return nil, errors.New("invalid capture index")
	}
	switch c := m.captures[i]; c.length {
	case captureHere:
		return lua.LNumber(c.start + 1), nil
	case captureOpen:
		return nil, errors.New("unfinished capture")
	default:
		return lua.LString(src[c.start : c.start+c.length]), nil
	}
}

func pushCaptures(L *lua.LState, src string, m *match, whole bool) (int, error) {
	n := len(m.captures)
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		v, err := captureValue(src, m, i)
		if err != nil {
			return 0, err
		}
		L.Push(v)
	}
	return n, nil
}

// gmatch returns an iterator over the matches.
func (s *State) gmatch(L *lua.LState) (int, error) {
	src, pat := L.CheckString(1), L.CheckString(2)
	at := 0
	L.Push(L.NewFunction(s.checked(func(L *lua.LState) (int, error) {
		if at > len(src) {
			L.Push(lua.LNil)
			return 1, nil
		}
		m, err := findPattern(s.ctx, src, pat, at, false)
		if err != nil {
			return 0, err
		}
		if m == nil {
			L.Push(lua.LNil)
			return 1, nil
		}
		at = m.end
		if m.end == m.start {
			at++
		}
		return pushCaptures(L, src, m, true)
	})))
	return 1, nil
}

func (s *State) gsub(L *lua.LState) (int, error) {
	src, pat := L.CheckString(1), L.CheckString(2)
	L.CheckTypes(3, lua.LTString, lua.LTNumber, lua.LTTable, lua.LTFunction)
	repl, limit := L.Get(3), L.OptInt(4, math.MaxInt)
	var out strings.Builder
	at, n := 0, 0
	for n < limit && at <= len(src) {
		m, err := findPattern(s.ctx, src, pat, at, true)
		if err != nil {
			return 0, err
		}
		if m == nil {
			break
		}
		n++
		out.WriteString(src[at:m.start])
		text, err := replacement(L, src, m, repl)
		if err != nil {
			return 0, err
		}
		out.WriteString(text)
		if out.Len() > maxString {
			return 0, errTooLarge
		}
		at = m.end
		if m.end == m.start { // an empty match: one character goes through as it is
			if at < len(src) {
				out.WriteByte(src[at])
			}
			at++
		}
		if strings.HasPrefix(pat, "^") {
			break
		}
	}
	if at < len(src) {
		out.WriteString(src[at:])
	}
	L.Push(lua.LString(out.String()))
	L.Push(lua.LNumber(n))
	return 2, nil
}

// replacement is what gsub puts in place of one match.
func replacement(L *lua.LState, src string, m *match, repl lua.LValue) (string, error) {
	var value lua.LValue
	switch r := repl.(type) {
	case *lua.LTable:
		key, err := captureValue(src, m, 0)
		if err != nil {
			return "", err
		}
		value = L.GetTable(r, key)
	case *lua.LFunction:
		L.Push(r)
		n, err := pushCaptures(L, src, m, true)
		if err != nil {
			return "", err
		}
		L.Call(n, 1)
		value = L.Get(-1)
		L.Pop(1)
	default:
		return expand(src, m, lua.LVAsString(repl))
	}
	if lua.LVIsFalse(value) {
		return src[m.start:m.end], nil
	}
	if !lua.LVCanConvToString(value) {
		return "", fmt.Errorf("invalid replacement value (a %s)", value.Type())
	}
	return lua.LVAsString(value), nil
}

// expand replaces %0 to %9 and %% in a replacement string.
func expand(src string, m *match, repl string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(repl); i++ {
		if repl[i] != '%' {
			out.WriteByte(repl[i])
			continue
		}
		i++
		switch {
		case i == len(repl):
			return "", errors.New("invalid use of '%' in replacement string")
		case repl[i] == '0':
			out.WriteString(src[m.start:m.end])
		case isDigit(repl[i]):
			v, err := captureValue(src, m, int(repl[i]-'1'))
			if err != nil {
				return "", err
			}
			out.WriteString(lua.LVAsString(v))
		default:
			out.WriteByte(repl[i])
		}
	}
	return out.String(), nil
}

// rep is string.rep, with Lua 5.2's separator.
func rep(L *lua.LState) (int, error) {
	text, n, sep := L.CheckString(1), L.CheckInt(2), L.OptString(3, "")
	if n <= 0 || len(text)+len(sep) == 0 {
		L.Push(lua.LString(""))
		return 1, nil
	}
	if n > maxString/(len(text)+len(sep)) {
		return 0, errTooLarge
	}
	L.Push(lua.LString(strings.Repeat(text+sep, n-1) + text))
	return 1, nil
}

// format is string.format: C's conversions, widths of at most two digits.
func format(L *lua.LState) (int, error) {
	spec := L.CheckString(1)
	var out strings.Builder
	arg := 1
	for i := 0; i < len(spec); i++ {
		if spec[i] != '%' {
			out.WriteByte(spec[i])
			continue
		}
		if i++; i < len(spec) && spec[i] == '%' {
			out.WriteByte('%')
			continue
		}
		start := i
		for i < len(spec) && strings.IndexByte("-+ #0123456789.", spec[i]) >= 0 {
			i++
		}
		if i == len(spec) {
			return 0, errors.New("invalid option '%' to 'format' (the string ends in it)")
		}
		arg++
		text, err := formatOne(L, spec[start:i], spec[i], arg)
		if err != nil {
			return 0, err
		}
		if out.WriteString(text); out.Len() > maxString {
			return 0, errTooLarge
		}
	}
	L.Push(lua.LString(out.String()))
	return 1, nil
}

func formatOne(L *lua.LState, flags string, verb byte, arg int) (string, error) {
	width, precision, hasPrecision := strings.Cut(strings.TrimLeft(flags, "-+ #0"), ".")
	if len(width) > 2 || len(precision) > 2 || strings.Contains(precision, ".") {
		return "", errors.New("invalid format (width or precision too long)")
	}
	switch verb {
	case 'c':
		return fmt.Sprintf("%"+flags+"s", string([]byte{byte(L.CheckInt(arg))})), nil
	case 'd', 'i':
		return fmt.Sprintf("%"+flags+"d", int64(L.CheckNumber(arg))), nil
	case 'u', 'o', 'x', 'X':
		if verb == 'u' {
			verb = 'd'
		}
		return fmt.Sprintf("%"+flags+string(verb), uint64(int64(L.CheckNumber(arg)))), nil
	case 'e', 'E', 'f', 'g', 'G':
		if !hasPrecision {
			flags += ".6"
		}
		return fmt.Sprintf("%"+flags+string(verb), float64(L.CheckNumber(arg))), nil
	case 'q':
		return quote(L.CheckString(arg)), nil
	case 's':
		text := L.ToStringMeta(L.CheckAny(arg)).String()
		return fmt.Sprintf("%"+flags+"s", text), nil
	}
	return "", fmt.Errorf("invalid option '%%%c' to 'format'", verb)
}

// quote is %q: a string that Lua reads back as it was.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", "\\\n", "\r", `\r`, "\x00", `\000`).Replace(text) + `"`
}

// interrupted tells a long loop in Go to stop.
func (s *State) interrupted() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return nil
}
