package scripting

import (
	"context"
	"errors"
	"strings"
)

// Lua's patterns (reference manual 5.1, section 5.4.1), matched by
// backtracking like the original, but under a context: one call of string.find
// with a nasty pattern runs for minutes, and the Lua machine only looks at its
// context between instructions.

const (
	maxCaptures   = 32
	maxMatchDepth = 200
	captureOpen   = -1 // length of a capture whose ) has not come
	captureHere   = -2 // a position capture: ()
	stepsPerCheck = 1 << 14
)

var errPatternDepth = errors.New("pattern too complex")

type capture struct{ start, length int }

// matcher is one match of one pattern at one place. It panics with an error
// for malformed patterns and a finished context; find recovers.
type matcher struct {
	ctx      context.Context
	src, pat string
	level    int // captures in use
	captures [maxCaptures]capture
	depth    int
	steps    int
}

// match is where a pattern matched: src[start:end].
type match struct {
	start, end int
	captures   []capture
}

// findPattern finds the first match at or after init. In gmatch a ^ is a
// character like any other: anchors is false.
func findPattern(ctx context.Context, src, pat string, init int, anchors bool) (m *match, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ours := r.(error)
			if !ours {
				panic(r)
			}
			m, err = nil, e
		}
	}()
	anchored := anchors && strings.HasPrefix(pat, "^")
	p := 0
	if anchored {
		p = 1
	}
	ma := &matcher{ctx: ctx, src: src, pat: pat}
	for s := init; s <= len(src); s++ {
		ma.level, ma.depth = 0, 0
		if end := ma.match(s, p); end >= 0 {
			return &match{s, end, append([]capture(nil), ma.captures[:ma.level]...)}, nil
		}
		if anchored {
			break
		}
	}
	return nil, nil
}

// step counts work and looks at the context now and then.
func (m *matcher) step() {
	m.steps++
	if m.steps%stepsPerCheck == 0 && m.ctx.Err() != nil {
		panic(context.Cause(m.ctx))
	}
}

// match matches pat[p:] at src[s:] and returns the end of the match or -1.
func (m *matcher) match(s, p int) int {
	m.depth++
	defer func() { m.depth-- }()
	if m.depth > maxMatchDepth {
		panic(errPatternDepth)
	}
	for p < len(m.pat) {
		m.step()
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.openCapture(s, p+2, captureHere)
			}
			return m.openCapture(s, p+1, captureOpen)
		case ')':
			return m.closeCapture(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return -1
			}
		case '%':
			if next, end, special := m.special(s, p); special {
				if end < 0 {
					return -1
				}
				s, p = end, next
				continue
			}
		}
		ep := m.classEnd(p)
		repeat := byte(0)
		if ep < len(m.pat) {
			repeat = m.pat[ep]
		}
		switch repeat {
		case '?':
			if m.single(s, p, ep) {
				if end := m.match(s+1, ep+1); end >= 0 {
					return end
				}
			}
			p = ep + 1
			continue
		case '*':
			return m.maxExpand(s, p, ep)
		case '+':
			if !m.single(s, p, ep) {
				return -1
			}
			return m.maxExpand(s+1, p, ep)
		case '-':
			return m.minExpand(s, p, ep)
		}
		if !m.single(s, p, ep) {
			return -1
		}
		s, p = s+1, ep
	}
	return s
}

// special handles %b, %f and back references: the pattern's next place and the
// end of what it matched (-1: nothing).
func (m *matcher) special(s, p int) (next, end int, special bool) {
	if p+1 >= len(m.pat) {
		panic(errors.New("malformed pattern (ends with '%')"))
	}
	switch c := m.pat[p+1]; {
	case c == 'b':
		return p + 4, m.balance(s, p+2), true
	case c == 'f':
		return m.frontier(s, p+2)
	case c >= '0' && c <= '9':
		return p + 2, m.backReference(s, c), true
	}
	return 0, 0, false
}

func (m *matcher) frontier(s, p int) (next, end int, special bool) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		panic(errors.New("missing '[' after '%f' in pattern"))
	}
	ep := m.classEnd(p)
	before, after := byte(0), byte(0)
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		after = m.src[s]
	}
	if !m.inSet(before, p, ep-1) && m.inSet(after, p, ep-1) {
		return ep, s, true
	}
	return ep, -1, true
}

func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		panic(errors.New("unbalanced pattern"))
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1
	}
	open, closing, depth := m.pat[p], m.pat[p+1], 1
	for i := s + 1; i < len(m.src); i++ {
		m.step()
		switch m.src[i] {
		case closing:
			if depth--; depth == 0 {
				return i + 1
			}
		case open:
			depth++
		}
	}
	return -1
}

func (m *matcher) backReference(s int, digit byte) int {
	l := int(digit - '1')
	if l < 0 || l >= m.level || m.captures[l].length == captureOpen {
		panic(errors.New("invalid capture index"))
	}
	c := m.captures[l]
	if c.length == captureHere {
		return -1 // a position is no text
	}
	text := m.src[c.start : c.start+c.length]
	if strings.HasPrefix(m.src[s:], text) {
		return s + len(text)
	}
	return -1
}

func (m *matcher) openCapture(s, p, kind int) int {
	if m.level >= maxCaptures {
		panic(errors.New("too many captures"))
	}
	m.captures[m.level] = capture{s, kind}
	m.level++
	end := m.match(s, p)
	if end < 0 {
		m.level--
	}
	return end
}

func (m *matcher) closeCapture(s, p int) int {
	for l := m.level - 1; l >= 0; l-- {
		if m.captures[l].length != captureOpen {
			continue
		}
		m.captures[l].length = s - m.captures[l].start
		end := m.match(s, p)
		if end < 0 {
			m.captures[l].length = captureOpen
		}
		return end
	}
	panic(errors.New("invalid pattern capture"))
}

func (m *matcher) maxExpand(s, p, ep int) int {
	n := 0
	for m.single(s+n, p, ep) {
		m.step()
		n++
	}
	for ; n >= 0; n-- {
		if end := m.match(s+n, ep+1); end >= 0 {
			return end
		}
	}
	return -1
}

func (m *matcher) minExpand(s, p, ep int) int {
	for {
		if end := m.match(s, ep+1); end >= 0 {
			return end
		}
		if !m.single(s, p, ep) {
			return -1
		}
		s++
	}
}

// classEnd is the place after the single-character class that starts at p.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			panic(errors.New("malformed pattern (ends with '%')"))
		}
		return p + 1
	case '[':
		return m.setEnd(p)
	}
	return p
}

// setEnd is the place after the ] of a set whose inside starts at p; a ] in
// first place is a member.
func (m *matcher) setEnd(p int) int {
	if p < len(m.pat) && m.pat[p] == '^' {
		p++
	}
	for first := true; first || p >= len(m.pat) || m.pat[p] != ']'; first = false {
		if p >= len(m.pat) {
			panic(errors.New("malformed pattern (missing ']')"))
		}
		if m.pat[p] == '%' {
			p++
		}
		p++
	}
	return p + 1
}

// single tells whether src[s] is in the class pat[p:ep].
func (m *matcher) single(s, p, ep int) bool {
	if s >= len(m.src) {
		return false
	}
	c := m.src[s]
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.inSet(c, p, ep-1)
	}
	return m.pat[p] == c
}

// inSet tells whether c is in the set pat[p:end], p at [ and end at ].
func (m *matcher) inSet(c byte, p, end int) bool {
	in := true
	p++
	if m.pat[p] == '^' {
		in = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.pat[p] == '%' && p+1 < end:
			p++
			if inClass(c, m.pat[p]) {
				return in
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return in
			}
			p += 2
		case m.pat[p] == c:
			return in
		}
	}
	return !in
}

// inClass tells whether c is in the class %class; an upper-case letter is the
// complement, anything but a letter stands for itself.
func inClass(c, class byte) bool {
	in := false
	switch class | 0x20 {
	case 'a':
		in = isLetter(c)
	case 'c':
		in = c < 32 || c == 127
	case 'd':
		in = isDigit(c)
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'p':
		in = c > 32 && c < 127 && !isLetter(c) && !isDigit(c)
	case 's':
		in = c == ' ' || c >= '\t' && c <= '\r'
	case 'u':
		in = c >= 'A' && c <= 'Z'
	case 'w':
		in = isLetter(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if class >= 'A' && class <= 'Z' {
		return !in
	}
	return in
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
