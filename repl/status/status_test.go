package status

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestRender(t *testing.T) {
	busy := Info{Engine: "ssh://me@host", Containers: 3, Status: 130, Duration: 72 * time.Second, Jobs: 1, Dir: "~/src"}
	for _, c := range []struct {
		format string
		info   Info
		want   string
	}{
		{"nacre ❯ ", busy, "nacre ❯ "},
		{"[{engine} ]nacre[ {status}] ❯ ", Info{}, "nacre ❯ "},
		{"[{engine} ]nacre[ {status}] ❯ ", busy, "ssh://me@host nacre 130 ❯ "},
		{"[{duration}][ {containers} up][ {jobs}&]", busy, "1m12s 3 up 1&"},
		{"[always]", busy, ""},
		{"{bold cyan}x{/}", busy, "\x1b[1;36mx\x1b[0m"},
		{`\[{dir}\] \\ \{`, busy, `[~/src] \ {`},
		{"{engine}", Info{Engine: "a\x1b[2Jb\n"}, "a[2Jb"},
		{"中[{mirror}]", busy, "中"},
	} {
		f, err := Parse(c.format)
		if err != nil {
			t.Errorf("%q: %v", c.format, err)
			continue
		}
		if got := f.Render(c.info); got != c.want {
			t.Errorf("%q: %q, want %q", c.format, got, c.want)
		}
	}
	if f := MustParse("[{jobs}]"); !f.Uses("jobs") || f.Uses("engine") {
		t.Error("a field in a group is used, another is not")
	}
}

func TestParseErrors(t *testing.T) {
	for format, want := range map[string]string{
		"a {engin} b": `character 3: {engin} is neither a field`,
		"中{":          "character 2: this { has no }",
		"a [b":        "character 3: this [ has no ]",
		"a ] b":       "character 3: this ] has no [",
		"[a [b]]":     "character 4: a group within a group",
		"{}":          "{} names nothing",
	} {
		if _, err := Parse(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", format, err, want)
		}
	}
	if f, err := Parse(`end\`); err != nil || f.Render(Info{}) != "end" {
		t.Errorf("a backslash at the end: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`[{red}{status} ]\中{bold}`)
	f.Fuzz(func(t *testing.T, format string) {
		if parsed, err := Parse(format); err == nil {
			parsed.Render(Info{Status: 1})
		}
	})
}

// TestWatch: what was found is shown until something else is; a refresh during
// another one is not lost.
func TestWatch(t *testing.T) {
	asked, answer, changed := make(chan bool), make(chan int), make(chan bool, 9)
	w := NewWatch(func(_ context.Context, i *Info) {
		asked <- true
		i.Containers = <-answer
	}, func() { changed <- true })
	w.Refresh(t.Context())
	<-asked
	w.Refresh(t.Context())
	w.Refresh(t.Context())
	answer <- 2
	<-changed
	if n := w.Known().Containers; n != 2 {
		t.Errorf("knows %d", n)
	}
	<-asked
	answer <- 3
	<-changed
	if n := w.Known().Containers; n != 3 {
		t.Errorf("knows %d", n)
	}
}
