package prompt

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// bytesSource gives bytes; a \x00 is a pause longer than any wait for more.
type bytesSource struct{ rest string }

func (s *bytesSource) readByte(wait time.Duration) (byte, bool) {
	if s.rest == "" {
		return 0, false
	}
	b := s.rest[0]
	if b == 0 && wait >= 0 && wait < pasteWait {
		s.rest = s.rest[1:]
		return 0, false
	}
	s.rest = s.rest[1:]
	return b, true
}

func TestDecoder(t *testing.T) {
	for _, c := range []struct {
		bytes string
		want  []string // names, or text in quotes
	}{
		{"ab", []string{"'a'", "'b'"}},
		{"日👍", []string{"'日'", "'👍'"}},
		{"\x01\r\n\t\x7f\x08\x1f\x1c", []string{"ctrl-a", "enter", "enter", "tab", "backspace", "backspace", "ctrl-_", "ctrl-\\"}},
		{"\x1b", []string{"escape"}},
		{"\x1b\x00x", []string{"escape", "'x'"}},
		{"\x1b\x1b[A", []string{"escape", "up"}},
		{"\x1bb\x1b\x7f\x1b\r", []string{"alt-b", "alt-backspace", "alt-enter"}},
		{"\x1b[A\x1bOB\x1b[1;5C\x1b[1;3D\x1b[1;2C", []string{"up", "down", "ctrl-right", "alt-left", "right"}},
		{"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~\x1bOH", []string{"home", "end", "home", "end", "home", "end", "home"}},
		{"\x1b[3~\x1b[3;5~\x1b[5~\x1b[6~\x1b[Z", []string{"delete", "ctrl-delete", "pageup", "pagedown", "shift-tab"}},
		{"\x1bOc\x1bOd", []string{"ctrl-right", "ctrl-left"}},
		{"\x1b[[Ax\x1b[24~y\x1b[12;40Rz", []string{"'x'", "'y'", "position", "'z'"}},
		{"\x1b[12\x1b[Ax", []string{"up", "'x'"}},
		{"\x1b[" + strings.Repeat("9", 70) + "~", []string{"'9'", "'9'", "'9'", "'9'", "'9'", "'9'", "'~'"}},
		{"\x1b[1;\x00x", []string{"'x'"}},
		{"\xc3\x28\xff\x80a", []string{"'('", "'a'"}},
		{"\x1b[200~a\nb\x1b[Ac\x03d\n\n\x1b[201~e", []string{"paste'a\nb[Acd'", "'e'"}},
		{"\x1b[200~a\n\nb\n\n\x1b[201~", []string{"paste'a\nb'"}}, // \r\n, as the terminal's driver passes it on
		{"\x1b[200~a\n\nb\nc\x1b[201~", []string{"paste'a\n\nb\nc'"}},
		{"\x1b[200~never ends\x03\x00x", []string{"paste''", "'x'"}},
		{"\x1b[200~" + strings.Repeat("x", maxPaste+100) + "\x1b[201~y", []string{"paste'" + strings.Repeat("x", maxPaste) + "'", "'y'"}},
	} {
		d := decoder{src: &bytesSource{c.bytes}}
		var got []string
		for {
			k, ok := d.next(interruptible)
			if !ok {
				break
			}
			switch {
			case k.name == "" && k.text == "":
			case k.name == "" || k.name == "paste":
				got = append(got, k.name+"'"+k.text+"'")
			default:
				got = append(got, k.name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%.60q: got %.200q, want %.200q", c.bytes, got, c.want)
		}
	}
}

func TestLine(t *testing.T) {
	at := func(s string) line { // | is the cursor
		before, after, _ := strings.Cut(s, "|")
		return line{before, after}
	}
	up := func(l line) line { l, _ = l.up(); return l }
	down := func(l line) line { l, _ = l.down(); return l }
	for _, c := range []struct {
		name       string
		f          func(line) line
		from, want string
	}{
		{"left", line.left, "a日|b", "a|日b"},
		{"left at the beginning", line.left, "|ab", "|ab"},
		{"left over a family", line.left, "a👨‍👩‍👧|", "a|👨‍👩‍👧"},
		{"left over a newline", line.left, "a\n|b", "a|\nb"},
		{"right over an accent", line.right, "|e\u0301x", "e\u0301|x"},
		{"right over a flag", line.right, "|🇩🇪🇫🇷", "🇩🇪|🇫🇷"},
		{"backspace", line.backspace, "日本|語", "日|語"},
		{"backspace on nothing", line.backspace, "|x", "|x"},
		{"delete", line.delete, "日|本語", "日|語"},
		{"home in the row", line.home, "a\nb c|d", "a\n|b cd"},
		{"end of the row", line.end, "a|b\nc", "ab|\nc"},
		{"word left", wordLeft, "one two--|", "one |two--"},
		{"word left, CJK", wordLeft, "x 日本|", "x |日本"},
		{"word left, CJK beside a name", wordLeft, "nginx镜像|", "nginx|镜像"},
		{"word right, CJK beside a name", wordRight, "|nginx镜像:最新", "nginx|镜像:最新"},
		{"word right, hangul", wordRight, "nginx|이미지 x", "nginx이미지| x"},
		{"word right, emoji", wordRight, "a| 👩‍👩‍👧 b", "a 👩‍👩‍👧| b"},
		{"word left, emoji", wordLeft, "a 🇩🇪👍🏽|", "a |🇩🇪👍🏽"},
		{"word left, combining marks", wordLeft, "x e\u0301te\u0301|", "x |e\u0301te\u0301"},
		{"word right", wordRight, "|--one two", "--one| two"},
		{"transpose at the end", line.transpose, "abc|", "acb|"},
		{"transpose one", line.transpose, "a|", "a|"},
		{"transpose none", line.transpose, "|", "|"},
		{"up", up, "abc\ndef|g", "abc|\ndefg"},
		{"up to a shorter row", up, "a\nbcd|", "a|\nbcd"},
		{"up by characters", up, "日本語\nab|c", "日本|語\nabc"},
		{"up from the first", up, "ab|", "ab|"},
		{"down", down, "ab|c\ndefg", "abc\nde|fg"},
		{"down to a shorter row", down, "abc|\nd\nx", "abc\nd|\nx"},
		{"kill over the newline", killEnd, "a|\nb", "a\n|b"},
	} {
		if got := c.f(at(c.from)); got != at(c.want) {
			t.Errorf("%s: %q becomes %q|%q, want %q", c.name, c.from, got.before, got.after, c.want)
		}
	}
}
