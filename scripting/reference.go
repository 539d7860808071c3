package scripting

import (
	"fmt"
	"strings"
)

//go:generate go test -run TestReference -update

// Reference writes the API as Markdown: one part per table or kind of value.
// docs/lua.md holds it; a test fails when it does not.
func Reference() string {
	var b strings.Builder
	for _, sec := range sections() {
		title := "`" + sec.name + "`"
		if sec.object != "" {
			title = strings.ToUpper(sec.name[:1]) + sec.name[1:]
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", title, sec.doc)
		writeFields(&b, sec)
		for _, f := range sec.funcs {
			writeFunction(&b, sec, f)
		}
	}
	return b.String()
}

// Name is a function or value that scripts may use, as it is written.
type Name struct {
	Name string // "nacre.images"
	Doc  string // parameters, and what it gives
}

// Names lists what scripts may use of the tables; methods of values are not among them.
func Names() []Name {
	var list []Name
	for _, sec := range sections() {
		if sec.object != "" {
			continue
		}
		for _, f := range sec.fields {
			list = append(list, Name{sec.name + "." + f.name, f.doc})
		}
		for _, f := range sec.funcs {
			doc := f.params
			if f.returns != "" {
				doc += " → " + f.returns
			}
			list = append(list, Name{sec.name + "." + f.name, doc})
		}
	}
	return list
}

func writeFields(b *strings.Builder, sec section) {
	if len(sec.fields) == 0 {
		return
	}
	receiver := sec.name + "."
	if sec.object != "" {
		receiver = sec.object + "."
	}
	b.WriteString("| field | type | |\n|---|---|---|\n")
	for _, f := range sec.fields {
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", receiver, f.name, f.kind, f.doc)
	}
	b.WriteString("\n")
}

func writeFunction(b *strings.Builder, sec section, f function) {
	receiver := sec.name + "."
	if sec.object != "" {
		receiver = sec.object + ":"
	}
	fmt.Fprintf(b, "**`%s%s%s`**", receiver, f.name, f.params)
	if f.returns != "" {
		fmt.Fprintf(b, " → %s", f.returns)
	}
	if f.doc != "" {
		fmt.Fprintf(b, "<br>\n%s", f.doc)
	}
	b.WriteString("\n\n")
}
