package show

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command/formatter/tabwriter"
)

// docker lays rows out as docker's formatter does.
func docker(rows [][]string) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 10, 1, 3, ' ', 0)
	for _, row := range rows {
		if _, err := w.Write([]byte(strings.Join(row, "\t") + "\n")); err != nil {
			panic(err)
		}
	}
	if err := w.Flush(); err != nil {
		panic(err)
	}
	return b.String()
}

var containers = [][]string{
	{"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"},
	{"0123456789ab", "registry.example:5000/team/web:1.2", `"nginx -g 'daemon of…"`, "2 minutes ago", "Up 2 minutes (healthy)",
		"0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", "web"},
	{"ba9876543210", "busybox", `"sleep 1000"`, "3 weeks ago", "Exited (137) 2 days ago", "", "数据库-主要"},
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name string
		cols int
		want string
	}{
		{"wide", 200, docker(containers)},
		{"100 columns", 100, `
CONTAINER ID  IMAGE           COMMAND  CREATED        STATUS           PORTS             NAMES
0123456789ab  regi…m/web:1.2  "nginx…  2 minutes ago  Up 2 minutes     0.0.0.0:8080->    web
                                                      (healthy)        80/tcp,
                                                                       [::]:8080->
                                                                       80/tcp
ba9876543210  busybox         "sleep…  3 weeks ago    Exited (137) 2                     数据库-主要
                                                      days ago
`},
		{"80 columns", 80, `
CONTAINER ID  IMAGE       COMMAND  CREATED  STATUS     PORTS         NAMES
0123456789ab  reg…eb:1.2  "nginx…  2        Up 2       0.0.0.0:8080  web
                                   minutes  minutes    ->80/tcp,
                                   ago      (healthy)  [::]:8080->
                                                       80/tcp
ba9876543210  busybox     "sleep…  3 weeks  Exited                   数据库-主要
                                   ago      (137) 2
                                            days ago
`},
		{"30 columns", 30, `
CONTAINER ID 0123456789ab
IMAGE
  registry.example:5000/team/
  web:1.2
COMMAND "nginx -g 'daemon of…"
CREATED 2 minutes ago
STATUS Up 2 minutes (healthy)
PORTS
  0.0.0.0:8080->80/tcp,
  [::]:8080->80/tcp
NAMES web

CONTAINER ID ba9876543210
IMAGE busybox
COMMAND "sleep 1000"
CREATED 3 weeks ago
STATUS Exited (137) 2 days ago
NAMES 数据库-主要
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Window{Cols: c.cols}.Fit(docker(containers))
			if want := strings.TrimPrefix(c.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestPlainStays: where there is room, a table without wide characters is
// docker's to the byte.
func TestPlainStays(t *testing.T) {
	for range 500 {
		rows := randomTable(words)
		text := docker(rows)
		if got := (Window{Cols: 10000}).Fit(text); got != text {
			t.Fatalf("got\n%s\nwant\n%s", got, text)
		}
	}
}

func TestNoTable(t *testing.T) {
	for _, text := range []string{
		"", "\n", "abc\ndef\n", "one   two\n", "A   B\nxxxxxxx\n", "REPO   TAG\nabcdefghij   x\n", "\x1b[1mA   B\x1b[0m\n",
	} {
		if got := (Window{Cols: 3}).Fit(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// Words that cells are made of.
var (
	words = []string{"a", "busybox", "0123456789ab", "-", "x/y:1", "2 days ago", `"sh -c true"`, "<none>", "", "1.98MB", "0.0.0.0:80->80/tcp, [::]:80->80/tcp"}
	wide  = append([]string{"数据库", "👩‍👩‍👧", "e\u0301", "한글 이름", "ｗｉｄｅ", strings.Repeat("長", 40), strings.Repeat("0a", 32), "\x1b]0;x\a"}, words...)
)

func randomTable(words []string) [][]string {
	columns, rows := 1+rand.IntN(8), 1+rand.IntN(6)
	headings := []string{"CONTAINER ID", "IMAGE", "COMMAND", "STATUS", "PORTS", "NAMES", "SIZE", "URL"}
	table := [][]string{headings[:columns]}
	for range rows {
		row := make([]string, columns)
		for i := range row {
			row[i] = words[rand.IntN(len(words))]
			if rand.IntN(4) == 0 {
				row[i] = strings.TrimSpace(row[i] + " " + words[rand.IntN(len(words))])
			}
		}
		table = append(table, row)
	}
	return table
}

// TestNeverWider: no row is wider than the window, except an id that is wider
// itself, which then stands alone; ids stay whole; with room nothing is lost.
func TestNeverWider(t *testing.T) {
	for range 800 {
		rows := randomTable(wide)
		checkFit(t, rows, 20+rand.IntN(120))
	}
}

func checkFit(t *testing.T, rows [][]string, cols int) {
	t.Helper()
	w := Window{Cols: cols, Colours: true, Links: &Links{Host: "localhost"}}
	dressed := w.Table(rows)
	w.Colours, w.Links = false, nil
	plain := w.Table(rows)
	if stripped := strip(dressed); stripped != plain {
		t.Fatalf("colours and links change the layout:\n%q\n%q", stripped, plain)
	}
	natural := 0
	for _, row := range rows {
		sum := 0
		for _, cell := range row {
			sum += max(leastColumn, Width(Clean(cell))+padding)
			if isID(cell) && !strings.Contains(plain, cell) {
				t.Fatalf("%d columns: id %s is not whole in\n%s", cols, cell, plain)
			}
		}
		natural = max(natural, sum)
	}
	for line := range strings.Lines(plain) {
		line = strings.TrimSuffix(line, "\n")
		if Width(line) > cols && !isID(line) {
			t.Fatalf("%d columns: %d wide: %q in\n%s", cols, Width(line), line, plain)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("control characters: %q", line)
		}
	}
	if len(rows[0])*natural <= cols { // surely room for all
		for _, row := range rows {
			for _, cell := range row {
				if !strings.Contains(plain, Clean(cell)) {
					t.Fatalf("%d columns: %q is lost in\n%s", cols, cell, plain)
				}
			}
		}
	}
}

// strip takes escape sequences off: SGR and OSC 8.
func strip(s string) string {
	var b strings.Builder
	for s != "" {
		switch {
		case strings.HasPrefix(s, "\x1b["):
			s = s[strings.IndexByte(s, 'm')+1:]
		case strings.HasPrefix(s, "\x1b]"):
			s = s[strings.Index(s, "\x1b\\")+2:]
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String()
}

func FuzzFit(f *testing.F) {
	f.Add("0123456789ab", "busybox", "数据库", uint8(20))
	f.Add("x\ty", "\xff\x1b[31m", strings.Repeat("a ", 50), uint8(60))
	f.Fuzz(func(t *testing.T, a, b, c string, cols uint8) {
		checkFit(t, [][]string{{"CONTAINER ID", "IMAGE", "PORTS"}, {a, b, c}, {c, a, b}}, 20+int(cols))
		Window{Cols: 20 + int(cols)}.Fit(a + "   " + b + "\n" + c)
	})
}

func TestLinks(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for _, p := range pairs {
				if value, ok := strings.CutPrefix(p, name+"="); ok {
					return value
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		env  []string
		want bool
	}{
		{[]string{"TERM=xterm-256color"}, false},
		{[]string{"TERM=xterm-256color", "VTE_VERSION=6800"}, true},
		{[]string{"TERM=xterm-256color", "VTE_VERSION=4800"}, false},
		{[]string{"TERM=xterm-kitty"}, true},
		{[]string{"TERM=tmux-256color", "VTE_VERSION=6800"}, false},
		{[]string{"TERM=xterm-256color", "TERM_PROGRAM=WezTerm"}, true},
		{[]string{"TERM=xterm-256color", "TERM_PROGRAM=Apple_Terminal"}, false},
		{[]string{"TERM=xterm", "NACRE_HYPERLINKS=always"}, true},
		{[]string{"TERM=xterm-kitty", "NACRE_HYPERLINKS=never"}, false},
	} {
		if got := linksOf(env(c.env...)) != nil; got != c.want {
			t.Errorf("%v: %v, want %v", c.env, got, c.want)
		}
	}
	l := &Links{Host: "far.example"}
	for cell, want := range map[string]string{
		"0.0.0.0:8080->80/tcp":       Link("http://far.example:8080", "0.0.0.0:8080->80/tcp"),
		"[::]:8443->443/tcp":         Link("https://far.example:8443", "[::]:8443->443/tcp"),
		"127.0.0.1:9000->9000/tcp":   Link("http://127.0.0.1:9000", "127.0.0.1:9000->9000/tcp"),
		"[fe80::1]:9->9/tcp, 80/udp": Link("http://[fe80::1]:9", "[fe80::1]:9->9/tcp") + ", 80/udp",
		"0.0.0.0:53->53/udp":         "0.0.0.0:53->53/udp",
		"80/tcp":                     "80/tcp",
	} {
		if got := l.in("PORTS", cell, cell); got != want {
			t.Errorf("%s: %q, want %q", cell, got, want)
		}
	}
	if got := Link("file:///a\x1b\\b", "x"); got != "x" {
		t.Errorf("a target with an escape sequence: %q", got)
	}
}
