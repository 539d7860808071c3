package complete

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins"
)

// typing is what is known of the word that is being typed as a part of a
// command of ours.
type typing struct {
	inv     *plugins.Invocation
	globals []string
	cmd     *cobra.Command
	path    string   // the command's words, as in "container rm"
	args    []string // the arguments before the word
	word    string
	flag    *pflag.Flag // whose value the word is, nil if it is none
	options bool        // an option may stand here
}

// tree builds the command's tree and finds out what the word is a part of; ok
// is false where the words before it make no sense. The caller ends the
// invocation either way.
func (c *Completer) tree(command *plugins.Command, globals, words []string, word string) (t typing, ok bool) {
	t = typing{inv: c.invocation(globals, words), globals: globals, word: word}
	root, err := command.Build(t.inv)
	if err != nil {
		return t, false
	}
	find := root.Find
	if root.TraverseChildren {
		find = root.Traverse
	}
	cmd, rest, err := find(words)
	if err != nil || cmd == root {
		return t, false
	}
	t.cmd, t.path = cmd, strings.TrimPrefix(cmd.CommandPath(), root.CommandPath()+" ")
	if cmd.DisableFlagParsing {
		t.args = rest
		return t, true
	}
	return t, t.parse(rest)
}

func (c *Completer) invocation(globals, words []string) *plugins.Invocation {
	return &plugins.Invocation{
		Args: words, In: strings.NewReader(""), Out: io.Discard, Err: io.Discard,
		Dir: c.options.Dir(), Env: c.options.Env(), Engine: c.options.Engine, Globals: globals, Shell: c.options.Shell,
	}
}

// parse sorts the words behind the command into options and arguments.
func (t *typing) parse(rest []string) bool {
	cmd := t.cmd
	cmd.InitDefaultHelpFlag()
	cmd.Flags().AddFlagSet(cmd.InheritedFlags())
	// `run` and `exec` take no options behind their first argument. pflag does not tell, but shows.
	interspersed := cmd.Flags().Parse([]string{"x", "--no-such-flag"}) != nil
	n := len(rest)
	if n > 0 {
		if f := wantsValue(cmd, rest[n-1]); f != nil && cmd.ParseFlags(rest[:n-1]) == nil && t.optionsGoOn(interspersed) {
			t.flag, t.args = f, cmd.Flags().Args()
			return true
		}
	}
	if cmd.ParseFlags(rest) != nil {
		return false
	}
	t.args, t.options = cmd.Flags().Args(), t.optionsGoOn(interspersed)
	if name, value, found := strings.Cut(strings.TrimPrefix(t.word, "--"), "="); found && t.options && strings.HasPrefix(t.word, "--") {
		if t.flag = cmd.Flag(name); t.flag == nil {
			return false
		}
		t.word = value
	}
	return true
}

// optionsGoOn tells whether options may follow what the command's flags have parsed.
func (t *typing) optionsGoOn(interspersed bool) bool {
	f := t.cmd.Flags()
	return f.ArgsLenAtDash() < 0 && (interspersed || f.NArg() == 0)
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

// flags lists the options that the word can become. One that was given already
// is left out, unless it may come again.
func (t *typing) flags() []plugins.Candidate {
	var list []plugins.Candidate
	t.cmd.Flags().VisitAll(func(f *pflag.Flag) {
		again := strings.HasSuffix(f.Value.Type(), "Slice") || strings.HasSuffix(f.Value.Type(), "Array") || f.Value.Type() == "list" || f.Value.Type() == "filter"
		if f.Hidden || f.Deprecated != "" || f.Changed && !again {
			return
		}
		about := f.Usage
		if f.Shorthand != "" {
			about = "-" + f.Shorthand + "  " + about
		}
		list = append(list, plugins.Candidate{Text: "--" + f.Name, Description: about})
		if len(t.word) == 2 && t.word[1] != '-' && t.word[1:] == f.Shorthand {
			list = append(list, plugins.Candidate{Text: t.word, Description: f.Usage})
		}
	})
	return list
}

// subcommands lists what can follow a command that only groups others.
func (t *typing) subcommands() []plugins.Candidate {
	var list []plugins.Candidate
	for _, child := range t.cmd.Commands() {
		if child.IsAvailableCommand() {
			list = append(list, plugins.Candidate{Text: child.Name(), Description: child.Short})
		}
	}
	return list
}

// asked lets the command complete by the function that it has registered. Many
// of these give everything, some look at the word; one that finds nothing for
// the word is asked for everything.
func (t *typing) asked(ctx context.Context) ([]plugins.Candidate, plugins.Directive) {
	t.cmd.SetContext(ctx)
	list, bits := t.call(t.word)
	if len(list) == 0 && t.word != "" && bits&cobra.ShellCompDirectiveError == 0 {
		list, bits = t.call("")
	}
	return directed(list, bits)
}

func (t *typing) call(word string) ([]plugins.Candidate, cobra.ShellCompDirective) {
	var f cobra.CompletionFunc
	if t.flag != nil {
		if exts := t.flag.Annotations[cobra.BashCompFilenameExt]; exts != nil {
			return candidates(exts), cobra.ShellCompDirectiveFilterFileExt
		}
		if t.flag.Annotations[cobra.BashCompSubdirsInDir] != nil {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		f, _ = t.cmd.GetFlagCompletionFunc(t.flag.Name)
	} else if f = t.cmd.ValidArgsFunction; f == nil && len(t.cmd.ValidArgs) > 0 {
		return candidates(t.cmd.ValidArgs), cobra.ShellCompDirectiveNoFileComp
	}
	if f == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	list, bits := f(t.cmd, slices.Clone(t.args), word)
	return candidates(list), bits
}

func candidates(words []string) []plugins.Candidate {
	list := make([]plugins.Candidate, 0, len(words))
	for _, w := range words {
		if strings.HasPrefix(w, "_activeHelp_ ") {
			continue
		}
		text, about, _ := strings.Cut(w, "\t")
		list = append(list, plugins.Candidate{Text: text, Description: about})
	}
	return list
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
