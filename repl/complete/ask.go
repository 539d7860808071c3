package complete

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins"
)

// ask lets a command complete its own flags and arguments: its fresh tree runs
// cobra's hidden __complete with the output caught.
func (c *Completer) ask(ctx context.Context, command *plugins.Command, globals, words []string, word string) ([]plugins.Candidate, plugins.Directive) {
	none := plugins.Directive{NoFiles: true}
	if !c.parses(command, globals, words, word) {
		return nil, none
	}
	inv := c.invocation(globals, words)
	defer inv.End()
	root, err := command.Build(inv)
	if err != nil {
		return nil, none
	}
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(append(append([]string{cobra.ShellCompRequestCmd}, words...), word))
	if err := root.ExecuteContext(ctx); err != nil {
		return nil, none
	}
	return answer(out.String())
}

func (c *Completer) invocation(globals, words []string) *plugins.Invocation {
	return &plugins.Invocation{
		Args: words, In: strings.NewReader(""), Out: io.Discard, Err: io.Discard,
		Dir: c.options.Dir(), Env: c.options.Env(), Engine: c.options.Engine, Globals: globals, Shell: c.options.Shell,
	}
}

// parses tells whether the words before the one to complete make sense. cobra
// would complain on the terminal otherwise, in the middle of the prompt.
func (c *Completer) parses(command *plugins.Command, globals, words []string, word string) bool {
	inv := c.invocation(globals, words)
	defer inv.End()
	root, err := command.Build(inv)
	if err != nil {
		return false
	}
	find := root.Find
	if root.TraverseChildren {
		find = root.Traverse
	}
	cmd, args, err := find(words)
	if err != nil || cmd == root {
		return false
	}
	if cmd.DisableFlagParsing {
		return true
	}
	cmd.InitDefaultHelpFlag()
	if n := len(args); n > 0 && !strings.HasPrefix(word, "-") {
		if f := wantsValue(cmd, args[n-1]); f != nil {
			args = args[:n-1]
		}
	}
	if name, _, found := strings.Cut(strings.TrimPrefix(word, "--"), "="); found && strings.HasPrefix(word, "--") && cmd.Flag(name) == nil {
		return false
	}
	return cmd.ParseFlags(args) == nil
}

// wantsValue returns the flag that a word names when its value is the next word.
func wantsValue(cmd *cobra.Command, word string) *pflag.Flag {
	var f *pflag.Flag
	switch {
	case strings.HasPrefix(word, "--") && !strings.Contains(word, "="):
		f = cmd.Flag(word[2:])
	case len(word) > 1 && word[0] == '-' && word[1] != '-' && !strings.Contains(word, "="):
		f = cmd.Flags().ShorthandLookup(word[len(word)-1:])
	}
	if f == nil || f.NoOptDefVal != "" {
		return nil
	}
	return f
}

// answer reads what __complete has printed: a candidate a line, its description
// after a tab, and a last line with the directive.
func answer(text string) ([]plugins.Candidate, plugins.Directive) {
	var list []plugins.Candidate
	bits := cobra.ShellCompDirectiveNoFileComp
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if number, ok := strings.CutPrefix(line, ":"); ok {
			if n, err := strconv.Atoi(number); err == nil {
				bits = cobra.ShellCompDirective(n)
			}
			continue
		}
		if strings.HasPrefix(line, "_activeHelp_ ") {
			continue
		}
		name, about, _ := strings.Cut(line, "\t")
		list = append(list, plugins.Candidate{Text: name, Description: about})
	}
	return directed(list, bits)
}

func directed(list []plugins.Candidate, bits cobra.ShellCompDirective) ([]plugins.Candidate, plugins.Directive) {
	has := func(bit cobra.ShellCompDirective) bool { return bits&bit != 0 }
	d := plugins.Directive{
		NoSpace:   has(cobra.ShellCompDirectiveNoSpace),
		NoFiles:   has(cobra.ShellCompDirectiveNoFileComp) || has(cobra.ShellCompDirectiveError),
		KeepOrder: has(cobra.ShellCompDirectiveKeepOrder),
		Dirs:      has(cobra.ShellCompDirectiveFilterDirs),
	}
	switch {
	case has(cobra.ShellCompDirectiveError):
		return nil, d
	case has(cobra.ShellCompDirectiveFilterFileExt):
		for _, c := range list {
			d.Exts = append(d.Exts, c.Text)
		}
		d.Files = true
		return nil, d
	case d.Dirs:
		return nil, d
	}
	return list, d
}
