package repl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
)

// statusSyntax is the exit status of a line that cannot be parsed.
const statusSyntax = 2

// RunText runs a whole text (of -c, of a file) as a script and returns the
// exit status of its last command. params are its $1, $2, …
func (s *Shell) RunText(ctx context.Context, name string, params []string, text io.Reader) int {
	r, err := s.newRunner(name, params)
	if err != nil {
		fmt.Fprintln(s.options.Err, "nacre:", err)
		return 1
	}
	status, _ := s.attended(ctx, func(ctx context.Context) int { return s.runText(ctx, r, name, text) })
	return status
}

// runText runs a script. One with a syntax error runs up to there, as in other
// shells.
func (s *Shell) runText(ctx context.Context, r *interp.Runner, name string, text io.Reader) int {
	source, err := io.ReadAll(text)
	if err != nil {
		fmt.Fprintf(s.options.Err, "nacre: read %s: %v\n", name, err)
		return 1
	}
	file, err := syntax.NewParser().Parse(bytes.NewReader(source), name)
	if err != nil {
		return s.runUpTo(ctx, r, name, source)
	}
	ctx, j := withJob(ctx, name)
	for _, stmt := range file.Stmts {
		j.background = append(j.background, prepare(stmt)...)
	}
	if len(j.background) == 0 {
		defer j.cancel(nil)
	}
	return s.statusOf(ctx, r.Run(ctx, file))
}

// runUpTo runs the statements before the syntax error, and reports that.
func (s *Shell) runUpTo(ctx context.Context, r *interp.Runner, name string, source []byte) int {
	status := 0
	for stmt, err := range syntax.NewParser().StmtsSeq(bytes.NewReader(source)) {
		if err != nil {
			reportSyntax(s.options.Err, name, 0, string(source), err)
			status = statusSyntax
			break
		}
		var exited bool
		status, exited = s.runStatement(ctx, r, stmt)
		if exited || ctx.Err() != nil {
			return status
		}
	}
	return exitTrap(ctx, r, status)
}

// exitTrap runs the script's `trap … EXIT`, which keeps the status.
func exitTrap(ctx context.Context, r *interp.Runner, status int) int {
	r.Run(ctx, &syntax.File{})
	return status
}

// runStatement runs one statement as a job and returns its exit status, and
// whether it was `exit`. To the interpreter a loop that Ctrl-C ends looks like one.
func (s *Shell) runStatement(ctx context.Context, r *interp.Runner, stmt *syntax.Stmt) (status int, exited bool) {
	ctx, j := withJob(ctx, "")
	if j.background = prepare(stmt); len(j.background) == 0 {
		defer j.cancel(nil) // with something in the background the job lives on
	}
	status = s.statusOf(ctx, r.Run(ctx, stmt))
	return status, r.Exited() && ctx.Err() == nil
}

// statusOf turns the interpreter's result into an exit status.
func (s *Shell) statusOf(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	if status, ok := errors.AsType[interp.ExitStatus](err); ok {
		return int(status)
	}
	if ctx.Err() != nil {
		if sig, ok := errors.AsType[*plugins.SignalError](context.Cause(ctx)); ok {
			return sig.Status()
		}
		return 1
	}
	fmt.Fprintln(s.options.Err, "nacre:", err)
	return 1
}

// reportSyntax prints a syntax error with the line that was typed and a mark
// under the culprit. before is the number of lines that precede the text.
func reportSyntax(w io.Writer, name string, before int, text string, err error) {
	var pos syntax.Pos
	what := err.Error()
	if e, ok := errors.AsType[syntax.ParseError](err); ok {
		pos, what = e.Pos, e.Text
	} else if e, ok := errors.AsType[syntax.LangError](err); ok {
		pos = e.Pos
		what = e.Error()
	}
	if !pos.IsValid() {
		fmt.Fprintf(w, "nacre: %s\n", what)
		return
	}
	where := ""
	if name != "" {
		where = fmt.Sprintf("%s:%d: ", name, before+int(pos.Line()))
	}
	fmt.Fprintf(w, "nacre: %ssyntax error: %s\n", where, what)
	lines := strings.Split(text, "\n")
	if n := int(pos.Line()) - 1; n < len(lines) {
		line := lines[n]
		column := min(int(pos.Col())-1, len(line))
		fmt.Fprintf(w, "  %s\n  %*s^\n", strings.ReplaceAll(line, "\t", " "), utf8.RuneCountInString(line[:column]), "")
	}
}
