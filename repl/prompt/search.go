package prompt

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nacre-sh/nacre/repl/fuzzy"
)

// Found is a line of the history that a search has found.
type Found struct {
	Text   string
	Dir    string
	When   time.Time // zero: not known
	Failed bool
}

// Filter narrows a search.
type Filter struct {
	Here   bool // typed in the working directory
	Engine bool // for the engine of the moment
	Failed bool
}

func (f Filter) String() string {
	var names []string
	for _, one := range []struct {
		on   bool
		name string
	}{{f.Here, "this folder"}, {f.Engine, "this engine"}, {f.Failed, "failed"}} {
		if one.on {
			names = append(names, one.name)
		}
	}
	return strings.Join(names, ", ")
}

// search is Ctrl-R: the lines that hold what is typed, the best first.
type search struct {
	origin line
	query  string
	filter Filter
	found  []Found
	at     int
	stale  bool               // found is not for the query: several letters that come at once are looked for once
	cancel context.CancelFunc // of the search further back
}

// narrow is a window in which no words stand before the query.
const narrow = 40

// mostFound is how many lines the list below the search shows.
const mostFound = 8

func (e *Editor) beginSearch() {
	if e.opt.History == nil {
		return
	}
	e.menu = nil
	e.search = &search{origin: e.line, cancel: func() {}}
	e.searchAgain("")
}

// searchAgain has another query looked for before the next paint, or before a
// key that needs what is found.
func (e *Editor) searchAgain(query string) {
	e.search.query, e.search.stale = query, true
}

// settleSearch looks for the query and shows its best line. What lies further
// back than memory reaches is looked for beside the editor.
func (e *Editor) settleSearch() {
	s := e.search
	if s == nil || !s.stale {
		return
	}
	s.cancel()
	query := s.query
	s.found, s.at, s.stale = nil, 0, false
	if query != "" || s.filter != (Filter{}) {
		s.found = e.opt.Search(query, s.filter)
	}
	e.showFound()
	if e.opt.SearchAll == nil || query == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	filter := s.filter
	go func() {
		older := e.opt.SearchAll(ctx, query, filter)
		e.post(func() {
			if e.search == s && ctx.Err() == nil && len(older) > 0 {
				s.append(older)
				if s.at == 0 {
					e.showFound()
				}
			}
		})
	}()
}

// append adds lines that are not there yet.
func (s *search) append(more []Found) {
	known := make(map[string]bool, len(s.found))
	for _, f := range s.found {
		known[f.Text] = true
	}
	for _, f := range more {
		if !known[f.Text] {
			s.found = append(s.found, f)
		}
	}
}

// searchRecent is the search of an editor that has nothing but a history.
func searchRecent(h History) func(string, Filter) []Found {
	return func(query string, _ Filter) (found []Found) {
		if h == nil {
			return nil
		}
		for text := range h.Recent() {
			if strings.Contains(text, query) {
				found = append(found, Found{Text: text})
			}
		}
		return found
	}
}

func (e *Editor) showFound() {
	s := e.search
	if len(s.found) == 0 {
		e.line = s.origin
		return
	}
	text := s.found[s.at].Text
	i := 0
	if at := matched(s.query, text); len(at) > 0 {
		i = at[0]
	}
	e.line = line{text[:i], text[i:]}
}

// matched are the offsets of the letters in text that a query means.
func matched(query, text string) []int {
	if i := strings.Index(text, query); i >= 0 && query != "" {
		at := make([]int, len(query))
		for j := range at {
			at[j] = i + j
		}
		return at
	}
	_, at, _ := fuzzy.Match(query, text)
	return at
}

// searchKey applies a key to the search; false means that the key ends it and
// is to be applied to the line that was found.
func (e *Editor) searchKey(k key) bool {
	s := e.search
	if k.name != "" && k.name != "paste" && k.name != "backspace" {
		e.settleSearch()
	}
	switch {
	case k.name == "":
		e.searchAgain(s.query + k.text)
	case k.name == "paste":
		text, _, _ := strings.Cut(k.text, "\n")
		e.searchAgain(s.query + text)
	case k.name == "backspace":
		e.searchAgain(strings.TrimSuffix(s.query, lastCluster(s.query)))
	case k.name == "ctrl-u":
		e.searchAgain("")
	case k.name == "alt-d":
		s.filter.Here = !s.filter.Here
		e.searchAgain(s.query)
	case k.name == "alt-e":
		s.filter.Engine = !s.filter.Engine
		e.searchAgain(s.query)
	case k.name == "alt-f":
		s.filter.Failed = !s.filter.Failed
		e.searchAgain(s.query)
	case k.name == "ctrl-r", k.name == "down", k.name == "ctrl-n":
		e.goFound(1)
	case k.name == "ctrl-s", k.name == "up", k.name == "ctrl-p":
		e.goFound(-1)
	case k.name == "pagedown":
		e.goFound(mostFound)
	case k.name == "pageup":
		e.goFound(-mostFound)
	case k.name == "ctrl-g", k.name == "ctrl-c":
		s.cancel()
		e.line, e.search = s.origin, nil
	case k.name == "position":
		return false
	default:
		e.endSearch()
		return k.name == "escape" || k.name == "tab"
	}
	return true
}

func (e *Editor) goFound(by int) {
	s := e.search
	if to := min(max(s.at+by, 0), len(s.found)-1); to >= 0 && to != s.at {
		s.at = to
		e.showFound()
	}
}

// endSearch keeps the line that was found.
func (e *Editor) endSearch() {
	s := e.search
	s.cancel()
	e.search = nil
	if len(s.found) > 0 {
		e.changes.typing = false
		e.changes.add(s.origin, "")
		e.line = line{e.line.text(), ""}
	}
}

// rows are the query, and below it the lines that were found.
func (s *search) rows(cols, height int) []row {
	label := "search"
	if f := s.filter.String(); f != "" {
		label += " (" + f + ")"
	}
	if len(s.found) == 0 && (s.query != "" || s.filter != (Filter{})) {
		label += ", nothing found"
	}
	if cols < narrow {
		label = "?" // the query is what matters
	}
	r := oneRow(label+": ", cols, styleDim)
	rows := []row{append(r, oneRow(s.query, max(cols-r.width(), 0), styleBold)...)}
	n := min(len(s.found), mostFound, height-1)
	if len(s.found) < 2 || n < 1 {
		return rows
	}
	top := max(0, s.at-n+1)
	for i := top; i < top+n; i++ {
		rows = append(rows, s.item(i, cols))
	}
	if len(s.found) > n {
		rows[0] = append(rows[0], oneRow(fmt.Sprintf("  %d of %d", s.at+1, len(s.found)), max(cols-rows[0].width()-1, 0), styleDim)...)
	}
	return rows
}

// item is one line of the list, the matched letters marked, its age at the right.
func (s *search) item(i, cols int) row {
	f := s.found[i]
	base, mark := "", styleMatch
	if i == s.at {
		base, mark = styleSelected, styleSelected+";"+styleMatch
	}
	age := ""
	if !f.When.IsZero() && cols >= 40 {
		age = " " + ago(time.Since(f.When))
	}
	if f.Failed {
		age += " ✗"
	}
	room := cols - 2 - len([]rune(age))
	r := append(row{{" ", 1, base}}, oneRow(f.Text, room, base)...)
	at := matched(s.query, f.Text)
	offset := 0
	for j := 1; j < len(r) && r[j].text != "…"; j++ {
		for len(at) > 0 && at[0] < offset {
			at = at[1:]
		}
		if len(at) > 0 && at[0] < offset+len(r[j].text) {
			r[j].style = mark
		}
		offset += len(r[j].text)
	}
	if age == "" {
		return r
	}
	for r.width() < cols-1-len([]rune(age)) {
		r = append(r, cell{" ", 1, base})
	}
	return append(r, oneRow(age, max(cols-1-r.width(), 0), styleDim)...)
}

// ago is a length of time in at most four characters.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d < 1000*24*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
	return fmt.Sprintf("%dy", int(d.Hours()/24/365))
}
