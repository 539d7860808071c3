package repl

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// span is a range of a line's text.
type span struct{ from, to uint }

// prepare makes a parsed statement ours: `export CONTAINER` becomes an ordinary
// command (the grammar takes it for a declaration of variables), and the spans
// that run in the background are noted, because the interpreter does not tell
// its handlers.
func prepare(stmt *syntax.Stmt) (background []span) {
	syntax.Walk(stmt, func(node syntax.Node) bool {
		st, ok := node.(*syntax.Stmt)
		if !ok {
			return true
		}
		if st.Background || st.Disown {
			background = append(background, span{st.Pos().Offset(), st.End().Offset()})
		}
		if decl, ok := st.Cmd.(*syntax.DeclClause); ok && exportsContainer(decl) {
			st.Cmd = exportCall(decl, redirectsOutput(st))
		}
		return true
	})
	return background
}

// exportsContainer is false where a variable must be meant: `export`,
// `export A=b`, `export -p`.
func exportsContainer(decl *syntax.DeclClause) bool {
	if decl.Variant.Value != "export" || len(decl.Args) == 0 {
		return false
	}
	for _, a := range decl.Args {
		if !a.Naked || a.Index != nil {
			return false
		}
		if a.Value != nil {
			switch a.Value.Lit() {
			case "-p", "-n", "-f":
				return false
			}
		}
	}
	return true
}

func exportCall(decl *syntax.DeclClause, surely bool) *syntax.CallExpr {
	name := *decl.Variant
	if surely {
		name.Value = ownMark + name.Value
	}
	call := &syntax.CallExpr{Args: []*syntax.Word{{Parts: []syntax.WordPart{&name}}}}
	for _, a := range decl.Args {
		if a.Name != nil {
			call.Args = append(call.Args, &syntax.Word{Parts: []syntax.WordPart{a.Name}})
		} else {
			call.Args = append(call.Args, a.Value)
		}
	}
	return call
}

// redirectsOutput is true of `export web > web.tar`: only a container's export prints.
func redirectsOutput(st *syntax.Stmt) bool {
	for _, r := range st.Redirs {
		if (r.N == nil || r.N.Value == "1") && strings.HasPrefix(r.Op.String(), ">") {
			return true
		}
	}
	return false
}
