package prompt

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl/fuzzy"
)

// menu is the list of candidates below the line. Its list is what Complete
// answered once; typing narrows it.
type menu struct {
	all     []plugins.Candidate
	items   []plugins.Candidate // those that fit the word
	fitting []plugins.Candidate // the room for items, used again and again
	space   bool                // a space follows an accepted candidate
	grid    grid

	head     string // the line before the word
	word     string // as typed
	after    string // the line after the cursor
	selected int    // -1: none
	top      int    // first row shown
	asked    string // the word that the list was made for
}

// complete asks for candidates. The question runs beside the editor.
func (e *Editor) complete() {
	if e.opt.Complete == nil {
		return
	}
	if e.pending != nil && e.pending.asked == e.line {
		e.pending.steps++ // Tab Tab: the first candidate, as soon as there are any
		return
	}
	e.cancelCompletion()
	ctx, cancel := context.WithCancel(context.Background())
	asked := e.line
	c := &completion{cancel: cancel, asked: asked}
	e.pending = c
	go func() {
		defer cancel()
		start, items, d := e.ask(ctx, asked)
		e.post(func() {
			if e.pending != c {
				return // answered too late
			}
			e.pending = nil
			if e.line == asked && e.search == nil {
				e.offer(start, items, d)
				for ; e.menu != nil && c.steps > 0; c.steps-- {
					e.choose(e.menu.selected + 1)
				}
			}
		})
	}()
}

// ask calls Complete. A completion that panics completes nothing: it must not
// take the line with it.
func (e *Editor) ask(ctx context.Context, l line) (start int, items []plugins.Candidate, d plugins.Directive) {
	defer func() {
		if recover() != nil {
			items = nil
		}
	}()
	start, items, d = e.opt.Complete(ctx, l.text(), len(l.before))
	if start < 0 || start > len(l.before) {
		return 0, nil, d
	}
	return start, items, d
}

// offer takes the answer: one candidate is inserted, several give what they
// have in common and the menu.
func (e *Editor) offer(start int, items []plugins.Candidate, d plugins.Directive) {
	m := &menu{
		all: items, space: !d.NoSpace, selected: -1,
		head: e.line.before[:start], word: e.line.before[start:], after: e.line.after, asked: e.line.before[start:],
	}
	switch len(items) {
	case 0:
		e.buf.WriteByte('\a')
	case 1:
		old := e.line
		m.items = items
		e.line = m.line(items[0].Text)
		e.addSpace(m)
		e.edited(old, "", "")
	default:
		if common := commonPrefix(items); common != m.word && strings.HasPrefix(common, m.word) {
			old := e.line
			m.word = common
			e.line = m.line(common)
			e.edited(old, "", "")
		}
		m.filter()
		if len(m.items) == 0 {
			m.items = items // they match by other rules than their beginning, quotes for instance
		}
		e.menu = m
	}
}

func commonPrefix(items []plugins.Candidate) string {
	common := items[0].Text
	for _, it := range items[1:] {
		for !strings.HasPrefix(it.Text, common) {
			_, size := utf8.DecodeLastRuneInString(common)
			common = common[:len(common)-size]
		}
	}
	return common
}

func (m *menu) line(word string) line { return line{m.head + word, m.after} }

// filter narrows the list to the candidates that fit the word best.
func (m *menu) filter() {
	m.selected, m.top = -1, 0
	m.fitting = m.fitting[:0]
	for _, i := range fuzzy.Best(m.word, len(m.all), func(i int) string { return m.all[i].Text }) {
		m.fitting = append(m.fitting, m.all[i])
	}
	m.items = m.fitting
}

func (e *Editor) addSpace(m *menu) {
	if m.space && !strings.HasPrefix(e.line.after, " ") {
		e.line = e.line.insert(" ")
	}
}

// menuKey applies a key to the menu; false means that the key is for the line.
func (e *Editor) menuKey(k key) bool {
	m := e.menu
	switch k.name {
	case "tab", "down", "ctrl-n":
		e.choose(m.selected + 1)
	case "shift-tab", "up", "ctrl-p":
		e.choose(m.selected - 1)
	case "pagedown":
		e.choose(min(m.selected+page, len(m.items)-1))
	case "pageup":
		e.choose(max(m.selected-page, 0))
	case "right", "left":
		if m.selected < 0 || m.grid.columns < 2 {
			e.menu = nil
			return false
		}
		e.choose(m.beside(k.name == "right"))
	case "escape", "ctrl-g":
		e.line = m.line(m.word)
		e.menu = nil
	case "enter":
		if m.selected < 0 {
			e.menu = nil
			return false
		}
		e.acceptChoice()
	case "":
		return e.narrow(k.text)
	case "backspace":
		return e.widen()
	default:
		e.menu = nil
		return false
	}
	return true
}

// page is what PageUp and PageDown go by.
const page = 8

// choose selects an item and shows it in the line; one step beyond the ends is
// no selection, with the word as typed.
func (e *Editor) choose(i int) {
	m := e.menu
	n := len(m.items)
	switch {
	case i < -1:
		i = n - 1
	case i >= n:
		i = -1
	}
	m.selected = i
	if i < 0 {
		e.line = m.line(m.word)
		return
	}
	e.line = m.line(m.items[i].Text)
}

func (e *Editor) acceptChoice() {
	m := e.menu
	e.menu = nil
	e.edited(m.line(m.word), "", "")
	e.addSpace(m)
}

// narrow takes typed text: with a selection it accepts that first.
func (e *Editor) narrow(text string) bool {
	m := e.menu
	if m.selected >= 0 || text == " " {
		e.menu = nil
		return false
	}
	old := e.line
	m.word += text
	e.line = m.line(m.word)
	e.edited(old, "", "")
	m.filter()
	if len(m.items) == 0 {
		e.menu = nil
		e.complete() // what fits now may not have been among what fitted better before
	}
	return true
}

// widen takes back what narrow took.
func (e *Editor) widen() bool {
	m := e.menu
	if m.selected >= 0 || m.word == "" {
		e.menu = nil
		return false
	}
	old := e.line
	m.word = strings.TrimSuffix(m.word, lastCluster(m.word))
	e.line = m.line(m.word)
	e.edited(old, "", "")
	if !strings.HasPrefix(m.word, m.asked) {
		e.menu = nil
		e.complete()
		return true
	}
	m.filter()
	return true
}
