package highlight_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/repl/highlight"
)

var letters = map[highlight.Kind]string{
	highlight.Command: "c", highlight.Unknown: "u", highlight.Keyword: "k", highlight.Flag: "f", highlight.String: "s",
	highlight.Variable: "v", highlight.Operator: "o", highlight.Comment: "#", highlight.Error: "e",
}

func known(words []string) bool {
	return strings.Contains(" run ps rmi images docker echo xargs login export ", " "+words[0]+" ")
}

// marks draws one letter per byte under the text.
func marks(text string) string {
	b := []byte(strings.Repeat(".", len(text)))
	for _, s := range highlight.Line(text, known, nil) {
		for i := s.Start; i < s.End; i++ {
			b[i] = letters[s.Kind][0]
		}
	}
	return string(b)
}

func TestLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"ps -a", "cc.ff"},
		{"psx -a", "uuu.ff"},
		{"run --name=web -d nginx", "ccc.ffffff.....ff......"},
		{"ps|xargs rmi", "ccoccccc...."},
		{"rmi -f $(images -aq)", "ccc.ff.oocccccc.fffo"},
		{"run 'a b' \"c $x d\"", "ccc.sssss.sssvvsss"},
		{"run \"open", "ccc.sssss"},
		{"run 'open", "ccc.sssss"},
		{"ps && ", "cc.oo."},
		{"ps | foo > f # note", "cc.o.uuu.o...######"},
		{"X=1 run $X", "v...ccc.vv"},
		{"for i in 1 2; do echo $i; done", "kkk...........kk.cccc.vvo.kkkk"},
		{"if ps; then", "kk.cco.kkkk"},
		{"echo )", "cccc.e"},
		{"docker ps", "cccccc..."},
		{"echo 日本 -x", "cccc........ff"},
	} {
		if got := marks(c.text); got != c.want {
			t.Errorf("\n text %s\n got  %s\n want %s", c.text, got, c.want)
		}
	}
}

// Whatever is typed, the spans are in order, inside the text, and nothing panics.
func TestLineOnNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"ps", " ", "|", "&&", "$(", ")", "\"", "'", "\\", "\n", "<<E", "${", "}", "((", "for", "do", "done", "if", "日", "#", "`", ";", "[[", "=", "-x", "{", "\x00", "\xff", "case", "esac", "in", "let", "time", "!", "function f", "function ", "()", "(", "\"$(", "pull ", "|&", "coproc", "select", "export ", ">&", "<(", "[", "]", "@(", "$'", "$((", "\t", "until", "elif", "then", "fi"}
	for range 40000 {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		text, end := b.String(), 0
		for _, s := range highlight.Unguarded(text, known, func(words []string) map[int]highlight.Kind {
			return map[int]highlight.Kind{len(words) - 1: highlight.Missing}
		}) {
			if s.Start < end || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("%q: bad span %+v", text, s)
			}
			end = s.End
		}
	}
}

func TestParserPanic(t *testing.T) {
	if got := highlight.Line("esac={$((fifunction f", known, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func ExampleLine() {
	for _, s := range highlight.Line("ps -a", func(words []string) bool { return words[0] == "ps" }, nil) {
		fmt.Println("ps -a"[s.Start:s.End], s.Kind == highlight.Command, s.Kind == highlight.Flag)
	}
	// Output:
	// ps true false
	// -a false true
}
