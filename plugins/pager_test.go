package plugins

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestChoosePager(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"less", "more"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	for _, c := range []struct {
		setting string
		env     []string
		want    string
	}{
		{"", nil, "less"},
		{"auto", []string{"PAGER=more -s"}, "more -s"},
		{"never", []string{"PAGER=more"}, ""},
		{"less -S", []string{"PAGER=more"}, "less -S"},
		{"less -S", []string{"NACRE_PAGER=more"}, "more"},
		{"less", []string{"NACRE_PAGER=never"}, ""},
		{"", []string{"NACRE_PAGER=cat"}, ""},
		{"", []string{"PAGER=most"}, ""},
		{"", []string{"PAGER=  "}, ""},
		{"", []string{"PAGER=less | cat"}, "less | cat"},
	} {
		if got := ChoosePager(c.setting, func(name string) string { return LookupEnv(c.env, name) }); got != c.want {
			t.Errorf("setting %q, %v: %q, want %q", c.setting, c.env, got, c.want)
		}
	}
	if got := pagerWords("less -S"); !slices.Equal(got, []string{filepath.Join(dir, "less"), "-S"}) {
		t.Errorf("%q", got)
	}
}
