package docker

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Colours change nothing of the text, and lines that are no events stay.
func TestPaintEvent(t *testing.T) {
	for line, want := range map[string]string{
		"2026-11-28T15:00:00.000000000Z container die 0123abcd (exitCode=1, name=web)":           "\x1b[31mdie\x1b[0m",
		"2026-11-28T15:00:00.000000000Z container exec_create: sh -c (true) 0123abcd (name=web)": "\x1b[36mcontainer\x1b[0m exec_create: sh -c (true) 0123abcd",
		"2026-11-28T15:00:00.000000000Z image pull busybox:latest (name=busybox)":                "\x1b[32mpull\x1b[0m",
		"2026-11-28T15:00:00.000000000Z network destroy 55aa (name=n, type=bridge)":              "\x1b[33mdestroy\x1b[0m",
		"no event": "no event",
	} {
		got := paintEvent(line)
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q in it", line, got, want)
		}
		if plain := colours.ReplaceAllString(got, ""); plain != line {
			t.Errorf("the text became %q, was %q", plain, line)
		}
	}
}

func TestAddBar(t *testing.T) {
	for line, full := range map[string]int{
		"TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE":  -1,
		"Images          3         1         4.1MB     2.05MB (50%)": 6,
		"Containers      1         1         0B        0B (0%)":      0,
		"Local Volumes   2         0         1.2GB     1.2GB (100%)": 12,
		"Build Cache     0         0         0B        0B":           -1,
	} {
		got := addBar(line)
		if full < 0 {
			if got != line {
				t.Errorf("%q became %q", line, got)
			}
			continue
		}
		if n := strings.Count(got, "█"); n != full || strings.Count(got, "░") != barWidth-full {
			t.Errorf("%q: %d of 12 full, want %d", line, n, full)
		}
		if !strings.HasPrefix(got, line) {
			t.Errorf("%q is not in %q", line, got)
		}
	}
}

func TestLineWriter(t *testing.T) {
	var b bytes.Buffer
	w := &lineWriter{to: &b, paint: strings.ToUpper}
	for _, part := range []string{"one\ntw", "o\n", "thr", "ee"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.flush(); err != nil || b.String() != "ONE\nTWO\nTHREE" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestNoStrangerDrivesTheTerminal(t *testing.T) {
	for name, line := range map[string]string{
		"diff":   "A /tmp/\x1b]0;mine\x07\u202efile",
		"events": "2026-11-28T15:00:00.000000000Z container start 0123abcd (label=\x1b[2J\u009b2J, name=web)",
	} {
		for _, coloured := range []bool{true, false} {
			got := colours.ReplaceAllString(painterOf(&cobra.Command{Use: name}, coloured)(line), "")
			if strings.ContainsAny(got, "\x1b\x07\u009b\u202e") {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}
