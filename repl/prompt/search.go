package prompt

import "strings"

// search is Ctrl-R: the newest lines that hold what is typed.
type search struct {
	origin line
	query  string
	lines  []string // that hold the query, newest first
	at     int
}

func (e *Editor) beginSearch() {
	if e.opt.History == nil {
		return
	}
	e.menu = nil
	e.search = &search{origin: e.line}
	e.searchAgain("")
}

// searchAgain looks for another query and shows its newest line.
func (e *Editor) searchAgain(query string) {
	s := e.search
	s.query, s.lines, s.at = query, nil, 0
	if query != "" {
		for text := range e.opt.History.Recent() {
			if strings.Contains(text, query) {
				s.lines = append(s.lines, text)
			}
		}
	}
	e.showFound()
}

func (e *Editor) showFound() {
	s := e.search
	if len(s.lines) == 0 {
		e.line = s.origin
		return
	}
	text := s.lines[s.at]
	i := strings.Index(text, s.query)
	e.line = line{text[:i], text[i:]}
}

// searchKey applies a key to the search; false means that the key ends it and
// is to be applied to the line that was found.
func (e *Editor) searchKey(k key) bool {
	s := e.search
	switch {
	case k.name == "":
		e.searchAgain(s.query + k.text)
	case k.name == "paste":
		text, _, _ := strings.Cut(k.text, "\n")
		e.searchAgain(s.query + text)
	case k.name == "backspace":
		e.searchAgain(strings.TrimSuffix(s.query, lastCluster(s.query)))
	case k.name == "ctrl-r", k.name == "up", k.name == "ctrl-p":
		if s.at+1 < len(s.lines) {
			s.at++
			e.showFound()
		}
	case k.name == "ctrl-s", k.name == "down", k.name == "ctrl-n":
		if s.at > 0 {
			s.at--
			e.showFound()
		}
	case k.name == "ctrl-g", k.name == "ctrl-c":
		e.line, e.search = s.origin, nil
	default:
		e.endSearch()
		return k.name == "escape" || k.name == "tab"
	}
	return true
}

// endSearch keeps the line that was found.
func (e *Editor) endSearch() {
	s := e.search
	e.search = nil
	if len(s.lines) > 0 {
		e.undo = append(e.undo, s.origin)
		e.line = line{e.line.text(), ""}
	}
}

func (s *search) rows(cols int) []row {
	label := "search: "
	if s.query != "" && len(s.lines) == 0 {
		label = "search, nothing found: "
	}
	r := oneRow(label, cols, styleDim)
	return []row{append(r, oneRow(s.query, max(cols-r.width(), 0), styleBold)...)}
}
