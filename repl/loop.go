package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
)

// Editor reads the lines of a session. ReadLine returns one line without its
// newline, io.EOF when there are no more (Ctrl-D), ErrInterrupted when the user
// gave the line up (Ctrl-C).
type Editor interface {
	ReadLine(ctx context.Context) (string, error)
	Close() error
}

// Continuer is an Editor that shows another prompt while a statement is not
// complete yet.
type Continuer interface {
	// Continue is called before each ReadLine with what has been typed of the
	// statement so far, "" at its beginning.
	Continue(pending string)
}

// ErrInterrupted says that the user gave up the line being typed.
var ErrInterrupted = errors.New("interrupted")

// abandonAfter is the number of Ctrl-C after which the shell leaves a command alone.
const abandonAfter = 3

// session is a shell's main loop with the state that lines hand on to each other.
type session struct {
	*Shell
	runner  *interp.Runner
	editor  Editor
	name    string // for error messages; "" at the prompt
	lines   int    // read so far
	status  int
	pending strings.Builder // an incomplete statement
	mending *mending        // of the line that runs; nil where nothing of it can be mended

	snapshot *interp.Runner // the interpreter before the statement that runs
	streams  *lineStreams   // what statements read and print to; nil without a terminal
}

// Loop reads lines and runs them until there are no more, `exit`, or a signal
// that ends the shell. It returns the exit status of the last command.
func (s *Shell) Loop(ctx context.Context, name string, e Editor) int {
	r, err := s.newRunner(name, nil)
	if err != nil {
		fmt.Fprintln(s.options.Err, "nacre:", err)
		return 1
	}
	l := &session{Shell: s, runner: r, editor: e, name: name}
	l.openStreams()
	defer l.closeStreams()
	l.startup(ctx)
	for {
		ended, err := l.step(ctx)
		if err != nil {
			fmt.Fprintln(s.options.Err, "nacre: read a line:", err)
			return 1
		}
		if sig, ok := errors.AsType[*plugins.SignalError](context.Cause(ctx)); ok {
			return sig.Status()
		}
		if ended {
			return l.leave(ctx)
		}
	}
}

// startup runs what the user's settings say. What fails in it says so and costs
// nothing else.
func (l *session) startup(ctx context.Context) {
	if l.options.Startup == nil || l.jobs == nil {
		return
	}
	text := l.options.Startup()
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "init.lua")
	if err != nil {
		fmt.Fprintln(l.options.Err, "nacre: warning: settings:", err)
		return
	}
	for _, stmt := range file.Stmts {
		l.runStatement(ctx, l.runner, stmt)
	}
	l.setStatus(ctx, 0)
	l.remember(l.runner)
}

// leave ends the session: stopped jobs are hung up, as in any shell.
func (l *session) leave(ctx context.Context) int {
	if l.jobs != nil {
		for _, j := range l.jobs.list() {
			j.hangUp()
		}
	}
	return exitTrap(ctx, l.runner, l.status)
}

// step reads a line and, when that completes a statement, runs it.
func (l *session) step(ctx context.Context) (ended bool, _ error) {
	if c, ok := l.editor.(Continuer); ok {
		c.Continue(l.pending.String())
	}
	line, err := l.readLine(ctx)
	switch {
	case errors.Is(err, ErrInterrupted):
		l.pending.Reset()
		l.setStatus(ctx, 128+int(syscall.SIGINT))
		return false, nil
	case errors.Is(err, io.EOF):
		if l.pending.Len() > 0 {
			return true, l.finish(ctx, line)
		}
		if l.jobs != nil {
			if n, refuse := l.jobs.refuseEnd(); refuse {
				l.warnJobs(n)
				return false, nil
			}
		}
		return true, nil
	case ctx.Err() != nil:
		return true, nil
	case err != nil:
		return true, err
	}
	l.pending.WriteString(line)
	l.pending.WriteByte('\n')
	file, err := l.parse()
	if incomplete(l.pending.String(), err) {
		return false, nil
	}
	return l.run(ctx, file, err), nil
}

// readLine reads a line; meanwhile jobs may say that they have ended.
func (l *session) readLine(ctx context.Context) (string, error) {
	if l.jobs != nil {
		l.jobs.setIdle(l.options.Above, true)
		defer l.jobs.setIdle(l.options.Above, false)
	}
	return l.editor.ReadLine(ctx)
}

// finish runs or refuses what was pending when the input ended.
func (l *session) finish(ctx context.Context, rest string) error {
	l.pending.WriteString(rest)
	file, err := l.parse()
	l.run(ctx, file, err)
	return nil
}

func (l *session) parse() (*syntax.File, error) {
	return syntax.NewParser().Parse(strings.NewReader(l.pending.String()), "")
}

// Incomplete tells whether a text ends in the middle of a statement, which goes
// on in the next line.
func Incomplete(text string) bool {
	text += "\n"
	_, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	return incomplete(text, err)
}

// incomplete tells whether a statement goes on in the next line.
func incomplete(text string, err error) bool {
	if err != nil {
		return syntax.IsIncomplete(err)
	}
	body := strings.TrimSuffix(text, "\n")
	slashes := len(body) - len(strings.TrimRight(body, `\`))
	return slashes%2 == 1
}

// run runs a complete line, and again while it fails and somebody lets it be mended.
func (l *session) run(ctx context.Context, file *syntax.File, err error) (exited bool) {
	for {
		l.mending = nil
		if l.options.Ask != nil && l.jobs != nil {
			l.mending = newMending(l.pending.String(), file)
		}
		if exited = l.runLine(ctx, file, err); exited || l.mending == nil {
			return exited
		}
		line, ok := l.accepted(ctx, l.mending)
		if !ok {
			return false
		}
		l.pending.WriteString(line + "\n")
		file, err = l.parse()
	}
}

// runLine runs the statements of a complete line.
func (l *session) runLine(ctx context.Context, file *syntax.File, err error) (exited bool) {
	text := l.pending.String()
	defer func() {
		l.lines += strings.Count(text, "\n")
		l.pending.Reset()
	}()
	defer l.journal(text)()
	if l.options.Ended != nil {
		begin := time.Now()
		defer func() {
			l.options.Ended(Ended{Text: strings.TrimSpace(text), Status: l.status, Duration: time.Since(begin)})
		}()
	}
	if err != nil {
		reportSyntax(l.options.Err, l.name, l.lines, text, err)
		l.setStatus(ctx, statusSyntax)
		return false
	}
	for _, stmt := range file.Stmts {
		if exit, goOn := l.statement(ctx, stmt, statementText(text, stmt)); exit || !goOn {
			return exit
		}
	}
	return false
}

// journal tells the journal of a line that begins; the answer is to be called at its end.
func (l *session) journal(text string) (ended func()) {
	if l.options.Journal == nil {
		return func() {}
	}
	warn := func(err error) {
		if err != nil {
			fmt.Fprintln(l.options.Err, "nacre: warning:", err)
		}
	}
	end, err := l.options.Journal.Began(strings.TrimSuffix(text, "\n"), l.Dir())
	warn(err)
	return func() { warn(end(l.status)) }
}

// statementText is what was typed of one statement.
func statementText(text string, stmt *syntax.Stmt) string {
	from, to := int(stmt.Pos().Offset()), int(stmt.End().Offset())
	if from < 0 || to > len(text) || from >= to {
		return strings.TrimSpace(text)
	}
	return strings.TrimSpace(text[from:to])
}

// statement runs one statement of a line. goOn is false when the rest of the
// line is to be dropped.
func (l *session) statement(ctx context.Context, stmt *syntax.Stmt, text string) (exit, goOn bool) {
	if l.jobs != nil && stmt.Background && !stmt.Negated {
		l.startBehind(ctx, stmt, text)
		return false, true
	}
	exit, goOn = l.inFront(ctx, stmt, text)
	for l.jobs != nil && !exit {
		j := l.jobs.takeWanted()
		if j == nil {
			break
		}
		goOn = l.bringBack(ctx, j)
	}
	if exit && l.jobs != nil {
		if n, refuse := l.jobs.refuseEnd(); refuse {
			l.warnJobs(n)
			l.runner = l.snapshot
			return false, false
		}
	}
	if !exit && l.jobs != nil {
		l.jobs.warnAgain()
	}
	return exit, goOn
}

// inFront runs a statement in the foreground.
func (l *session) inFront(ctx context.Context, stmt *syntax.Stmt, text string) (exit, goOn bool) {
	runner := l.runner
	l.snapshot = runner.Subshell() // to go on from, should the statement be abandoned or stopped
	a := l.attend(ctx, text, l.streams)
	a.job.mending = l.mending
	exited := false // read only when the statement has finished
	a.begin(func(ctx context.Context) (status int) {
		status, exited = l.runStatement(ctx, runner, stmt)
		return status
	})
	if !l.conclude(ctx, a) {
		l.runner = l.snapshot
		if l.streams == nil {
			l.openStreams()
		}
		l.setStatus(ctx, l.status)
		return false, false
	}
	if l.reloading.CompareAndSwap(true, false) {
		l.startup(ctx)
	}
	l.remember(l.runner)
	if exited {
		return true, false
	}
	if l.status == 128+int(syscall.SIGINT) {
		l.setStatus(ctx, l.status) // the interpreter has another word for a cancelled statement
		return false, false        // Ctrl-C drops the rest of the line
	}
	return false, true
}

// setStatus makes $? say what no command has said.
func (l *session) setStatus(ctx context.Context, status int) {
	l.status = status
	word := &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{Value: strconv.Itoa(status)}}}
	exit := &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{Value: "exit"}}}
	l.runner.Run(ctx, &syntax.Stmt{Cmd: &syntax.Subshell{Stmts: []*syntax.Stmt{
		{Cmd: &syntax.CallExpr{Args: []*syntax.Word{exit, word}}},
	}}})
}

// settle puts the terminal right after a line, whatever ran in it.
func (s *Shell) settle() {
	if s.terminal != nil {
		s.terminal.take()
		s.terminal.restore()
	}
}

// Lines is an Editor over a stream: a script on standard input. It reads no
// further than the line that it returns, because commands of the script may
// read what follows.
type Lines struct{ r io.Reader }

// NewLines returns an Editor that reads from r.
func NewLines(r io.Reader) *Lines { return &Lines{r: r} }

// ReadLine implements Editor.
func (l *Lines) ReadLine(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := l.read()
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (l *Lines) read() (string, error) {
	var line []byte
	var b [1]byte
	for {
		n, err := l.r.Read(b[:])
		switch {
		case n == 1 && b[0] == '\n':
			return string(line), nil
		case n == 1:
			line = append(line, b[0])
		case errors.Is(err, io.EOF) && len(line) > 0:
			return string(line), nil
		case err != nil:
			return "", err
		}
	}
}

// Close implements Editor.
func (l *Lines) Close() error { return nil }
