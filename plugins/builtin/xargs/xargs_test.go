package xargs

import (
	"reflect"
	"testing"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     options
		words []string
		input string
		want  [][]string
	}{
		{"all in one", options{}, []string{"rm", "-f"}, "a b\nc\n", [][]string{{"rm", "-f", "a", "b", "c"}}},
		{"nothing runs once", options{}, []string{"rm"}, "", [][]string{{"rm"}}},
		{"nothing with -r", options{noRunIfEmpty: true}, []string{"rm"}, "", nil},
		{"two per run", options{perRun: 2}, []string{"rm"}, "a b c", [][]string{{"rm", "a", "b"}, {"rm", "c"}}},
		{"one line per run", options{perLine: 1}, []string{"tag"}, "a b\nc d\n", [][]string{{"tag", "a", "b"}, {"tag", "c", "d"}}},
		{"a trailing blank joins lines", options{perLine: 1}, []string{"x"}, "a \nb\nc\n", [][]string{{"x", "a", "b"}, {"x", "c"}}},
		{"replaced", options{replace: "{}"}, []string{"tag", "{}", "my/{}"}, "  a b\n\nc\n", [][]string{{"tag", "a b", "my/a b"}, {"tag", "c", "my/c"}}},
		{"quotes", options{}, []string{"x"}, `'a b' "c"d e\ f ''`, [][]string{{"x", "a b", "cd", "e f", ""}}},
		{"null", options{null: true}, []string{"x"}, "a b\x00'c\x00", [][]string{{"x", "a b", "'c"}}},
		{"delimiter", options{delimiter: ","}, []string{"x"}, "a,b c", [][]string{{"x", "a", "b c"}}},
		{"character limit", options{chars: 6}, []string{"x"}, "aa bb cc", [][]string{{"x", "aa"}, {"x", "bb"}, {"x", "cc"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.o.chars == 0 {
				c.o.chars = defaultChars
			}
			groups, err := c.o.items(c.input)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.o.lines(c.words, groups)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	if _, err := (&options{}).items("'a\n"); err == nil {
		t.Error("an unmatched quote was accepted")
	}
	if _, err := (&options{delimiter: "ab"}).items("x"); err == nil {
		t.Error("a delimiter of two characters was accepted")
	}
	if _, err := (&options{chars: 5}).lines([]string{"x"}, [][]string{{"toolong"}}); err == nil {
		t.Error("an item beyond the limit was accepted")
	}
}
