package history

import (
	"strconv"
	"strings"
	"time"
)

// Entry is one line that was typed.
type Entry struct {
	Time time.Time // whole seconds
	Text string    // may hold newlines
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\x00", ``)

// encode renders an entry as one line of the file: the seconds since 1970, a
// tab, the text with backslash, newline and carriage return escaped.
func encode(e Entry) string {
	return strconv.FormatInt(e.Time.Unix(), 10) + "\t" + escaper.Replace(e.Text) + "\n"
}

// decode reads one line of the file without its newline. Lines that nobody of
// ours wrote (a torn write, an editor's addition) are reported as not ok.
func decode(line string) (Entry, bool) {
	stamp, text, ok := strings.Cut(line, "\t")
	if !ok || text == "" {
		return Entry{}, false
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return Entry{}, false
	}
	return Entry{Time: time.Unix(seconds, 0), Text: unescape(text)}, true
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
