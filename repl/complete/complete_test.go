package complete

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// bench is a shell with one command, `greet`, that completes names, a flag
// with fixed values, files of one kind, and a subcommand.
type bench struct{ registry *plugins.Registry }

func (b bench) Exec(context.Context, *plugins.Invocation) int { return 0 }
func (b bench) Source(context.Context, *plugins.Invocation, string, io.Reader) int {
	return 0
}
func (b bench) Registry() *plugins.Registry { return b.registry }

func newBench(t *testing.T) *Completer {
	t.Helper()
	r := plugins.NewRegistry()
	for _, c := range []plugins.Command{
		{Name: "greet", Short: "Say hello", Build: greet},
		{Name: "grep-images", Build: greet},
		{Name: "export", Build: greet},
		{Name: "docker", Hidden: true},
	} {
		c.Plugin = "test"
		if err := r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"notes.lua", "with space.txt", "plain"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	return New(Options{
		Shell: bench{r}, Dir: func() string { return dir }, Env: func() []string { return []string{"PATH=" + dir, "HOME=" + dir} },
	})
}

func greet(inv *plugins.Invocation) (*cobra.Command, error) {
	root := plugins.NewRoot()
	cmd := &cobra.Command{
		Use: inv.Args[0], Run: func(*cobra.Command, []string) {},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return slices.DeleteFunc([]string{"anna\tfirst", "anton\tsecond", "berta"}, func(s string) bool {
				name, _, _ := strings.Cut(s, "\t")
				return slices.Contains(args, name)
			}), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().String("tone", "", "how")
	cmd.Flags().String("script", "", "file")
	cmd.Flags().BoolP("loud", "l", false, "shout")
	cmd.RegisterFlagCompletionFunc("tone", cobra.FixedCompletions([]string{"kind", "kurt"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.MarkFlagFilename("script", "lua")
	root.AddCommand(cmd)
	inv.Defer(func() { plugins.ForgetCompletions(root) })
	return root, nil
}

// TestComplete: | marks the cursor; the completed lines are what comes out when
// each candidate is accepted.
func TestComplete(t *testing.T) {
	c := newBench(t)
	for _, test := range []struct {
		line string
		want []string
	}{
		{"gr|", []string{"greet", "grep-images"}},
		{"docker gr|", []string{"docker greet", "docker grep-images"}},
		{"docker -H tcp://x gree|", []string{"docker -H tcp://x greet"}},
		{"greet an|", []string{"greet anna", "greet anton"}},
		{"greet anna |", []string{"greet anna anton", "greet anna berta"}},
		{"docker greet be|", []string{"docker greet berta"}},
		{"greet --t|", []string{"greet --tone"}},
		{"greet --tone |", []string{"greet --tone kind", "greet --tone kurt"}},
		{"greet --tone=ki|", []string{"greet --tone=kind"}},
		{"greet -l --tone ku| berta", []string{"greet -l --tone kurt berta"}},
		{"greet --nope |", nil},
		{"greet --nope=|", nil},
		{"echo $(greet be|", []string{"echo $(greet berta"}},
		{"echo \"$(greet be|", []string{"echo \"$(greet berta"}},
		{"greet anna | greet be‸", []string{"greet anna | greet berta"}},
		{"greet anna && gree|", []string{"greet anna && greet"}},
		{"for i in 1 2; do greet be|", []string{"for i in 1 2; do greet berta"}},
		{"if gree|", []string{"if greet"}},
		{"x=1 greet be|", []string{"x=1 greet berta"}},
		{"greet 'an|", []string{"greet anna", "greet anton"}},
		{"greet \"an|", []string{"greet anna", "greet anton"}},
		{"greet a\"n|", []string{"greet anna", "greet anton"}},
		{"cat \"with s|", []string{`cat with\ space.txt`}},
		{"greet anna | xargs -n 1 greet be‸", []string{"greet anna | xargs -n 1 greet berta"}},
		{"xargs -r docker gree|", []string{"xargs -r docker greet"}},
		{"export be|", []string{"export berta"}},
		{"greet --script |", []string{"greet --script folder/", "greet --script notes.lua"}},
		{"greet > pl|", []string{"greet > plain"}},
		{"cat wi|", []string{`cat with\ space.txt`}},
		{"cat ~/pl|", []string{"cat ~/plain"}},
		{"pla|", []string{"plain"}},
		{"!gr|", nil},
		{"./pl|", []string{"./plain"}},
		{"", []string{"export", "greet", "grep-images"}},
		{"greet anna; |", []string{"greet anna; export", "greet anna; greet", "greet anna; grep-images"}},
	} {
		t.Run(test.line, func(t *testing.T) {
			before, after, found := strings.Cut(test.line, "‸")
			if !found {
				before, after, _ = strings.Cut(test.line, "|")
			}
			start, list, _ := c.Complete(t.Context(), before+after, len(before))
			var got []string
			for _, candidate := range list {
				got = append(got, before[:start]+candidate.Text+after)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// FuzzAnyText: whatever is typed, completion neither panics nor points outside.
func FuzzAnyText(f *testing.F) {
	for _, seed := range []string{"rmi $(images -", "a 'b", "x | ", "if then", "`", "${", "a <<EOF\n", "é $("} {
		f.Add(seed)
	}
	r := plugins.NewRegistry()
	c := New(Options{Shell: bench{r}, Dir: func() string { return "/nonexistent" }, Env: func() []string { return nil }})
	f.Fuzz(func(t *testing.T, line string) {
		for cursor := range len(line) + 1 {
			if start, _, _ := c.Complete(t.Context(), line, cursor); start < 0 || start > cursor {
				t.Fatalf("%q at %d: start %d", line, cursor, start)
			}
		}
	})
}
