package repl

import "testing"

func TestExpandHistory(t *testing.T) {
	const last = `pull "my image":1 'x y'`
	for text, want := range map[string]string{
		"!!":                last,
		"docker !!":         "docker " + last,
		"rmi !$":            "rmi 'x y'",
		`echo "!$" '!!'`:    `echo "'x y'" '!!'`,
		`echo \!! a!!`:      `echo \!! a!!`,
		"!!; $(rmi !$)":     last + "; $(rmi 'x y')",
		"!ps !5 ! true !$x": "!ps !5 ! true !$x",
		"! !!":              "! " + last,
		"no bang":           "no bang",
	} {
		if got := ExpandHistory(text, last); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := ExpandHistory("!!", ""); got != "!!" {
		t.Errorf("without a last line: %q", got)
	}
	if got := ExpandHistory("rm !$", "ps -a | head -1"); got != "rm -1" {
		t.Errorf("behind a pipe: %q", got)
	}
}
