// Package highlight says which part of a line is what while it is being typed:
// commands that exist and words that do not, flags, strings, variables,
// operators, comments. It reads the line with the parser that will run it, so
// what is coloured as a command is one. Lines that are not finished yet parse
// as far as they go.
package highlight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Kind is what a part of a line is.
type Kind uint8

const (
	Command  Kind = iota + 1 // a word that runs something
	Unknown                  // a word in a command's place that runs nothing
	Keyword                  // if, for, do, …
	Flag                     // -d, --name
	String                   // quoted text
	Variable                 // $x, ${x}, NAME of NAME=value
	Operator                 // | && ; > &
	Comment
	Error   // from here on the line cannot be read
	Missing // names something that is not there
)

// Span is a part of the text; Start and End are byte offsets, End exclusive.
type Span struct {
	Start, End int
	Kind       Kind
}

// Known tells whether a command's words name something that runs. words are
// the literal words from the command's name on, at least one; the answer is
// for the first.
type Known func(words []string) bool

// missing is how many absent tokens (closing quotes, done, fi) the parser may
// pretend to see.
const missing = 10

// Judge says what the arguments of a command are, where that differs from what
// their form says: words are all its words, "" for those that are not literal;
// the answer is by their index.
type Judge func(words []string) map[int]Kind

// Line gives the spans of text in order, none overlapping another. Trees of
// unfinished text have holes where nobody expects them; a hole that was missed
// costs the colours, not the line. known and judge may be nil.
func Line(text string, known Known, judge Judge) (spans []Span) {
	defer func() {
		if recover() != nil {
			spans = nil
		}
	}()
	return line(text, known, judge)
}

func line(text string, known Known, judge Judge) []Span {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	p := &painter{text: text, known: known, judge: judge}
	file, err := parse(text)
	if err != nil {
		return p.broken(err)
	}
	syntax.Walk(file, p.node)
	return p.result()
}

// parse reads as much as there is. The parser's recovery from errors panics on
// some unfinished texts (`a={$((fifunction f`, mvdan.cc/sh v3.14.1).
func parse(text string) (file *syntax.File, err error) {
	defer func() {
		if v := recover(); v != nil {
			file, err = nil, fmt.Errorf("parse: %v", v)
		}
	}()
	parser := syntax.NewParser(syntax.KeepComments(true), syntax.RecoverErrors(missing))
	return parser.Parse(strings.NewReader(text), "")
}

type painter struct {
	text  string
	known Known
	judge Judge
	spans []Span
}

// broken highlights what stands before the error and marks the rest.
func (p *painter) broken(err error) []Span {
	at := len(p.text)
	if e, ok := err.(syntax.ParseError); ok && e.Pos.IsValid() && !e.Incomplete {
		at = min(int(e.Pos.Offset()), at)
	}
	// The error's own position cuts the text where it reads again; one try is enough for colours.
	if file, err := parse(p.text[:at]); err == nil {
		syntax.Walk(file, p.node)
	}
	if at < len(p.text) {
		p.spans = append(p.spans, Span{at, len(p.text), Error})
	}
	return p.result()
}

func (p *painter) add(start, end syntax.Pos, kind Kind) {
	if !start.IsValid() || start.IsRecovered() {
		return
	}
	from, to := int(start.Offset()), len(p.text)
	if end.IsValid() && !end.IsRecovered() {
		to = min(int(end.Offset()), to)
	}
	if from < to {
		p.spans = append(p.spans, Span{from, to, kind})
	}
}

// token marks a token of n bytes.
func (p *painter) token(at syntax.Pos, n int, kind Kind) {
	if at.IsValid() && !at.IsRecovered() {
		from := int(at.Offset())
		p.spans = append(p.spans, Span{min(from, len(p.text)), min(from+n, len(p.text)), kind})
	}
}

func (p *painter) keyword(at syntax.Pos, word string) { p.token(at, len(word), Keyword) }

func (p *painter) node(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.Comment:
		p.add(n.Pos(), n.End(), Comment)
	case *syntax.CallExpr:
		p.call(n)
	case *syntax.Stmt:
		p.statement(n)
	case *syntax.BinaryCmd:
		p.token(n.OpPos, len(n.Op.String()), Operator)
	case *syntax.Redirect:
		p.token(n.OpPos, len(n.Op.String()), Operator)
	case *syntax.Assign:
		if n.Name != nil {
			p.add(n.Name.Pos(), n.Name.End(), Variable)
		}
	case *syntax.SglQuoted:
		p.add(n.Pos(), n.End(), String)
	case *syntax.DblQuoted:
		p.quoted(n)
		return false
	case *syntax.ParamExp:
		p.add(n.Pos(), n.End(), Variable)
		return false
	case *syntax.ArithmExp:
		p.add(n.Pos(), n.End(), Variable)
		return false
	case *syntax.CmdSubst:
		p.token(n.Left, len(p.text[n.Left.Offset():])-len(strings.TrimLeft(p.text[n.Left.Offset():], "$(`")), Operator)
		p.token(n.Right, 1, Operator)
	default:
		p.compound(n)
	}
	return true
}

// compound marks the words and brackets of the shell's grammar.
func (p *painter) compound(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.Subshell:
		p.token(n.Lparen, 1, Operator)
		p.token(n.Rparen, 1, Operator)
	case *syntax.Block:
		p.token(n.Lbrace, 1, Keyword)
		p.token(n.Rbrace, 1, Keyword)
	case *syntax.IfClause:
		p.keyword(n.Position, p.wordAt(n.Position))
		p.keyword(n.ThenPos, "then")
		p.keyword(n.FiPos, "fi")
	case *syntax.WhileClause:
		p.keyword(n.WhilePos, p.wordAt(n.WhilePos))
		p.keyword(n.DoPos, "do")
		p.keyword(n.DonePos, "done")
	case *syntax.ForClause:
		p.keyword(n.ForPos, p.wordAt(n.ForPos))
		p.keyword(n.DoPos, "do")
		p.keyword(n.DonePos, "done")
	case *syntax.CaseClause:
		p.keyword(n.Case, "case")
		p.keyword(n.Esac, "esac")
	case *syntax.FuncDecl:
		if n.Name != nil {
			p.add(n.Name.Pos(), n.Name.End(), Command)
		}
	case *syntax.DeclClause:
		if n.Variant != nil {
			p.add(n.Variant.Pos(), n.Variant.End(), Command)
		}
		for _, a := range n.Args {
			if a.Name == nil && a.Value != nil {
				p.argument(a.Value)
			}
		}
	case *syntax.LetClause:
		p.keyword(n.Let, "let")
	case *syntax.TimeClause:
		p.keyword(n.Time, "time")
	}
}

func (p *painter) statement(s *syntax.Stmt) {
	if s.Negated {
		p.token(s.Pos(), 1, Operator)
	}
	if s.Semicolon.IsValid() {
		p.token(s.Semicolon, 1, Operator)
	}
}

func (p *painter) call(c *syntax.CallExpr) {
	if len(c.Args) == 0 {
		return
	}
	var words []string
	for _, w := range c.Args {
		lit := w.Lit()
		if lit == "" {
			break
		}
		words = append(words, lit)
	}
	if len(words) > 0 {
		kind := Command
		if p.known != nil && !p.known(words) {
			kind = Unknown
		}
		p.add(c.Args[0].Pos(), c.Args[0].End(), kind)
	}
	judged := p.judged(c.Args)
	for i, w := range c.Args[1:] {
		if kind := judged[i+1]; kind != 0 {
			p.add(w.Pos(), w.End(), kind)
			continue
		}
		p.argument(w)
	}
}

func (p *painter) judged(args []*syntax.Word) map[int]Kind {
	if p.judge == nil {
		return nil
	}
	words := make([]string, len(args))
	for i, w := range args {
		words[i] = w.Lit()
	}
	return p.judge(words)
}

// argument marks a flag up to its = sign.
func (p *painter) argument(w *syntax.Word) {
	if len(w.Parts) == 0 {
		return
	}
	lit, ok := w.Parts[0].(*syntax.Lit)
	if !ok || len(lit.Value) < 2 || lit.Value[0] != '-' {
		return
	}
	n := len(lit.Value)
	if i := strings.IndexByte(lit.Value, '='); i > 0 {
		n = i
	}
	p.token(lit.Pos(), n, Flag)
}

// quoted marks a string in pieces, because what it expands is marked as what it is.
func (p *painter) quoted(q *syntax.DblQuoted) {
	from := q.Pos()
	for _, part := range q.Parts {
		if _, plain := part.(*syntax.Lit); plain {
			continue
		}
		p.add(from, part.Pos(), String)
		syntax.Walk(part, p.node)
		from = part.End()
	}
	p.add(from, q.End(), String)
}

func (p *painter) wordAt(at syntax.Pos) string {
	if !at.IsValid() || at.IsRecovered() || int(at.Offset()) > len(p.text) {
		return ""
	}
	rest := p.text[at.Offset():]
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' }); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// result sorts the spans and cuts what overlaps: the one that begins first wins.
func (p *painter) result() []Span {
	slices.SortStableFunc(p.spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	var out []Span
	end := 0
	for _, s := range p.spans {
		s.Start = max(s.Start, end)
		if s.Start < s.End {
			out = append(out, s)
			end = s.End
		}
	}
	return out
}
