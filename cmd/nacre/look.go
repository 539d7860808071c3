package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/discover"
	"github.com/nacre-sh/nacre/repl"
	"github.com/nacre-sh/nacre/repl/prompt"
	"github.com/nacre-sh/nacre/repl/status"
	"github.com/nacre-sh/nacre/scripting"
)

// What the prompt looks like where the user's init.lua does not say.
const (
	defaultPrompt = "[{dim}{engine}{/} ]{bold cyan}nacre{/} {bold}❯{/} "
	defaultRight  = "[{red}✗ {status}{/}][ {dim}{duration}{/}][ {yellow}&{jobs}{/}][ {dim}{containers} up{/}][ {dim}via {mirror}{/}]"
)

// look is the prompt's appearance: the user's settings, and what there is to tell.
type look struct {
	p     *program
	watch *status.Watch
	shell *repl.Shell // set by attach, before the first prompt

	mu        sync.Mutex
	settings  *scripting.Settings
	left      *status.Format
	side      *status.Format
	transient *status.Format // nil: the prompt stays
	last      repl.Ended
	aliases   []string // that the last startup has made
	editor    *prompt.Editor
}

// newLook reads the settings. What is wrong with them costs a warning.
func newLook(ctx context.Context, p *program) *look {
	l := &look{p: p, settings: &scripting.Settings{}}
	l.watch = status.NewWatch(l.findOut, l.redraw)
	l.load(ctx, false)
	return l
}

func (l *look) warn(err error) {
	if err != nil {
		fmt.Fprintln(l.p.err, "nacre: warning:", err)
	}
}

// load reads init.lua and makes its formats count. A broken file changes
// nothing when there were settings before it.
func (l *look) load(ctx context.Context, again bool) {
	set := &scripting.Settings{}
	if dir := discover.ConfigDir(l.p.environment); dir != "" {
		var err error
		set, err = scripting.LoadSettings(ctx, filepath.Join(dir, "init.lua"), l.p.environment, l.p.err)
		l.warn(err)
		if err != nil && again {
			l.warn(set.Close())
			return
		}
	}
	left, right := l.format(set.Prompt, defaultPrompt), l.format(set.RightPrompt, defaultRight)
	var transient *status.Format
	if set.Transient != nil {
		transient = l.format(set.Transient, "")
	}
	l.mu.Lock()
	old := l.settings
	l.settings, l.left, l.side, l.transient = set, left, right, transient
	l.mu.Unlock()
	l.warn(old.Close())
}

func (l *look) format(text *string, otherwise string) *status.Format {
	if text != nil {
		f, err := status.Parse(*text)
		if err == nil {
			return f
		}
		l.warn(err)
	}
	return status.MustParse(otherwise)
}

// attach gives the look what exists only later.
func (l *look) attach(shell *repl.Shell, editor *prompt.Editor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shell, l.editor = shell, editor
}

func (l *look) close() {
	l.mu.Lock()
	set := l.settings
	l.mu.Unlock()
	l.warn(set.Close())
}

func (l *look) redraw() {
	l.mu.Lock()
	editor := l.editor
	l.mu.Unlock()
	if editor != nil {
		editor.Refresh()
	}
}

// startup is the shell text of the settings. The first call uses what has been
// read; later ones, after `reload`, read anew.
func (l *look) startup() string {
	l.mu.Lock()
	again := l.aliases != nil
	l.mu.Unlock()
	if again {
		l.load(context.Background(), true)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, name := range l.aliases {
		fmt.Fprintf(&b, "unalias %s\n", name)
	}
	l.aliases = []string{}
	for _, name := range slices.Sorted(maps.Keys(l.settings.Aliases)) {
		quoted, err := syntax.Quote(l.settings.Aliases[name], syntax.LangBash)
		if err != nil {
			l.warn(fmt.Errorf("init.lua: alias %s: %w", name, err))
			continue
		}
		fmt.Fprintf(&b, "alias %s=%s\n", name, quoted)
		l.aliases = append(l.aliases, name)
	}
	for _, name := range slices.Sorted(maps.Keys(l.settings.Env)) {
		quoted, err := syntax.Quote(l.settings.Env[name], syntax.LangBash)
		if err != nil || !syntax.ValidName(name) {
			l.warn(cmp.Or(err, fmt.Errorf("init.lua: %q cannot be a variable's name", name)))
			continue
		}
		fmt.Fprintf(&b, "export %s=%s\n", name, quoted)
	}
	return b.String()
}

// pager is the command for output that is longer than the window.
func (l *look) pager(env []string) string {
	l.mu.Lock()
	setting := l.settings.Pager
	l.mu.Unlock()
	return plugins.ChoosePager(setting, func(name string) string { return plugins.LookupEnv(env, name) })
}

// ended is told about every line and job. A long one may ring.
func (l *look) ended(e repl.Ended) {
	l.mu.Lock()
	if !e.Job {
		l.last = e
	}
	how, after := l.settings.Notify, l.settings.NotifyAfter
	slow := l.settings.PromptFunctions() || slices.ContainsFunc([]string{"containers", "mirror"}, func(field string) bool { return l.left.Uses(field) || l.side.Uses(field) })
	l.mu.Unlock()
	if how != "" && e.Duration >= after {
		l.ring(how, e)
	}
	if slow {
		l.watch.Refresh(context.Background())
	}
	if e.Job {
		l.redraw()
	}
}

// ring tells the terminal that a line has ended: with its bell, or with the
// notifications of iTerm2, kitty and others (OSC 9) and of urxvt, foot and
// others (OSC 777).
func (l *look) ring(how string, e repl.Ended) {
	if how == "bell" {
		fmt.Fprint(l.p.out, "\a")
		return
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == ';' {
			return ' '
		}
		return r
	}, e.Text)
	word := "done"
	if e.Status != 0 {
		word = fmt.Sprintf("exit %d", e.Status)
	}
	fmt.Fprintf(l.p.out, "\x1b]9;nacre: %s (%s)\x07\x1b]777;notify;nacre;%s (%s)\x07", text, word, text, word)
}

// info is what there is to tell now.
func (l *look) info() status.Info {
	i := l.watch.Known()
	l.mu.Lock()
	defer l.mu.Unlock()
	i.Status, i.Duration = l.last.Status, l.last.Duration
	i.Engine = l.p.engineName()
	i.User = "root"
	if os.Geteuid() != 0 {
		i.User = "rootless"
	}
	if l.shell != nil {
		i.Jobs, i.Dir = l.shell.Jobs(), l.home(l.shell.Dir())
	}
	return i
}

// home writes the home folder as ~.
func (l *look) home(dir string) string {
	home := expandEnv(l.p.environment)("HOME")
	if home == "" || home == "/" {
		return dir
	}
	if rest, below := strings.CutPrefix(dir, home); below && (rest == "" || rest[0] == '/') {
		return "~" + rest
	}
	return dir
}

func (l *look) prompt() string {
	l.mu.Lock()
	set, format := l.settings, l.left
	l.mu.Unlock()
	return l.text(set.PromptText, format)
}

func (l *look) right() string {
	l.mu.Lock()
	set, format := l.settings, l.side
	l.mu.Unlock()
	return l.text(set.RightText, format)
}

func (l *look) text(function func(map[string]any) (string, bool, error), format *status.Format) string {
	i := l.info()
	text, ok, err := function(map[string]any{
		"engine": i.Engine, "user": i.User, "containers": i.Containers, "status": i.Status, "duration": i.Duration.Seconds(),
		"jobs": i.Jobs, "mirror": i.Mirror, "dir": i.Dir,
	})
	l.warn(err)
	if ok {
		return text
	}
	return format.Render(i)
}

// entered is the prompt of a line that has been entered.
func (l *look) entered() string {
	l.mu.Lock()
	format := l.transient
	l.mu.Unlock()
	if format == nil {
		return l.prompt()
	}
	return format.Render(l.info())
}

// ask asks at the prompt whether a line shall be mended.
func (l *look) ask(ctx context.Context, question string, yes bool) (answer, asked bool) {
	l.mu.Lock()
	editor, off := l.editor, l.settings.NoOffers
	l.mu.Unlock()
	if editor == nil || off {
		return false, false
	}
	return editor.Ask(ctx, question, yes)
}

// findOut finds out what takes time: it runs the commands that a user would.
func (l *look) findOut(ctx context.Context, i *status.Info) {
	if l.shell == nil {
		return
	}
	if out, ok := l.run(ctx, "ps", "--format", "{{.ID}}"); ok {
		i.Containers = strings.Count(out, "\n")
	}
	if out, ok := l.run(ctx, "mirror", "ls", "--format", "{{.Status}}\t{{.Name}}\t{{.URL}}", "docker.io"); ok {
		i.Mirror = mirrorInUse(out)
	}
}

// run runs a command quietly and returns what it prints.
func (l *look) run(ctx context.Context, words ...string) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	status := l.shell.Exec(ctx, &plugins.Invocation{
		Args: words, In: strings.NewReader(""), Out: &out, Err: &errs,
		Dir: l.shell.Dir(), Env: l.shell.Env(), Globals: slices.Clone(l.p.options.globals),
	})
	return out.String(), status == 0
}

// mirrorInUse reads `mirror ls`.
func mirrorInUse(list string) string {
	for line := range strings.Lines(list) {
		columns := strings.Split(strings.TrimSpace(line), "\t")
		if len(columns) == 3 && columns[0] == "in use" {
			return cmp.Or(columns[1], columns[2])
		}
	}
	return ""
}
