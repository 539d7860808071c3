// Package abbr keeps abbreviations: words that the prompt replaces by what they
// stand for as soon as a blank follows, so that the line that runs, and the
// history, hold the whole command. They lie in a text file of the user's, one a
// line: the word, a tab, the text. `abbr` changes it; so may an editor.
package abbr

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// Path is where the abbreviations lie for an environment:
// $XDG_CONFIG_HOME/nacre/abbreviations, else ~/.config/nacre/abbreviations;
// "" without a home.
func Path(getenv func(string) string) string {
	if config := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(config) {
		return filepath.Join(config, "nacre", "abbreviations")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "nacre", "abbreviations")
	}
	return ""
}

// File is the file of abbreviations. It is safe for concurrent use; what
// another program writes is seen at the next look.
type File struct {
	Path string

	mu    sync.Mutex
	mtime time.Time
	size  int64
	texts map[string]string
}

// Expand gives what a word stands for, "" for most words.
func (f *File) Expand(word string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refresh() != nil {
		return ""
	}
	return f.texts[word]
}

// refresh reads the file again if it has changed.
func (f *File) refresh() error {
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) || f.Path == "" {
		f.texts, f.size, f.mtime = nil, 0, time.Time{}
		return nil
	}
	if err != nil {
		return err
	}
	if f.texts != nil && info.Size() == f.size && info.ModTime().Equal(f.mtime) {
		return nil
	}
	data, err := os.ReadFile(f.Path)
	if err != nil {
		return err
	}
	f.texts, f.size, f.mtime = map[string]string{}, info.Size(), info.ModTime()
	for line := range strings.Lines(string(data)) {
		word, text, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		if ok && form().MatchString(word) && text != "" {
			f.texts[word] = text
		}
	}
	return nil
}

var form = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^\s'"$` + "`" + `|&;<>(){}#\\]+$`) })

// Set makes a word stand for a text.
func (f *File) Set(word, text string) error {
	if !form().MatchString(word) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("abbr %q: want a word without blanks, quotes and the shell's signs", word))
	}
	if strings.ContainsAny(text, "\n\r") || strings.TrimSpace(text) == "" {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("abbr %s: want a text of one line", word))
	}
	return f.change(func() error {
		f.texts[word] = text
		return nil
	})
}

// Remove takes an abbreviation away; errdefs.ErrNotFound if there is none.
func (f *File) Remove(word string) error {
	return f.change(func() error {
		if _, ok := f.texts[word]; !ok {
			return errdefs.ErrNotFound.WithMessage("no such abbreviation: " + word)
		}
		delete(f.texts, word)
		return nil
	})
}

// change rewrites the file as a whole: a crash leaves the old one or the new one.
func (f *File) change(change func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Path == "" {
		return errdefs.ErrFailedPrecondition.WithMessage("keep abbreviations: there is no home folder")
	}
	if err := f.refresh(); err != nil {
		return fmt.Errorf("keep abbreviations: %w", err)
	}
	if f.texts == nil {
		f.texts = map[string]string{}
	}
	if err := change(); err != nil {
		return err
	}
	var b strings.Builder
	for _, word := range f.words() {
		b.WriteString(word + "\t" + f.texts[word] + "\n")
	}
	if err := replace(f.Path, b.String()); err != nil {
		return fmt.Errorf("keep abbreviations: %w", err)
	}
	f.size = -1 // read it again
	return nil
}

func replace(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".abbreviations-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

func (f *File) words() []string {
	var words []string
	for w := range f.texts {
		words = append(words, w)
	}
	slices.Sort(words)
	return words
}

// Candidates lists the abbreviations for completion.
func (f *File) Candidates() []plugins.Candidate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refresh() != nil {
		return nil
	}
	var list []plugins.Candidate
	for _, w := range f.words() {
		list = append(list, plugins.Candidate{Text: w, Description: f.texts[w]})
	}
	return list
}

// Command is `abbr`.
func (f *File) Command() plugins.Command {
	return plugins.Command{
		Name: "abbr", Short: "Show and change the abbreviations of the prompt", Group: "nacre", Plugin: "prompt",
		Build: func(inv *plugins.Invocation) (*cobra.Command, error) {
			root := plugins.NewRoot()
			root.AddCommand(f.command(inv))
			inv.Defer(func() { plugins.ForgetCompletions(root) })
			return root, nil
		},
	}
}

func (f *File) command(inv *plugins.Invocation) *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use: "abbr [WORD TEXT...] | --remove WORD", Short: "Show and change the abbreviations of the prompt",
		Long:    "Show the abbreviations, or make a word stand for a text: at the prompt it is\nreplaced as soon as a blank or Enter follows.",
		Example: "  abbr pa ps -a\n  abbr --remove pa",
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case remove && len(args) == 1:
				return f.Remove(args[0])
			case remove:
				return errdefs.ErrInvalidArgument.WithMessage("abbr --remove: want one word")
			case len(args) == 0:
				return f.list(inv.Out)
			case len(args) == 1:
				return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("abbr %s: want the text that it stands for", args[0]))
			}
			return f.Set(args[0], strings.Join(args[1:], " "))
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var words []string
			if remove && len(args) == 0 {
				for _, c := range f.Candidates() {
					words = append(words, c.Text+"\t"+c.Description)
				}
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().SetInterspersed(false) // options behind the word belong to the text
	c.Flags().BoolVar(&remove, "remove", false, "Take an abbreviation away")
	return c
}

func (f *File) list(w io.Writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return fmt.Errorf("read the abbreviations: %w", err)
	}
	for _, word := range f.words() {
		if _, err := fmt.Fprintf(w, "%s\t%s\n", word, f.texts[word]); err != nil {
			return err
		}
	}
	return nil
}
