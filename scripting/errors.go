package scripting

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// Error is what a script failed with. Its text starts with the script's name
// and line where these are known.
type Error struct {
	Where   string // "file.lua:12", or ""
	Message string
	Class   string // see errorClass; "" for errors that Lua itself or error() raised
	Trace   string // Lua's stack, innermost first
}

func (e *Error) Error() string {
	if e.Where == "" {
		return e.Message
	}
	return e.Where + ": " + e.Message
}

// commandError is a command that ended with a status other than 0.
type commandError struct {
	name   string
	status int
	stderr string
}

func (e *commandError) Error() string {
	if text := strings.TrimSpace(e.stderr); text != "" {
		return text
	}
	return fmt.Sprintf("%s: exit status %d", e.name, e.status)
}

// errorClass names the class of an error for scripts.
func errorClass(err error) string {
	var command *commandError
	switch {
	case errors.As(err, &command):
		return "exit"
	case errors.Is(err, context.Canceled), errdefs.IsCanceled(err):
		return "canceled"
	case errdefs.IsNotFound(err):
		return "not_found"
	case errdefs.IsConflict(err), errdefs.IsAlreadyExists(err):
		return "conflict"
	case errdefs.IsInvalidArgument(err):
		return "invalid_argument"
	case errdefs.IsPermissionDenied(err):
		return "permission_denied"
	case errdefs.IsUnauthorized(err):
		return "unauthenticated"
	case errdefs.IsNotImplemented(err):
		return "not_implemented"
	case errdefs.IsUnavailable(err):
		return "unavailable"
	case errdefs.IsDeadlineExceeded(err):
		return "deadline_exceeded"
	}
	return "internal"
}

// errorTable builds the Lua value for an error: class, message, status, and
// where the script stood. tostring and .. give the whole text.
func (s *State) errorTable(L *lua.LState, err error) *lua.LTable {
	t := L.NewTable()
	status := 1
	var command *commandError
	if errors.As(err, &command) {
		status = command.status
		t.RawSetString("stderr", lua.LString(command.stderr))
	}
	t.RawSetString("class", lua.LString(errorClass(err)))
	t.RawSetString("message", lua.LString(engineMessage(err)))
	t.RawSetString("status", lua.LNumber(status))
	t.RawSetString("where", lua.LString(where(L)))
	t.Metatable = s.types[typeError]
	return t
}

// raise leaves the Lua call with err. It does not return.
func (s *State) raise(L *lua.LState, err error) {
	L.Error(s.errorTable(L, err), 1)
}

// where is the position of the innermost Lua line: "file.lua:12".
func where(L *lua.LState) string {
	for level := 0; level < 10; level++ {
		w := L.Where(level)
		if w == "" {
			return ""
		}
		if !strings.HasPrefix(w, "[G]") {
			return strings.TrimSuffix(w, ":")
		}
	}
	return ""
}

// scriptError turns gopher-lua's error into what its callers report.
func (s *State) scriptError(err error) error {
	if s.exit != nil {
		return errExit
	}
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	var api *lua.ApiError
	if !errors.As(err, &api) {
		return &Error{Message: err.Error()}
	}
	if api.Type == lua.ApiErrorSyntax {
		return syntaxError(api.Cause)
	}
	e := &Error{Trace: api.StackTrace}
	t, isTable := api.Object.(*lua.LTable)
	switch {
	case isTable && t.Metatable == s.types[typeError]:
		e.Where = lua.LVAsString(t.RawGetString("where"))
		e.Class = lua.LVAsString(t.RawGetString("class"))
		e.Message = lua.LVAsString(t.RawGetString("message"))
	case isTable:
		e.Message = s.display(t)
	default:
		e.Message = strings.TrimSpace(api.Object.String())
	}
	return e
}

// display is the text of a table that a script raised: its own __tostring, if
// it has one that works.
func (s *State) display(t *lua.LTable) string {
	text := fmt.Sprintf("(error object is a %s value)", t.Type())
	if s.L.GetMetaField(t, "__tostring") == lua.LNil {
		return text
	}
	// A __tostring that fails leaves the text as it is.
	_ = s.L.CallByParam(lua.P{NRet: 0, Protect: true, Fn: s.L.NewFunction(func(L *lua.LState) int {
		text = L.ToStringMeta(t).String()
		return 0
	})})
	return text
}

func syntaxError(cause error) error {
	var p *parse.Error
	if !errors.As(cause, &p) {
		return &Error{Class: "syntax", Message: strings.TrimSpace(cause.Error())}
	}
	if p.Pos.Line == parse.EOF {
		return &Error{Class: "syntax", Where: p.Pos.Source, Message: "syntax error: unexpected end of the script"}
	}
	return &Error{
		Class:   "syntax",
		Where:   fmt.Sprintf("%s:%d", p.Pos.Source, p.Pos.Line),
		Message: fmt.Sprintf("%s near %q (column %d)", p.Message, p.Token, p.Pos.Column),
	}
}

// Incomplete tells whether a syntax error means that more text could make the
// script whole: what an interactive reader asks before it shows an error.
func Incomplete(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == "syntax" && strings.HasSuffix(e.Message, "unexpected end of the script")
}
