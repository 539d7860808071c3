package scripting

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// maxNesting bounds expressions and blocks inside of each other. The compiler
// of the library recurses without a bound, and a Go stack that is full ends
// the process, shell and all.
const maxNesting = 1000

// maxProgram bounds the text of one program; nothing interrupts the parser.
const maxProgram = 2 << 20

// compile reads and compiles a program. It is read to its end first, because
// the parser takes a read error for the end.
func (s *State) compile(L *lua.LState, text io.Reader, name string) (*lua.LFunction, error) {
	program, err := io.ReadAll(io.LimitReader(text, maxProgram+1))
	if err != nil {
		return nil, err
	}
	if len(program) > maxProgram {
		return nil, &Error{Class: "syntax", Where: name, Message: "program too large"}
	}
	chunk, err := parse.Parse(bytes.NewReader(skipHashBang(program)), name)
	if err != nil {
		return nil, syntaxError(err)
	}
	if line := tooDeep(chunk); line > 0 {
		return nil, &Error{Class: "syntax", Where: fmt.Sprintf("%s:%d", name, line), Message: fmt.Sprintf("nested deeper than %d", maxNesting)}
	}
	proto, err := lua.Compile(chunk, name)
	if err != nil {
		return nil, syntaxError(err)
	}
	return L.NewFunctionFromProto(proto), nil
}

// tooDeep returns the line where the nesting passes the bound, 0 when it does not.
func tooDeep(chunk []ast.Stmt) int { return deeper(reflect.ValueOf(chunk), 0, 1) }

// deeper looks through a syntax tree of any shape. Elements of a list are
// beside each other, what a node points to is inside of it.
func deeper(v reflect.Value, depth, line int) int {
	switch v.Kind() {
	case reflect.Interface:
		return deeper(v.Elem(), depth, line)
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
		if node, ok := v.Interface().(ast.PositionHolder); ok && node.Line() > 0 {
			line = node.Line()
		}
		if depth == maxNesting {
			return line
		}
		return deeper(v.Elem(), depth+1, line)
	case reflect.Slice:
		for i := range v.Len() {
			if found := deeper(v.Index(i), depth, line); found > 0 {
				return found
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if found := deeper(v.Field(i), depth, line); found > 0 {
				return found
			}
		}
	}
	return 0
}

// skipHashBang drops a first line like `#!/usr/bin/env nacre` but keeps its
// end, so that line numbers stay right.
func skipHashBang(program []byte) []byte {
	if !bytes.HasPrefix(program, []byte("#")) {
		return program
	}
	end := bytes.IndexByte(program, '\n')
	if end < 0 {
		return nil
	}
	return program[end:]
}

// openLoaders replaces all that compiles: dofile, load, loadfile, loadstring,
// and what require finds its files with.
func (s *State) openLoaders() {
	for name, fn := range map[string]lua.LGFunction{
		"dofile": s.dofile, "load": s.load, "loadfile": s.loadfile, "loadstring": s.loadstring,
	} {
		s.L.SetGlobal(name, s.L.NewFunction(fn))
	}
	loaders := s.L.GetGlobal("package").(*lua.LTable).RawGetString("loaders").(*lua.LTable)
	loaders.RawSetInt(2, s.L.NewFunction(s.requireFile)) // the first one knows package.preload
	s.setRequirePath(s.inv.Dir)
}

// loadFile compiles a file that the script names.
func (s *State) loadFile(L *lua.LState, name string) (*lua.LFunction, error) {
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return s.compile(L, f, name)
}

func (s *State) dofile(L *lua.LState) int {
	fn, err := s.loadFile(L, L.CheckString(1))
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	top := L.GetTop()
	L.Push(fn)
	L.Call(0, lua.MultRet)
	return L.GetTop() - top
}

// pushLoaded returns what the load functions return: the function, or nil and why.
func pushLoaded(L *lua.LState, fn *lua.LFunction, err error) int {
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(fn)
	return 1
}

func (s *State) loadfile(L *lua.LState) int {
	fn, err := s.loadFile(L, L.CheckString(1))
	return pushLoaded(L, fn, err)
}

func (s *State) loadstring(L *lua.LState) int {
	text := L.CheckString(1)
	fn, err := s.compile(L, strings.NewReader(text), L.OptString(2, "<string>"))
	return pushLoaded(L, fn, err)
}

// load compiles the pieces that a function returns until it returns nothing.
func (s *State) load(L *lua.LState) int {
	piece, name := L.CheckFunction(1), L.OptString(2, "?")
	var text strings.Builder
	for {
		L.Push(piece)
		L.Call(0, 1)
		v := L.Get(-1)
		L.Pop(1)
		if v == lua.LNil || v == lua.LString("") {
			break
		}
		if !lua.LVCanConvToString(v) {
			return pushLoaded(L, nil, fmt.Errorf("reader function must return a string"))
		}
		if text.WriteString(lua.LVAsString(v)); text.Len() > maxString {
			return pushLoaded(L, nil, errTooLarge)
		}
	}
	fn, err := s.compile(L, strings.NewReader(text.String()), name)
	return pushLoaded(L, fn, err)
}

// requireFile is the loader of require for files: it tries the patterns of
// package.path and answers with the function, or with where it looked.
func (s *State) requireFile(L *lua.LState) int {
	name := strings.ReplaceAll(L.CheckString(1), ".", string(filepath.Separator))
	path := lua.LVAsString(L.GetGlobal("package").(*lua.LTable).RawGetString("path"))
	var tried []string
	for _, pattern := range strings.Split(path, ";") {
		file := s.path(strings.ReplaceAll(pattern, "?", name))
		if _, err := os.Stat(file); err != nil {
			tried = append(tried, err.Error())
			continue
		}
		fn, err := s.loadFile(L, file)
		if err != nil {
			L.RaiseError("%s", err.Error())
		}
		L.Push(fn)
		return 1
	}
	L.Push(lua.LString(strings.Join(tried, "\n\t")))
	return 1
}

// setRequirePath makes `require "name"` look in a folder.
func (s *State) setRequirePath(dir string) {
	pkg := s.L.GetGlobal("package").(*lua.LTable)
	pkg.RawSetString("path", lua.LString(filepath.Join(dir, "?.lua")+";"+filepath.Join(dir, "?", "init.lua")))
	pkg.RawSetString("cpath", lua.LString(""))
}
