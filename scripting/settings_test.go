package scripting

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func loadSettings(t *testing.T, text string) (*Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init.lua")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := LoadSettings(t.Context(), path, []string{"HOME=/root"}, io.Discard)
	t.Cleanup(func() { set.Close() })
	return set, err
}

func TestSettings(t *testing.T) {
	set, err := loadSettings(t, `
		nacre.settings{
			prompt = "{engine} ❯ ", transient_prompt = "❯ ",
			aliases = {ll = "images --tree"}, env = {EDITOR = "vi"},
			notify = "bell", notify_after = 30,
		}
		nacre.settings{
			aliases = {pa = "ps -a"},
			right_prompt = function(now) return now.status .. "/" .. now.duration .. "/" .. now.dir end,
		}`)
	if err != nil {
		t.Fatal(err)
	}
	if set.Prompt == nil || *set.Prompt != "{engine} ❯ " || set.RightPrompt != nil || set.Transient == nil {
		t.Errorf("prompts %v %v %v", set.Prompt, set.RightPrompt, set.Transient)
	}
	if set.Aliases["ll"] != "images --tree" || set.Aliases["pa"] != "ps -a" || set.Env["EDITOR"] != "vi" {
		t.Errorf("%v %v", set.Aliases, set.Env)
	}
	if set.Notify != "bell" || set.NotifyAfter != 30*time.Second {
		t.Errorf("notify %q after %s", set.Notify, set.NotifyAfter)
	}
	text, ok, err := set.RightText(map[string]any{"status": 1, "duration": 2.5, "dir": "~"})
	if text != "1/2.5/~" || !ok || err != nil {
		t.Errorf("right prompt %q, %t, %v", text, ok, err)
	}
	if _, ok, _ := set.PromptText(nil); ok {
		t.Error("a format is taken for a function")
	}
}

func TestSettingsErrors(t *testing.T) {
	for text, want := range map[string]string{
		`nacre.settings{promt = "x"}`:                           `did you mean prompt?`,
		`nacre.settings{prompt = 3}`:                            `prompt`,
		`nacre.settings{pager = true}`:                          `pager`,
		`nacre.settings{notify = "loud"}`:                       `want bell, desktop or none`,
		`nacre.settings{aliases = {["a b"] = "x"}}`:             `cannot be a command's name`,
		`nacre.settings{transient_prompt = function() end}`:     `transient_prompt`,
		`nacre.settings{aliases = {ok = "ps"}} error("broken")`: `broken`,
		`syntax error here`:                                     `init.lua:1`,
		`os.exit(3)`:                                            `os.exit is not allowed`,
		`while true do end`:                                     `still loading`,
		`nacre.images()`:                                        `not available`,
	} {
		set, err := loadSettings(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if strings.Contains(text, "ok =") && set.Aliases["ok"] != "ps" {
			t.Errorf("%s: what was said before the error is gone", text)
		}
	}
	if set, err := LoadSettings(t.Context(), filepath.Join(t.TempDir(), "none.lua"), nil, io.Discard); err != nil || set.Prompt != nil {
		t.Errorf("no file: %v", err)
	}
}

// TestPromptFunction: one that fails or does not end is asked once.
func TestPromptFunction(t *testing.T) {
	for text, want := range map[string]string{
		`nacre.settings{prompt = function() error("no") end}`:       "no",
		`nacre.settings{prompt = function() while true do end end}`: "still running",
	} {
		set, err := loadSettings(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := set.PromptText(nil); ok || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %t, %v", text, ok, err)
		}
		if _, ok, err := set.PromptText(nil); ok || err != nil {
			t.Errorf("%s: asked again: %t, %v", text, ok, err)
		}
	}
}
