package scripting

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	lua "github.com/yuin/gopher-lua"
)

// copyOutput separates the two streams that a container without a terminal
// sends as one; with a terminal there is only the one.
func copyOutput(stdout, stderr io.Writer, r io.Reader, tty bool) error {
	var err error
	if tty {
		_, err = io.Copy(stdout, r)
	} else {
		_, err = stdcopy.StdCopy(stdout, stderr, r)
	}
	return err
}

func (s *State) containerLogs(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeContainer)
	if err != nil {
		return 0, err
	}
	o := optionsAt(L, 2)
	opts := client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true,
		Tail: o.text("tail"), Since: o.text("since"), Until: o.text("until"),
		Timestamps: o.boolean("timestamps"), Follow: o.boolean("follow"),
	}
	each := o.get("each")
	if err := o.done(); err != nil {
		return 0, err
	}
	found, err := c.ContainerInspect(s.ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return 0, err
	}
	tty := found.Container.Config != nil && found.Container.Config.Tty
	logs, err := c.ContainerLogs(s.ctx, id, opts)
	if err != nil {
		return 0, err
	}
	defer logs.Close()
	if each != lua.LNil {
		return 0, s.eachLine(L, each, logs, tty)
	}
	var stdout, stderr bytes.Buffer
	if err := copyOutput(&stdout, &stderr, logs, tty); err != nil {
		return 0, err
	}
	L.Push(lua.LString(stdout.String()))
	L.Push(lua.LString(stderr.String()))
	return 2, nil
}

// errEnough ends a copy whose reader has had enough.
var errEnough = errors.New("no more lines wanted")

// eachLine calls fn for every line. It runs in the goroutine of the machine:
// the copy calls the writers, and these call Lua.
func (s *State) eachLine(L *lua.LState, fn lua.LValue, r io.Reader, tty bool) error {
	call := func(stream string) func(line string) error {
		return func(line string) error {
			L.Push(fn)
			L.Push(lua.LString(line))
			L.Push(lua.LString(stream))
			L.Call(2, 1)
			more := L.Get(-1)
			L.Pop(1)
			if more == lua.LFalse {
				return errEnough
			}
			return s.interrupted()
		}
	}
	stdout, stderr := &lineWriter{line: call("stdout")}, &lineWriter{line: call("stderr")}
	err := copyOutput(stdout, stderr, r, tty)
	if err == nil {
		err = errors.Join(stdout.end(), stderr.end())
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// lineWriter cuts what is written into lines.
type lineWriter struct {
	line func(string) error
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		text := string(w.rest[:i])
		w.rest = w.rest[i+1:]
		if err := w.line(text); err != nil {
			return 0, err
		}
	}
}

// end hands over a last line that has no newline.
func (w *lineWriter) end() error {
	if len(w.rest) == 0 {
		return nil
	}
	return w.line(string(w.rest))
}

type execSpec struct {
	create client.ExecCreateOptions
	input  string
	detach bool
	stream bool
	check  bool
}

func execSpecFrom(L *lua.LState) (execSpec, error) {
	if L.Get(2).Type() == lua.LTString { // c:exec("ls", "-l")
		var words []string
		for i := 2; i <= L.GetTop(); i++ {
			words = append(words, L.CheckString(i))
		}
		return execSpec{create: client.ExecCreateOptions{Cmd: words}}, nil
	}
	o := optionsAt(L, 2)
	spec := execSpec{
		input: o.text("input"), detach: o.boolean("detach"), stream: o.boolean("stream"), check: o.boolean("check"),
		create: client.ExecCreateOptions{
			Cmd: o.positional(), User: o.text("user"), WorkingDir: o.text("workdir"), Privileged: o.boolean("privileged"),
		},
	}
	for name, value := range o.pairs("env") {
		spec.create.Env = append(spec.create.Env, name+"="+value)
	}
	if err := o.done(); err != nil {
		return spec, err
	}
	if len(spec.create.Cmd) == 0 {
		return spec, invalid("exec: no command given")
	}
	return spec, nil
}

func (s *State) containerExec(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeContainer)
	if err != nil {
		return 0, err
	}
	spec, err := execSpecFrom(L)
	if err != nil {
		return 0, err
	}
	attached := !spec.detach
	spec.create.AttachStdout, spec.create.AttachStderr = attached, attached
	spec.create.AttachStdin = attached && spec.input != ""
	created, err := c.ExecCreate(s.ctx, id, spec.create)
	if err != nil {
		return 0, err
	}
	r := &result{}
	if spec.detach {
		_, err = c.ExecStart(s.ctx, created.ID, client.ExecStartOptions{Detach: true})
	} else {
		r, err = s.attachExec(c, created.ID, spec)
	}
	if err != nil {
		return 0, err
	}
	if spec.check && r.status != 0 {
		return 0, &commandError{name: "exec " + spec.create.Cmd[0], status: r.status, stderr: r.err}
	}
	L.Push(s.resultTable(L, r))
	return 1, nil
}

// attachExec starts the process, feeds and reads it until its end, and asks
// for its status.
func (s *State) attachExec(c *client.Client, exec string, spec execSpec) (*result, error) {
	conn, err := c.ExecAttach(s.ctx, exec, client.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := closeWhenDone(s.ctx, conn.Conn)
	defer stop()
	if spec.input != "" {
		go func() {
			// A process that ends without reading breaks the pipe: no error of ours.
			if _, err := io.WriteString(conn.Conn, spec.input); err == nil {
				_ = conn.CloseWrite()
			}
		}()
	}
	var stdout, stderr bytes.Buffer
	if spec.stream {
		err = copyOutput(s.inv.Out, s.inv.Err, conn.Reader, false)
	} else {
		err = copyOutput(&stdout, &stderr, conn.Reader, false)
	}
	if stopped := s.interrupted(); stopped != nil {
		return nil, stopped
	}
	if err != nil {
		return nil, err
	}
	ended, err := c.ExecInspect(s.ctx, exec, client.ExecInspectOptions{})
	if err != nil {
		return nil, err
	}
	if ended.Running {
		return nil, errors.New("exec " + strconv.Quote(spec.create.Cmd[0]) + ": its connection ended before it")
	}
	return &result{out: stdout.String(), err: stderr.String(), status: ended.ExitCode}, nil
}
