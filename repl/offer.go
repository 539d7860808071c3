package repl

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
)

// Ask asks a question that one key answers; yes is what Enter means. asked is
// false when it could not be asked: somebody has typed ahead.
type Ask func(ctx context.Context, question string, yes bool) (answer, asked bool)

// mending is a line that may be mended once it has failed: one command, typed
// out, whose words can be told from each other. It belongs to the line's job.
type mending struct {
	text string
	call *syntax.CallExpr

	mu    sync.Mutex
	offer plugins.Offer
	fixed string // the mended line; "" without an offer
}

// newMending returns nil for a line that is more than one plain command: what
// of it has been done, and would be done again, nobody can tell.
func newMending(text string, file *syntax.File) *mending {
	if file == nil || len(file.Stmts) != 1 {
		return nil
	}
	st := file.Stmts[0]
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || len(call.Assigns) > 0 || len(st.Redirs) > 0 || st.Background || st.Negated || st.Coprocess {
		return nil
	}
	return &mending{text: strings.TrimRight(text, "\n"), call: call}
}

// take is Invocation.Offer for a command of the line.
func (m *mending) take(args []string, o plugins.Offer) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	fixed := m.mended(args, o)
	if fixed == "" || m.fixed != "" {
		return false
	}
	m.offer, m.fixed = o, fixed
	return true
}

// mended is the line as the offer makes it, "" where the words are not in it.
func (m *mending) mended(args []string, o plugins.Offer) string {
	at := m.index(args[0])
	if at < 0 {
		return ""
	}
	text := m.text
	if o.Word != "" {
		i, with := m.find(at, o)
		if i < 0 {
			return ""
		}
		w := m.call.Args[i]
		text = text[:w.Pos().Offset()] + with + text[w.End().Offset():]
	}
	if len(o.First) == 0 {
		return text
	}
	// What stands before the command, `docker --context far`, holds for both.
	before := m.text[m.call.Args[0].Pos().Offset():m.call.Args[at].Pos().Offset()]
	words := make([]string, len(o.First))
	for i, w := range o.First {
		words[i] = quote(w)
	}
	return before + strings.Join(words, " ") + " && " + text
}

// index is the place of the command's name in the line; -1 when it was called
// from somewhere else, a function or an alias.
func (m *mending) index(name string) int {
	for i, w := range m.call.Args {
		switch lit := w.Lit(); {
		case lit == name:
			return i
		case i == 0 && lit != "docker" && lit != "nacre":
			return -1
		}
	}
	return -1
}

// find is the place of the offer's word, and what is to be typed there.
func (m *mending) find(from int, o plugins.Offer) (at int, with string) {
	for i := from; i < len(m.call.Args); i++ {
		lit := m.call.Args[i].Lit()
		switch before, value, has := strings.Cut(lit, "="); {
		case lit == "" || strings.ContainsAny(lit, `\*?[{~`):
		case lit == o.Word || lit+":latest" == o.Word:
			return i, quote(o.With)
		case has && value == o.Word:
			return i, before + "=" + quote(o.With)
		case has && before == o.Word:
			return i, quote(o.With) + "=" + value
		}
	}
	return -1, ""
}

func quote(word string) string {
	if quoted, err := syntax.Quote(word, syntax.LangBash); err == nil {
		return quoted
	}
	return ""
}

// offerTo is what a command of a job may call, nil where nobody can be asked.
func (s *Shell) offerTo(j *job, in, out, errs any) func([]string, plugins.Offer) bool {
	m := j.whole.mending
	if m == nil || j.stateNow() != jobForeground || !isTerminal(in) || !isTerminal(out) || !isTerminal(errs) {
		return nil
	}
	return m.take
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// accepted asks whether the line that has just failed shall be mended, and
// gives the mended line.
func (l *session) accepted(ctx context.Context, m *mending) (line string, ok bool) {
	m.mu.Lock()
	o, fixed := m.offer, m.fixed
	m.mu.Unlock()
	if fixed == "" || l.status == 0 || ctx.Err() != nil {
		return "", false
	}
	answer, asked := l.options.Ask(ctx, o.Question, !o.Careful)
	if !asked {
		plugins.SayHint(l.options.Err, o)
	}
	if !answer {
		return "", false
	}
	fmt.Fprintln(l.options.Err, fixed)
	return fixed, true
}
