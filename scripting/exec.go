package scripting

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	lua "github.com/yuin/gopher-lua"

	"github.com/nacre-sh/nacre/plugins"
)

// execOptions say how a command of the script runs. Without stream its output
// is captured and its input is empty, or the given text.
type execOptions struct {
	stream bool
	check  bool // a status other than 0 is an error
	input  string
	dir    string
	env    map[string]string
}

// result is what a command left.
type result struct {
	out, err string
	status   int
}

// invocation is the script's own invocation, changed for one command.
func (s *State) invocation(args []string, o execOptions) (*plugins.Invocation, *result, func()) {
	inv := &plugins.Invocation{
		Args:        args,
		In:          strings.NewReader(o.input),
		Dir:         s.inv.Dir,
		Env:         s.env.list(),
		Engine:      s.inv.Engine,
		Globals:     s.inv.Globals,
		Interactive: s.inv.Interactive && o.stream,
		Shell:       s.inv.Shell,
	}
	if o.dir != "" {
		inv.Dir = s.path(o.dir)
	}
	for _, name := range slices.Sorted(maps.Keys(o.env)) {
		inv.Env = append(inv.Env, name+"="+o.env[name])
	}
	r := &result{}
	if o.stream {
		if o.input == "" {
			inv.In = s.stdin()
		}
		inv.Out, inv.Err = s.inv.Out, s.inv.Err
		return inv, r, func() {}
	}
	var stdout, stderr lockedBuffer
	inv.Out, inv.Err = &stdout, &stderr
	return inv, r, func() { r.out, r.err = stdout.String(), stderr.String() }
}

// command runs one typed command.
func (s *State) command(args []string, o execOptions) (*result, error) {
	if s.inv.Shell == nil {
		return nil, errNotWhileLoading
	}
	if _, ok := s.inv.Shell.Registry().Lookup(args[0]); !ok {
		return nil, s.unknownCommand(args[0])
	}
	inv, r, done := s.invocation(args, o)
	r.status = s.inv.Shell.Exec(s.ctx, inv)
	done()
	return s.finish(args[0], r, o)
}

// source runs a line of the shell.
func (s *State) source(text string, o execOptions) (*result, error) {
	if s.inv.Shell == nil {
		return nil, errNotWhileLoading
	}
	inv, r, done := s.invocation([]string{"nacre"}, o)
	r.status = s.inv.Shell.Source(s.ctx, inv, "script", strings.NewReader(text))
	done()
	return s.finish("nacre.sh", r, o)
}

func (s *State) finish(name string, r *result, o execOptions) (*result, error) {
	if err := s.interrupted(); err != nil {
		return nil, err
	}
	if o.check && r.status != 0 {
		return nil, &commandError{name: name, status: r.status, stderr: r.err}
	}
	return r, nil
}

// errNotWhileLoading answers engine calls at the top level of a plugin's file,
// which is read to learn its commands, when no command runs.
var errNotWhileLoading = errdefs.ErrFailedPrecondition.WithMessage("not available while a plugin is loaded: call it from run or complete")

func (s *State) unknownCommand(name string) error {
	var names []string
	for _, c := range s.inv.Shell.Registry().Commands() {
		names = append(names, c.Name)
	}
	text := fmt.Sprintf("nacre.cmd.%s: no such command", name)
	if near := plugins.Nearest(name, names); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return errdefs.ErrNotFound.WithMessage(text)
}

// resultTable is the Lua form of a result.
func (s *State) resultTable(L *lua.LState, r *result) *lua.LTable {
	t := L.NewTable()
	t.RawSetString("out", lua.LString(r.out))
	t.RawSetString("err", lua.LString(r.err))
	t.RawSetString("status", lua.LNumber(r.status))
	t.RawSetString("ok", lua.LBool(r.status == 0))
	t.Metatable = s.types[typeResult]
	return t
}

// lockedBuffer collects what several goroutines write; a command's streams are
// files as a rule, where that is safe.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// maxCapture bounds what a script may collect of one stream.
const maxCapture = 256 << 20

var errCaptureTooLarge = errors.New("output too large to collect; use stream = true or a pipe")

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len()+len(p) > maxCapture {
		return 0, errCaptureTooLarge
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var _ io.Writer = (*lockedBuffer)(nil)
