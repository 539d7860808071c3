package repl

import (
	"strings"
	"testing"
)

func TestPlainLine(t *testing.T) {
	for _, c := range []struct {
		in, out string
		drawing bool
	}{
		{in: "text", out: "text"},
		{in: "tab\there\r", out: "tab\there"},
		{in: "10%\r20%\rdone", out: "done"},
		{in: "\x1b[31mred\x1b[m", out: "\x1b[31mred\x1b[m\x1b[0m"},
		{in: "\x1b[2Aup", drawing: true},
		{in: "a\x1b[Hb", drawing: true},
		{in: "a\x1b[Kb\x07c\x08", out: "abc"},
		{in: "\x1b]0;title\x07text", out: "text"},
		{in: "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", out: "link"},
		{in: "\x1bPno end", out: ""},
		{in: "\x9b2J中", out: "2J中"}, // a C1 control, as its byte: not UTF-8
		{in: "\u009b2J", out: "2J"},
		{in: "\x1b", out: ""},
	} {
		got, ok := plainLine([]byte(c.in))
		if c.drawing {
			if ok {
				t.Errorf("%q: taken for text", c.in)
			}
			continue
		}
		got = strings.ReplaceAll(got, "�", "")
		if !ok || got != c.out {
			t.Errorf("%q: %q, %t; want %q", c.in, got, ok, c.out)
		}
	}
}

func FuzzPlainLine(f *testing.F) {
	f.Add([]byte("\x1b[31m\x1b]0;x\x07a\r\x1b[2Kb"))
	f.Fuzz(func(t *testing.T, line []byte) {
		text, _ := plainLine(line)
		for i := strings.IndexByte(text, 0x1b); i >= 0; i = strings.IndexByte(text, 0x1b) {
			seq := escape([]byte(text[i:]))
			if seq[len(seq)-1] != 'm' {
				t.Fatalf("%q leaves %q", line, seq)
			}
			text = text[i+len(seq):]
		}
	})
}

func TestJobOutput(t *testing.T) {
	var b output
	o := newJobOutput(&b)
	for _, part := range []string{"one\ntw", "o\nthr", "ee"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if b.String() != "one\ntwo\n" {
		t.Errorf("before the end %q", b.String())
	}
	o.flush()
	o.flush()
	if b.String() != "one\ntwo\nthree\n" {
		t.Errorf("at the end %q", b.String())
	}
}

func TestFindJob(t *testing.T) {
	var table jobTable
	if _, err := table.find("%1"); err == nil {
		t.Error("found a job where there is none")
	}
	for _, text := range []string{"pull a", "pull b", "logs -f web"} {
		table.add(newJob(text, func(error) {}))
	}
	for word, want := range map[string]string{
		"%1": "pull a", "2": "pull b", "%%": "logs -f web", "%+": "logs -f web", "%-": "pull b", "%logs": "logs -f web", "%?web": "logs -f web", "%?b": "",
		"%pull": "", "%9": "", "%x": "",
	} {
		j, err := table.find(word)
		if got := textOf(j); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", word, got, err, want)
		}
	}
	second, _ := table.find("%2")
	table.remove(second)
	if j, err := table.findEnded("%2"); err != nil || j != second {
		t.Errorf("a job that has ended: %v, %v", j, err)
	}
	if id := table.add(newJob("new", func(error) {})); id != 2 {
		t.Errorf("the lowest free number is 2, got %d", id)
	}
}

func textOf(j *job) string {
	if j == nil {
		return ""
	}
	return j.text
}

// A job's end is told above the line being typed, never amid a command's output.
func TestNotices(t *testing.T) {
	var out strings.Builder
	table := &jobTable{}
	table.setIdle(&out, true)
	table.notify(&out, "one")
	if out.String() != "one\n" {
		t.Errorf("while a line is typed: %q", out.String())
	}
	table.setIdle(&out, false)
	table.notify(&out, "two")
	table.notify(&out, "three")
	if out.String() != "one\n" {
		t.Errorf("while a command runs: %q", out.String())
	}
	table.setIdle(&out, true)
	table.setIdle(&out, true)
	if out.String() != "one\ntwo\nthree\n" {
		t.Errorf("before the next prompt: %q", out.String())
	}
}
