package repl

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// ExpandHistory replaces !! by the last line and !$ by its last word, where
// they stand as words of their own (also in double quotes and in $(…)). A !
// before a program's name is left alone: it reaches the host's program.
func ExpandHistory(text, last string) string {
	if last == "" || !strings.Contains(text, "!!") && !strings.Contains(text, "!$") {
		return text
	}
	var b strings.Builder
	single, double := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && !single && i+1 < len(text):
			b.WriteByte(c)
			i++
			b.WriteByte(text[i])
			continue
		case c == '\'' && !double:
			single = !single
		case c == '"' && !single:
			double = !double
		case c == '!' && !single && stands(text, i):
			if text[i+1] == '!' {
				b.WriteString(last)
			} else {
				b.WriteString(lastWord(last))
			}
			i++
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// stands tells whether the text at i is !! or !$, with nothing of a word beside it.
func stands(text string, i int) bool {
	if i+1 >= len(text) || text[i+1] != '!' && text[i+1] != '$' {
		return false
	}
	before := i == 0 || strings.IndexByte(" \t\n;|&(\"=", text[i-1]) >= 0
	after := i+2 >= len(text) || strings.IndexByte(" \t\n;|&)\"", text[i+2]) >= 0
	return before && after
}

// lastWord is the last word of a line as it was typed, with its quotes.
func lastWord(line string) string {
	file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
	if err != nil {
		fields := strings.Fields(line)
		return fields[len(fields)-1]
	}
	word := ""
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		w := call.Args[len(call.Args)-1]
		word = line[w.Pos().Offset():w.End().Offset()]
		return false
	})
	return word
}
