// Package status makes the prompt's text out of what is going on: which engine
// commands go to, how the last line ended, what runs. What it looks like is a
// format of the user's; what is slow to find out comes later, when a prompt is
// already on the screen (see Watch).
package status

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Info is what a prompt can tell. A zero value says that there is nothing to tell.
type Info struct {
	Engine     string        // a context or host; "" for nacre's own engine
	User       string        // root or rootless
	Containers int           // running ones
	Status     int           // exit status of the last line
	Duration   time.Duration // of the last line
	Jobs       int           // behind the prompt
	Mirror     string        // where Docker Hub's images come from, when not from there
	Dir        string        // working directory, the home folder as ~
}

// Fields are the words that a format can hold in braces, and what they show.
// Each is empty when there is nothing worth telling.
var Fields = []struct{ Name, Help string }{
	{"engine", "the context or host that commands go to; nothing for nacre's own engine"},
	{"user", "root or rootless"},
	{"containers", "the number of running containers"},
	{"status", "the exit status of the last line, when it is not 0"},
	{"duration", "how long the last line took, from two seconds on"},
	{"jobs", "the number of jobs behind the prompt"},
	{"mirror", "the mirror in use for Docker Hub"},
	{"dir", "the working directory"},
}

// slowFrom is the duration from which a line's duration is worth telling.
const slowFrom = 2 * time.Second

func (i Info) value(field string) string {
	count := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	switch field {
	case "engine":
		return i.Engine
	case "user":
		return i.User
	case "containers":
		return count(i.Containers)
	case "status":
		return count(i.Status)
	case "duration":
		return Duration(i.Duration)
	case "jobs":
		return count(i.Jobs)
	case "mirror":
		return i.Mirror
	case "dir":
		return i.Dir
	}
	return ""
}

// Duration writes a duration as a prompt does: 2.4s, 1m12s, 2h03m; nothing below two seconds.
func Duration(d time.Duration) string {
	switch {
	case d < slowFrom:
		return ""
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// styles are SGR parameters, by the words that a format may hold in braces.
var styles = map[string]string{
	"/": "0", "bold": "1", "dim": "2", "italic": "3", "underline": "4", "reverse": "7",
	"black": "30", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36", "white": "37",
}

// Format is a parsed format: text, fields in braces ({status}), styles in
// braces ({red}, {bold cyan}, {/} for none), and groups in brackets, which are
// shown only when one of their fields has something to tell. A backslash takes
// the meaning off the next character.
type Format struct {
	parts []part
}

type part struct {
	text  string // literal, styles included
	field string
	group []part // nil but for a group
}

// Parse reads a format. The error says what is wrong and where.
func Parse(format string) (*Format, error) {
	p := parser{rest: format, whole: format}
	parts, err := p.parts(false)
	if err != nil {
		return nil, err
	}
	return &Format{parts}, nil
}

// MustParse is for formats of the program's own.
func MustParse(format string) *Format {
	f, err := Parse(format)
	if err != nil {
		panic(err)
	}
	return f
}

type parser struct{ rest, whole string }

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("prompt format %q, character %d: %s", p.whole, len([]rune(p.whole))-len([]rune(p.rest))+1, fmt.Sprintf(format, args...))
}

func (p *parser) parts(inGroup bool) (list []part, _ error) {
	for p.rest != "" {
		switch p.rest[0] {
		case '\\':
			_, n := cut(p.rest[1:])
			list = append(list, part{text: p.rest[1 : 1+n]})
			p.rest = p.rest[1+n:]
		case '{':
			q, err := p.brace()
			if err != nil {
				return nil, err
			}
			list = append(list, q)
		case '[':
			if inGroup {
				return nil, p.fail("a group within a group")
			}
			start := *p
			p.rest = p.rest[1:]
			group, err := p.parts(true)
			if err != nil {
				return nil, err
			}
			if !strings.HasPrefix(p.rest, "]") {
				return nil, start.fail("this [ has no ]")
			}
			p.rest = p.rest[1:]
			list = append(list, part{group: append([]part{}, group...)})
		case ']':
			if !inGroup {
				return nil, p.fail("this ] has no [ (write \\] for the character)")
			}
			return list, nil
		default:
			n := strings.IndexAny(p.rest, `\{[]`)
			if n < 0 {
				n = len(p.rest)
			}
			list = append(list, part{text: p.rest[:n]})
			p.rest = p.rest[n:]
		}
	}
	return list, nil
}

// cut is the length of the first character.
func cut(s string) (r rune, n int) {
	for i, c := range s {
		if i > 0 {
			return r, i
		}
		r = c
	}
	return r, len(s)
}

func (p *parser) brace() (part, error) {
	end := strings.IndexByte(p.rest, '}')
	if end < 0 {
		return part{}, p.fail("this { has no }")
	}
	words := p.rest[1:end]
	for _, f := range Fields {
		if f.Name == words {
			p.rest = p.rest[end+1:]
			return part{field: words}, nil
		}
	}
	var codes []string
	for _, w := range strings.Fields(words) {
		code, ok := styles[w]
		if !ok {
			return part{}, p.fail("{%s} is neither a field (%s) nor a style", words, strings.Join(names(), ", "))
		}
		codes = append(codes, code)
	}
	if codes == nil {
		return part{}, p.fail("{} names nothing")
	}
	p.rest = p.rest[end+1:]
	return part{text: "\x1b[" + strings.Join(codes, ";") + "m"}, nil
}

func names() (list []string) {
	for _, f := range Fields {
		list = append(list, f.Name)
	}
	return list
}

// Render makes the text. Values cannot bring control characters into it.
func (f *Format) Render(i Info) string {
	text, _ := render(f.parts, i)
	return text
}

func render(parts []part, i Info) (text string, told bool) {
	var b strings.Builder
	for _, p := range parts {
		switch {
		case p.group != nil:
			if inner, some := render(p.group, i); some {
				b.WriteString(inner)
				told = true
			}
		case p.field != "":
			v := printable(i.value(p.field))
			b.WriteString(v)
			told = told || v != ""
		default:
			b.WriteString(p.text)
		}
	}
	return b.String(), told
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

// Uses tells whether the format shows a field.
func (f *Format) Uses(field string) bool { return uses(f.parts, field) }

func uses(parts []part, field string) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.field == field || uses(p.group, field) })
}
