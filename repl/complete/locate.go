package complete

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// place is where the cursor is: at the end of word, which belongs to a command
// whose earlier words are before.
type place struct {
	before   []string // unquoted; what cannot be known before running ($x) as it is written
	word     string   // unquoted
	start    int      // where the word begins in the text, its quotes included
	raw      string   // the word as it is typed, with its quotes
	redirect bool     // the word is the file of a redirection
}

// missing is how many absent tokens (quotes, brackets, done) the parser may
// pretend to see.
const missing = 20

// locate finds the command that is being typed at the end of a text.
func locate(text string) place {
	p := find(text)
	p.raw = text[p.start:]
	return p
}

func find(text string) place {
	file, _ := syntax.NewParser(syntax.RecoverErrors(missing)).Parse(strings.NewReader(text), "")
	p := place{start: len(text)}
	if file == nil {
		return lastWord(text)
	}
	var args []*syntax.Word
	syntax.Walk(file, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.Redirect:
			if n.Word != nil && touches(n.Word, text) {
				p.redirect, p.word, p.start = true, value(n.Word, text), offset(n.Word.Pos(), text)
				args = nil
			}
		case *syntax.CallExpr:
			if len(n.Args) > 0 && reaches(n.Args, text) {
				args, p.redirect = n.Args, false
			}
		case *syntax.DeclClause:
			if words := declared(n); reaches(words, text) {
				args, p.redirect = words, false
			}
		case *syntax.CmdSubst, *syntax.Subshell, *syntax.Block:
			if int(node.Pos().Offset()) < len(text) && open(node, text) {
				args, p.redirect = nil, false // what is inside decides
			}
		}
		return true
	})
	if p.redirect {
		return p
	}
	for i, w := range args {
		if i == len(args)-1 && touches(w, text) {
			p.word, p.start = value(w, text), offset(w.Pos(), text)
			break
		}
		p.before = append(p.before, value(w, text))
	}
	return p
}

// reaches tells whether the cursor is on or after the last of the words with
// nothing but blanks between.
func reaches(words []*syntax.Word, text string) bool {
	last := words[len(words)-1]
	end := offset(last.End(), text)
	return strings.Trim(text[end:], " \t") == "" && offset(words[0].Pos(), text) <= len(text)
}

func touches(w *syntax.Word, text string) bool {
	return offset(w.End(), text) == len(text) && offset(w.Pos(), text) < len(text)
}

// open tells whether a bracketed construct has not been closed in the text.
func open(node syntax.Node, text string) bool {
	end := node.End()
	return !end.IsValid() || end.IsRecovered() || int(end.Offset()) > len(text)
}

// offset is a position as an index of the text; a token that the parser has
// pretended to see is at its end.
func offset(pos syntax.Pos, text string) int {
	if !pos.IsValid() || pos.IsRecovered() {
		return len(text)
	}
	return min(int(pos.Offset()), len(text))
}

// declared are the words of `export x`, which parses as a declaration.
func declared(d *syntax.DeclClause) []*syntax.Word {
	words := []*syntax.Word{{Parts: []syntax.WordPart{d.Variant}}}
	for _, a := range d.Args {
		switch {
		case a.Naked && a.Name != nil:
			words = append(words, &syntax.Word{Parts: []syntax.WordPart{a.Name}})
		case a.Value != nil:
			words = append(words, a.Value)
		}
	}
	return words
}

// value is a word without its quotes.
func value(w *syntax.Word, text string) string {
	var b strings.Builder
	for _, part := range w.Parts {
		plain(&b, part, text)
	}
	return b.String()
}

func plain(b *strings.Builder, part syntax.WordPart, text string) {
	switch part := part.(type) {
	case *syntax.Lit:
		for i := 0; i < len(part.Value); i++ {
			if part.Value[i] == '\\' && i+1 < len(part.Value) {
				i++
			}
			b.WriteByte(part.Value[i])
		}
	case *syntax.SglQuoted:
		if part.Right.IsValid() && !part.Right.IsRecovered() {
			b.WriteString(part.Value)
		} else { // not closed yet: the parser gives no value
			b.WriteString(text[min(offset(part.Left, text)+1, len(text)):])
		}
	case *syntax.DblQuoted:
		for _, inner := range part.Parts {
			plain(b, inner, text)
		}
	default:
		b.WriteString(text[offset(part.Pos(), text):offset(part.End(), text)])
	}
}

// lastWord is the guess for a text that cannot be parsed at all.
func lastWord(text string) place {
	words := strings.Fields(text)
	if len(words) == 0 || strings.HasSuffix(text, " ") {
		return place{before: words, start: len(text)}
	}
	last := words[len(words)-1]
	return place{before: words[:len(words)-1], word: last, start: len(text) - len(last)}
}

// CommandWord is the word at the end of a text if it stands where a command
// begins and is written without quotes, else "".
func CommandWord(text string) string {
	p := locate(text)
	if len(p.before) > 0 || p.redirect || p.raw != p.word {
		return ""
	}
	return p.word
}
