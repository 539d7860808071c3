package scripting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Settings are what the user's init.lua says about the prompt. The zero value
// says nothing.
type Settings struct {
	// Prompt, RightPrompt and Transient are formats (see repl/status), nil where nothing was said.
	Prompt, RightPrompt, Transient *string
	Aliases                        map[string]string
	Env                            map[string]string
	// Notify is how a line that has run for NotifyAfter or longer tells its end: "bell", "desktop", "" for not at all.
	Notify      string
	NotifyAfter time.Duration
	// Pager is "auto", "never", or the command that shows what is longer than the window; "" says nothing.
	Pager string
	// NoOffers switches off the questions whether a line that failed shall be mended.
	NoOffers bool

	mu           sync.Mutex // a machine belongs to one goroutine at a time
	state        *State
	prompt, side lua.LValue // functions, or nil
}

// settingsLoading collects what an init.lua says.
type settingsLoading struct {
	settings *Settings
	finished bool
}

// notifyAfter is used where init.lua says how, but not when.
const notifyAfter = 10 * time.Second

// LoadSettings runs the user's init.lua. A file that does not exist says
// nothing. With an error the settings are those said before it, so that one bad
// line does not take the others away. What the file prints goes to stderr.
func LoadSettings(ctx context.Context, path string, env []string, stderr io.Writer) (*Settings, error) {
	set := &Settings{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		return set, err
	}
	defer f.Close()
	limited, cancel := context.WithTimeoutCause(ctx, loadLimit, fmt.Errorf("still loading after %s", loadLimit))
	defer cancel()
	s := New(limited, loadingInvocation(path, env, stderr))
	s.loading = &settingsLoading{settings: set}
	fn, err := s.Load(Script{Name: path, Path: path, Text: f})
	if err == nil {
		_, err = s.Call(fn, 0)
	}
	s.loading.finished = true
	if errors.Is(err, errExit) {
		err = errors.New("os.exit is not allowed in init.lua")
	}
	if set.prompt == nil && set.side == nil {
		return set, errors.Join(err, s.Close())
	}
	set.state = s
	return set, err
}

// Close ends the machine that prompt functions run in.
func (set *Settings) Close() error {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.state == nil {
		return nil
	}
	err := set.state.Close()
	set.state = nil
	return err
}

// promptLimit bounds a prompt function: it runs between two keys. It is not
// closer because who exceeds it is not asked again, and any process may have to
// wait some hundred milliseconds for a busy machine.
const promptLimit = 500 * time.Millisecond

// PromptText calls the prompt function with a table of what is known; ok is
// false where there is no function. An error takes the function away: it would
// come again at every line.
func (set *Settings) PromptText(info map[string]any) (text string, ok bool, err error) {
	return set.ask(&set.prompt, "prompt", info)
}

// PromptFunctions tells whether a text of the prompt is made by a function,
// which may look at everything that is known.
func (set *Settings) PromptFunctions() bool {
	set.mu.Lock()
	defer set.mu.Unlock()
	return set.prompt != nil || set.side != nil
}

// RightText is PromptText for the text at the right edge.
func (set *Settings) RightText(info map[string]any) (text string, ok bool, err error) {
	return set.ask(&set.side, "right_prompt", info)
}

func (set *Settings) ask(fn *lua.LValue, name string, info map[string]any) (text string, ok bool, err error) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if *fn == nil || set.state == nil {
		return "", false, nil
	}
	s := set.state
	ctx, cancel := context.WithTimeoutCause(context.Background(), promptLimit, fmt.Errorf("still running after %s", promptLimit))
	defer cancel()
	s.ctx = ctx
	s.L.SetContext(ctx)
	results, err := s.Call(*fn, 1, s.infoTable(info))
	if err != nil {
		*fn = nil
		return "", false, fmt.Errorf("%s of init.lua: %w", name, err)
	}
	return lua.LVAsString(results[0]), true, nil
}

func (s *State) infoTable(info map[string]any) *lua.LTable {
	t := s.L.NewTable()
	for k, v := range info {
		switch v := v.(type) {
		case string:
			t.RawSetString(k, lua.LString(v))
		case int:
			t.RawSetString(k, lua.LNumber(v))
		case float64:
			t.RawSetString(k, lua.LNumber(v))
		}
	}
	return t
}

// applySettings is nacre.settings. Everything is checked before anything counts.
func (s *State) applySettings(L *lua.LState) (int, error) {
	if s.loading == nil || s.loading.finished {
		return 0, invalid("nacre.settings: only in init.lua of nacre's configuration folder")
	}
	o := optionsAt(L, 1)
	prompt, promptFn := o.formatOrFunction("prompt")
	right, rightFn := o.formatOrFunction("right_prompt")
	transient, transientFn := o.formatOrFunction("transient_prompt")
	if transientFn != nil {
		o.fail("transient_prompt", "a format", transientFn)
	}
	aliases, env := o.pairs("aliases"), o.pairs("env")
	offers := o.get("offers")
	if _, ok := offers.(lua.LBool); !ok && offers != lua.LNil {
		o.fail("offers", "true or false", offers)
	}
	notify, after := o.text("notify"), o.number("notify_after", int(notifyAfter.Seconds()))
	pager := o.text("pager")
	if err := o.done(); err != nil {
		return 0, err
	}
	if ways := []string{"", "none", "bell", "desktop"}; !slices.Contains(ways, notify) {
		return 0, invalid("option notify: want bell, desktop or none, got %q", notify)
	}
	if after < 0 {
		return 0, invalid("option notify_after: want seconds, got %d", after)
	}
	for name := range aliases {
		if name == "" || strings.ContainsAny(name, " \t\n\"'`$\\|&;()<>=/") {
			return 0, invalid("option aliases: %q cannot be a command's name", name)
		}
	}
	s.loading.settings.merge(prompt, right, transient, promptFn, rightFn, aliases, env)
	if offers != lua.LNil {
		s.loading.settings.NoOffers = offers == lua.LFalse
	}
	if pager != "" {
		s.loading.settings.Pager = pager
	}
	if notify != "" {
		set := s.loading.settings
		set.Notify, set.NotifyAfter = strings.TrimPrefix(notify, "none"), time.Duration(after)*time.Second
	}
	return 0, nil
}

// merge lets a later call of nacre.settings add to the earlier ones.
func (set *Settings) merge(prompt, right, transient *string, promptFn, rightFn lua.LValue, aliases, env map[string]string) {
	if prompt != nil || promptFn != nil {
		set.Prompt, set.prompt = prompt, promptFn
	}
	if right != nil || rightFn != nil {
		set.RightPrompt, set.side = right, rightFn
	}
	if transient != nil {
		set.Transient = transient
	}
	set.Aliases = joined(set.Aliases, aliases)
	set.Env = joined(set.Env, env)
}

func joined(a, b map[string]string) map[string]string {
	if a == nil {
		return b
	}
	for k, v := range b {
		a[k] = v
	}
	return a
}

// formatOrFunction reads an option that is a text or a function.
func (o *options) formatOrFunction(name string) (format *string, fn lua.LValue) {
	switch v := o.get(name).(type) {
	case *lua.LNilType:
	case lua.LString:
		text := string(v)
		return &text, nil
	case *lua.LFunction:
		return nil, v
	default:
		o.fail(name, "a format or a function", v)
	}
	return nil, nil
}
