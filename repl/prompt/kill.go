package prompt

// mostKills bounds the ring of deleted texts.
const mostKills = 60

// killRing keeps what was deleted, newest last, for all lines of a session.
type killRing struct {
	texts []string
	at    int  // which of them was brought back last
	open  bool // the key before deleted too: texts add up
}

// add takes a deleted text; backward tells that it stood before the one that the last key deleted.
func (k *killRing) add(text string, backward bool) {
	n := len(k.texts)
	switch {
	case k.open && n > 0 && backward:
		k.texts[n-1] = text + k.texts[n-1]
	case k.open && n > 0:
		k.texts[n-1] += text
	default:
		if n == mostKills {
			k.texts = append(k.texts[:0], k.texts[1:]...)
		}
		k.texts = append(k.texts, text)
	}
	k.open = true
}

// killTo deletes between here and there.
func (e *Editor) killTo(to line) {
	from := e.line
	if len(to.before) < len(from.before) {
		e.kills.add(from.before[len(to.before):], true)
		e.line = line{to.before, from.after}
		return
	}
	if killed := to.before[len(from.before):]; killed != "" {
		e.kills.add(killed, false)
		e.line = line{from.before, to.after}
	}
}

// yank brings the newest text back.
func (e *Editor) yank() {
	n := len(e.kills.texts)
	if n == 0 {
		return
	}
	e.kills.at = n - 1
	e.yanked = e.line.before
	e.line = e.line.insert(e.kills.texts[n-1])
}

// yankPop replaces the text that was just brought back by the one deleted before it.
func (e *Editor) yankPop() {
	n := len(e.kills.texts)
	if e.lastKey != "ctrl-y" && e.lastKey != "alt-y" || n == 0 {
		return
	}
	e.kills.at = (e.kills.at + n - 1) % n
	e.line = line{e.yanked + e.kills.texts[e.kills.at], e.line.after}
}
