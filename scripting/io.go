package scripting

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// file is Lua's file handle: one of the invocation's streams or a file that the
// script opened. Reads and writes of one handle share the descriptor's offset.
type file struct {
	name   string
	r      *bufio.Reader
	w      io.Writer
	buffer *bufio.Writer // w of an opened file, flushed before reads and seeks
	f      *os.File      // nil for the invocation's streams
	state  *State
	closed bool
}

const typeFile = "file"

func (f *file) flush() error {
	if f.buffer == nil {
		return nil
	}
	return f.buffer.Flush()
}

func (f *file) close() error {
	if f.closed {
		return nil
	}
	err := f.flush()
	if f.f == nil {
		return err
	}
	f.closed = true
	delete(f.state.files, f)
	return errors.Join(err, f.f.Close())
}

// openIO provides the io library over the invocation's streams.
func (s *State) openIO() {
	mt := s.L.NewTable()
	s.types[typeFile] = mt
	mt.RawSetString("__index", mt)
	mt.RawSetString("__tostring", s.L.NewFunction(s.fileToString))
	for name, fn := range map[string]func(*file, *lua.LState, int) int{
		"read": fileRead, "write": fileWrite, "lines": fileLines, "close": fileClose,
		"flush": fileFlush, "seek": fileSeek, "setvbuf": fileSetvbuf,
	} {
		mt.RawSetString(name, s.L.NewFunction(func(L *lua.LState) int { return fn(s.checkFile(L, 1), L, 2) }))
	}
	in := s.newFile(&file{name: "stdin", r: s.in})
	out := s.newFile(&file{name: "stdout", w: stdout{s}})
	lib := s.L.RegisterModule("io", map[string]lua.LGFunction{
		"open": s.ioOpen, "type": s.ioType, "tmpfile": s.ioTmpfile, "popen": s.ioPopen,
	}).(*lua.LTable)
	lib.RawSetString("stdin", in)
	lib.RawSetString("stdout", out)
	lib.RawSetString("stderr", s.newFile(&file{name: "stderr", w: s.inv.Err}))
	s.openDefaults(lib, in, out)
}

// stdout is the invocation's output of the moment: a plugin's handle stays the
// same when its file has been read and its command begins.
type stdout struct{ s *State }

func (o stdout) Write(p []byte) (int, error) { return o.s.inv.Out.Write(p) }

// openDefaults provides the functions that work on the current input and output.
func (s *State) openDefaults(lib *lua.LTable, in, out *lua.LUserData) {
	handle := func(ud *lua.LUserData) *file { return ud.Value.(*file) }
	set := func(name string, fn lua.LGFunction) { lib.RawSetString(name, s.L.NewFunction(fn)) }
	set("read", func(L *lua.LState) int { return fileRead(handle(in), L, 1) })
	set("write", func(L *lua.LState) int {
		fileWrite(handle(out), L, 1)
		return 1
	})
	set("flush", func(L *lua.LState) int { return fileFlush(handle(out), L, 1) })
	set("close", func(L *lua.LState) int {
		if L.GetTop() == 0 {
			return fileClose(handle(out), L, 1)
		}
		return fileClose(s.checkFile(L, 1), L, 2)
	})
	set("input", func(L *lua.LState) int { return s.redirect(L, &in, "r") })
	set("output", func(L *lua.LState) int { return s.redirect(L, &out, "w") })
	set("lines", func(L *lua.LState) int {
		if L.GetTop() == 0 {
			return fileLines(handle(in), L, 1)
		}
		f, err := s.open(L.CheckString(1), "r")
		if err != nil {
			L.RaiseError("%s", err.Error())
		}
		return pushLines(f, L, true)
	})
}

// redirect is io.input and io.output: it returns, or replaces, the handle.
func (s *State) redirect(L *lua.LState, current **lua.LUserData, mode string) int {
	switch v := L.Get(1).(type) {
	case *lua.LUserData:
		s.checkFile(L, 1)
		*current = v
	case lua.LString:
		f, err := s.open(string(v), mode)
		if err != nil {
			L.RaiseError("%s", err.Error())
		}
		*current = s.newFile(f)
	}
	L.Push(*current)
	return 1
}

func (s *State) newFile(f *file) *lua.LUserData {
	f.state = s
	ud := s.L.NewUserData()
	ud.Value = f
	ud.Metatable = s.types[typeFile]
	return ud
}

func (s *State) checkFile(L *lua.LState, n int) *file {
	f, ok := L.CheckUserData(n).Value.(*file)
	if !ok {
		L.ArgError(n, "file expected")
	}
	if f.closed {
		L.ArgError(n, "file is closed")
	}
	return f
}

func (s *State) fileToString(L *lua.LState) int {
	f, ok := L.CheckUserData(1).Value.(*file)
	switch {
	case !ok:
		L.Push(lua.LString("userdata"))
	case f.closed:
		L.Push(lua.LString("file (closed)"))
	default:
		L.Push(lua.LString("file (" + f.name + ")"))
	}
	return 1
}

var openModes = map[string]int{
	"r":  os.O_RDONLY,
	"w":  os.O_WRONLY | os.O_CREATE | os.O_TRUNC,
	"a":  os.O_WRONLY | os.O_CREATE | os.O_APPEND,
	"r+": os.O_RDWR,
	"w+": os.O_RDWR | os.O_CREATE | os.O_TRUNC,
	"a+": os.O_RDWR | os.O_CREATE | os.O_APPEND,
}

func (s *State) open(name, mode string) (*file, error) {
	flag, ok := openModes[strings.Replace(mode, "b", "", 1)]
	if !ok {
		return nil, fmt.Errorf("invalid mode %q", mode)
	}
	f, err := os.OpenFile(s.path(name), flag, 0o666)
	if err != nil {
		return nil, err
	}
	return s.adopt(f, flag), nil
}

func (s *State) adopt(f *os.File, flag int) *file {
	h := &file{name: f.Name(), f: f, state: s}
	if flag&os.O_WRONLY == 0 {
		h.r = bufio.NewReader(f)
	}
	if flag&(os.O_WRONLY|os.O_RDWR) != 0 {
		h.buffer = bufio.NewWriter(f)
		h.w = h.buffer
	}
	s.files[h] = struct{}{}
	return h
}

func (s *State) ioOpen(L *lua.LState) int {
	f, err := s.open(L.CheckString(1), L.OptString(2, "r"))
	if err != nil {
		return pushOutcome(L, err)
	}
	L.Push(s.newFile(f))
	return 1
}

// ioTmpfile opens a file that has no name any more.
func (s *State) ioTmpfile(L *lua.LState) int {
	f, err := os.CreateTemp("", "nacre-lua-")
	if err != nil {
		return pushOutcome(L, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return pushOutcome(L, errors.Join(err, f.Close()))
	}
	L.Push(s.newFile(s.adopt(f, os.O_RDWR)))
	return 1
}

func (s *State) ioPopen(L *lua.LState) int {
	L.RaiseError("io.popen is not provided: nacre.sh(%q).out has a command's output", L.CheckString(1))
	return 0
}

func (s *State) ioType(L *lua.LState) int {
	ud, ok := L.CheckAny(1).(*lua.LUserData)
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	f, ok := ud.Value.(*file)
	switch {
	case !ok:
		L.Push(lua.LNil)
	case f.closed:
		L.Push(lua.LString("closed file"))
	default:
		L.Push(lua.LString("file"))
	}
	return 1
}

func fileRead(f *file, L *lua.LState, from int) int {
	if f.r == nil {
		return pushOutcome(L, fmt.Errorf("%s is not open for reading", f.name))
	}
	if err := f.flush(); err != nil {
		return pushOutcome(L, err)
	}
	top := L.GetTop()
	if top < from {
		L.Push(lua.LString("*l"))
	}
	last := max(top, from)
	for i := from; i <= last; i++ {
		v, err := f.readOne(L, L.Get(i), i)
		if errors.Is(err, io.EOF) {
			L.Push(lua.LNil)
			break
		}
		if err != nil {
			return pushOutcome(L, err)
		}
		L.Push(v)
	}
	return L.GetTop() - last
}

// readOne reads by one format; io.EOF means that there is nothing to read.
func (f *file) readOne(L *lua.LState, format lua.LValue, arg int) (lua.LValue, error) {
	if n, ok := format.(lua.LNumber); ok {
		return f.readBytes(int(n))
	}
	switch strings.TrimPrefix(L.CheckString(arg), "*") {
	case "l":
		return f.readLine(false)
	case "L":
		return f.readLine(true)
	case "a":
		all, err := io.ReadAll(f.r)
		return lua.LString(all), err
	case "n":
		return f.readNumber()
	}
	L.ArgError(arg, "invalid format")
	return nil, nil
}

func (f *file) readBytes(n int) (lua.LValue, error) {
	if n == 0 {
		_, err := f.r.Peek(1)
		return lua.LString(""), err
	}
	if n < 0 || n > maxString {
		return nil, errTooLarge
	}
	b, err := io.ReadAll(io.LimitReader(f.r, int64(n)))
	if len(b) == 0 && err == nil {
		err = io.EOF
	}
	return lua.LString(b), err
}

func (f *file) readLine(keepEnd bool) (lua.LValue, error) {
	line, err := f.r.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	if !keepEnd {
		line = strings.TrimSuffix(line, "\n")
	}
	return lua.LString(line), err
}

func (f *file) readNumber() (lua.LValue, error) {
	var word string
	if _, err := fmt.Fscan(f.r, &word); err != nil {
		return nil, io.EOF
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return lua.LNil, nil
	}
	return lua.LNumber(n), nil
}

func fileWrite(f *file, L *lua.LState, from int) int {
	if f.w == nil {
		return pushOutcome(L, fmt.Errorf("%s is not open for writing", f.name))
	}
	for i := from; i <= L.GetTop(); i++ {
		L.CheckTypes(i, lua.LTNumber, lua.LTString)
		if _, err := io.WriteString(f.w, lua.LVAsString(L.Get(i))); err != nil {
			return pushOutcome(L, err)
		}
	}
	return pushOutcome(L, nil)
}

func fileLines(f *file, L *lua.LState, _ int) int { return pushLines(f, L, false) }

// pushLines returns an iterator over the lines; closing is what io.lines does
// at the end of a file that it opened.
func pushLines(f *file, L *lua.LState, closing bool) int {
	if f.r == nil {
		L.RaiseError("%s is not open for reading", f.name)
	}
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if f.closed {
			L.RaiseError("file is closed")
		}
		line, err := f.readLine(false)
		if err == nil {
			L.Push(line)
			return 1
		}
		if !errors.Is(err, io.EOF) {
			L.RaiseError("%s", err.Error())
		}
		if closing {
			if err := f.close(); err != nil {
				L.RaiseError("%s", err.Error())
			}
		}
		L.Push(lua.LNil)
		return 1
	}))
	return 1
}

func fileClose(f *file, L *lua.LState, _ int) int { return pushOutcome(L, f.close()) }
func fileFlush(f *file, L *lua.LState, _ int) int { return pushOutcome(L, f.flush()) }

var seekOrigins = map[string]int{"set": io.SeekStart, "cur": io.SeekCurrent, "end": io.SeekEnd}

func fileSeek(f *file, L *lua.LState, from int) int {
	origin, ok := seekOrigins[L.OptString(from, "cur")]
	if !ok {
		L.ArgError(from, "want set, cur or end")
	}
	if f.f == nil {
		return pushOutcome(L, fmt.Errorf("%s cannot seek", f.name))
	}
	if err := f.flush(); err != nil {
		return pushOutcome(L, err)
	}
	offset := int64(L.OptNumber(from+1, 0))
	if f.r != nil {
		if origin == io.SeekCurrent {
			offset -= int64(f.r.Buffered())
		}
		f.r.Reset(f.f)
	}
	at, err := f.f.Seek(offset, origin)
	if err != nil {
		return pushOutcome(L, err)
	}
	L.Push(lua.LNumber(at))
	return 1
}

// fileSetvbuf honours "no", the one mode that is more than a hint.
func fileSetvbuf(f *file, L *lua.LState, from int) int {
	mode := L.CheckString(from)
	if mode != "no" && mode != "full" && mode != "line" {
		L.ArgError(from, "want no, full or line")
	}
	if mode == "no" && f.buffer != nil {
		if err := f.flush(); err != nil {
			return pushOutcome(L, err)
		}
		f.buffer, f.w = nil, f.f
	}
	return pushOutcome(L, nil)
}
