package main

import (
	"strings"
	"testing"
)

func TestNamesOfRowsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range allRows() {
		if r.name == "" || strings.ContainsAny(r.name, ", ") || seen[r.name] {
			t.Errorf("the row %q needs a name of its own, without blanks and commas", r.name)
		}
		if (r.budget == "") != (r.met == nil) {
			t.Errorf("%s: a budget in words and a budget that is checked go together", r.name)
		}
		seen[r.name] = true
	}
}

func TestOnlyChoosesExactly(t *testing.T) {
	rows := []row{{name: "run"}, {name: "run-16"}, {name: "ps"}}
	chosen, err := choose(rows, "ps, run")
	if err != nil || len(chosen) != 2 || chosen[0].name != "run" || chosen[1].name != "ps" {
		t.Errorf("got %v, %v", chosen, err)
	}
	if _, err := choose(rows, "run,pss"); err == nil || !strings.Contains(err.Error(), `"pss"`) {
		t.Errorf("an unknown name gave %v", err)
	}
}
