package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins/show"
)

// paged are the commands whose output is read from its beginning: lists and
// descriptions. Whatever follows something, asks or draws is not among them.
var paged = []string{"ps", "images", "ls", "history", "search", "inspect", "info", "version", "logs", "diff", "top", "df", "tags", "sessions", "show", "help", "port"}

// withPager makes the commands of a tree, and its help, show long output in the
// invocation's pager.
func withPager(root *cobra.Command, inv *Invocation) {
	if inv.Pager == "" {
		return
	}
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, words []string) {
		err := inv.page(cmd, func() error { help(cmd, words); return nil })
		if err != nil {
			fmt.Fprintln(inv.Err, "nacre:", err)
		}
	})
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if run := c.RunE; run != nil && slices.Contains(paged, c.Name()) {
			c.RunE = func(cmd *cobra.Command, words []string) error {
				if follow := cmd.Flags().Lookup("follow"); follow != nil && follow.Value.String() == "true" {
					return run(cmd, words)
				}
				return inv.page(cmd, func() error { return run(cmd, words) })
			}
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(root)
}

// page runs a command with its output held back until it is known whether it
// fits into the window; what does not goes through the pager, as with git.
func (inv *Invocation) page(cmd *cobra.Command, run func() error) error {
	file, isFile := inv.Out.(*os.File) // a page itself is none: its reader sees one pager, not two
	window, ok := show.WindowOf(inv.Out, inv.Getenv)
	if !isFile || !ok || window.Rows < 2 {
		return run()
	}
	before := cmd.Context()
	ctx, cancel := context.WithCancel(before)
	defer cancel()
	ended := make(chan struct{})
	started := false
	page := show.NewPage(file, window, func() (io.WriteCloser, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		started = true
		go func() {
			defer close(ended)
			defer cancel() // who has left the pager waits for nothing
			defer r.Close()
			inv.runPager(before, r, file)
		}()
		return w, nil
	})
	cmd.SetContext(show.WithTerminal(ctx, file))
	restore := inv.divert(cmd, page)
	failed := run()
	restore()
	cmd.SetContext(before)
	left, err := page.Close()
	if started {
		<-ended
	}
	if left || started && before.Err() == nil && ctx.Err() != nil && errors.Is(failed, context.Canceled) {
		return nil // broken off because nobody reads: no failure
	}
	if failed != nil {
		return failed
	}
	return err
}

// divert lets everything that the command prints go to a page until restore is
// called: what is in wrong order there would be worse than what is missing.
func (inv *Invocation) divert(cmd *cobra.Command, page *show.Page) (restore func()) {
	out, errs := inv.Out, inv.Err
	set := func(out, errs io.Writer) {
		inv.Out, inv.Err = out, errs
		cmd.Root().SetOut(out)
		cmd.Root().SetErr(errs)
		if inv.streams != nil {
			inv.streams(out, errs)
		}
	}
	if shownTo(errs) {
		set(page, page)
	} else {
		set(page, errs)
	}
	return func() { set(out, errs) }
}

// OnStreams has set called when the invocation's outputs change before its
// command runs: who has handed them on hands the new ones on.
func (inv *Invocation) OnStreams(set func(out, errs io.Writer)) { inv.streams = set }

// runPager runs the pager as the shell runs a program in the foreground: it has
// the terminal and its Ctrl-C until it ends.
func (inv *Invocation) runPager(ctx context.Context, text io.Reader, terminal *os.File) {
	child := *inv
	child.Args, child.In, child.Out, child.Err, child.Pager = pagerWords(inv.Pager), text, terminal, terminal, ""
	child.Env = slices.Clone(inv.Env)
	if inv.Getenv("LESS") == "" { // as git: not for what fits, colours, the text stays on the screen
		child.Env = append(child.Env, "LESS=FRX")
	}
	if inv.Getenv("LV") == "" {
		child.Env = append(child.Env, "LV=-c")
	}
	inv.Shell.Exec(ctx, &child)
}

// pagerWords are the words of a pager's command; one that needs a shell gets it.
// The path keeps a command of nacre from being meant.
func pagerWords(command string) []string {
	if strings.ContainsAny(command, "|&;<>()$`\\\"'*?[#~=%!{}") {
		return []string{"/bin/sh", "-c", command}
	}
	words := strings.Fields(command)
	if path, err := exec.LookPath(words[0]); err == nil {
		if absolute, err := filepath.Abs(path); err == nil {
			words[0] = absolute
		}
	}
	return words
}

// defaultPager is used where nobody says anything, if it is there.
const defaultPager = "less"

// ChoosePager decides which command shows long output: NACRE_PAGER, the setting
// (auto, never, or a command; "" is auto), PAGER, less. "" means none, also
// where the command's program is not there.
func ChoosePager(setting string, getenv func(string) string) string {
	command, said := getenv("NACRE_PAGER"), getenv("NACRE_PAGER") != ""
	if !said && setting != "" && setting != "auto" {
		command, said = setting, true
	}
	if !said {
		if command = getenv("PAGER"); command == "" {
			command = defaultPager
		}
	}
	words := strings.Fields(command)
	if len(words) == 0 || len(words) == 1 && (words[0] == "never" || words[0] == "cat") {
		return ""
	}
	if pager := pagerWords(command); !filepath.IsAbs(pager[0]) {
		return ""
	}
	return command
}
