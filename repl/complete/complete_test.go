package complete

import (
	"context"
	"fmt"
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

func newBench(t testing.TB) (*Completer, *farEngine) {
	t.Helper()
	r := plugins.NewRegistry()
	for _, name := range []string{"greet", "grep-images", "export", "start", "stop", "rm", "exec", "cp", "run", "pull", "rmi", "ps", "commit", "undo"} {
		if err := r.Add(plugins.Command{Name: name, Short: "About " + name, Build: greet, Plugin: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add(plugins.Command{Name: "docker", Hidden: true, Plugin: "test"}); err != nil {
		t.Fatal(err)
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
	e := newFarEngine(t)
	e.containers = []Container{
		{ID: "aaa111aaa111aaa111", Names: []string{"/anna"}, Image: "nginx", State: "running", Status: "Up 2 hours"},
		{ID: "bbb222bbb222bbb222", Names: []string{"/berta"}, Image: "redis:7", State: "exited", Status: "Exited (0) 1 hour ago"},
	}
	e.images = []Image{
		{ID: "sha256:ccc333ccc333ccc333", RepoTags: []string{"nginx:latest", "nginx:1.25"}, Size: 187e6, Created: 1700000000},
		{ID: "sha256:ddd444ddd444ddd444", RepoTags: []string{"reg.example/name:local"}, Size: 5e6},
		{ID: "sha256:eee555eee555eee555", Size: 1e6},
	}
	c := New(Options{
		Shell: bench{r}, Engine: e, Dir: func() string { return dir }, Env: func() []string { return []string{"PATH=" + dir, "HOME=" + dir, "GREETING=x"} },
		Words: func() []plugins.Candidate { return []plugins.Candidate{{Text: "gll", Description: "alias"}} },
	})
	t.Cleanup(c.Close)
	return c, e
}

// TestValues: options of docker's commands that take examples, and those that take nothing known.
func TestValues(t *testing.T) {
	c, e := newBench(t)
	e.answers = map[string]any{
		"/info":               map[string]any{"Runtimes": map[string]any{"runc": map[string]string{"Path": "runc"}, "crun": map[string]string{"Path": "/usr/bin/crun"}}, "DefaultRuntime": "runc"},
		"/nacre/trash":        map[string]any{"Items": []map[string]any{{"Kind": "image", "ID": "sha256:abc", "Names": []string{"old:latest", "old@sha256:abc"}, "Operation": "rmi old"}}},
		"/nacre/images/files": []file{{Name: "bin", Folder: true}, {Name: "boot.cfg"}},
	}
	for line, want := range map[string]string{
		"run --runtime ":          "crun runc",
		"run --security-opt no-":  "no-new-privileges",
		"run --log-opt max-s":     "max-size=10m",
		"run --author ":           "", // free text, and no files
		"run --env-file pl":       "plain",
		"undo o":                  "old",
		"run nginx /b":            "/bin/ /boot.cfg",
		"run nginx bo":            "boot.cfg",
		"run --loud nginx sh /bi": "/bin/",
		"ps --sort cr":            "created",
		"ps --sort -cr":           "-created",
		"help gre":                "greet grep-images",
		"docker help ru":          "run",
		"greet --tone ":           "kind kurt",
	} {
		_, list, _ := c.Complete(t.Context(), line, len(line))
		var texts []string
		for _, item := range list {
			texts = append(texts, item.Text)
		}
		if got := strings.Join(texts, " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	asked := e.times("/nacre/images/files")
	c.Complete(t.Context(), "run nginx /b", 12)
	if again := e.times("/nacre/images/files"); again != asked {
		t.Errorf("an image's folder was asked for again")
	}
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
	cmd.Flags().String("network", "", "net")
	cmd.Flags().StringArray("filter", nil, "which")
	cmd.Flags().StringArrayP("volume", "v", nil, "mount")
	cmd.Flags().String("format", "", "how")
	cmd.Flags().String("restart", "", "when")
	cmd.Flags().StringArray("cap-add", nil, "what it may")
	for _, name := range []string{"runtime", "security-opt", "log-opt", "author", "env-file", "sort"} {
		cmd.Flags().String(name, "", "")
	}
	if inv.Args[0] == "exec" || inv.Args[0] == "run" {
		cmd.Flags().SetInterspersed(false)
	}
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
	c, _ := newBench(t)
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
		{"gt|", []string{"greet"}},
		{"gll|", []string{"gll"}},
		{"echo $GRE|", []string{"echo $GREETING"}},
		{"echo \"x${GRE|", []string{"echo \"x${GREETING}"}},
		{"unset GR|", []string{"unset GREETING"}},
		{"start |", []string{"start berta"}},
		{"stop |", []string{"stop anna"}},
		{"rm |", []string{"rm anna", "rm berta"}},
		{"rm anna |", []string{"rm anna berta"}},
		{"rm bbb|", []string{"rm bbb222bbb222"}},
		{"rm ba|", []string{"rm berta"}},
		{"exec anna /et|", []string{"exec anna /etc/"}},
		{"exec anna cat /etc/pa|", []string{"exec anna cat /etc/pam.d/", "exec anna cat /etc/passwd"}},
		{"exec anna bus|", []string{"exec anna busybox"}},
		{"exec anna ls --to|", nil},
		{"cp anna:/et|", []string{"cp anna:/etc/"}},
		{"cp anna:/.h|", []string{"cp anna:/.hidden"}},
		{"cp an|", []string{"cp anna:"}},
		{"cp pl|", []string{"cp plain"}},
		{"cp ./pl|", []string{"cp ./plain"}},
		{"run ngi|", []string{"run nginx", "run nginx:1.25"}},
		{"run --network fr|", []string{"run --network front"}},
		{"run --network=container:an|", []string{"run --network=container:anna"}},
		{"run -v da|", []string{"run -v data:"}},
		{"run -v data:/x:r|", []string{"run -v data:/x:ro", "run -v data:/x:rprivate", "run -v data:/x:rshared", "run -v data:/x:rslave", "run -v data:/x:rw"}},
		{"run --restart un|", []string{"run --restart unless-stopped"}},
		{"run --cap-add net_ad|", []string{"run --cap-add NET_ADMIN"}},
		{"ps --filter sta|", []string{"ps --filter status="}},
		{"ps --filter status=ex|", []string{"ps --filter status=exited"}},
		{"ps --filter \"status=ex|", []string{"ps --filter status=exited"}},
		{"ps --filter=ancestor=ngi|", []string{"ps --filter=ancestor=nginx", "ps --filter=ancestor=nginx:1.25"}},
		{"ps --format {{.Na|", []string{"ps --format '{{.Names}}'"}},
		{"rmi |", []string{"rmi eee555eee555", "rmi nginx", "rmi nginx:1.25", "rmi reg.example/name:local"}},
		{"rm $(ps -l --filter status=ex|", []string{"rm $(ps -l --filter status=exited"}},
		{"pull reg.example/na|", []string{"pull reg.example/name", "pull reg.example/name:local", "pull reg.example/nameless"}},
		{"pull reg.example/name:|", []string{"pull reg.example/name:1.0", "pull reg.example/name:latest", "pull reg.example/name:local"}},
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

// What other programs change appears without asking, and what has not changed
// is not asked for again.
func TestChangesAppear(t *testing.T) {
	c, e := newBench(t)
	rm := func() (names []string) {
		_, list, _ := c.Complete(t.Context(), "rm ", 3)
		for _, l := range list {
			names = append(names, l.Text)
		}
		return names
	}
	for range 3 {
		if got := rm(); !slices.Equal(got, []string{"anna", "berta"}) {
			t.Fatalf("got %q", got)
		}
	}
	if n := e.times("/containers/json"); n != 1 {
		t.Errorf("asked %d times for what had not changed", n)
	}
	e.change("container", func() {
		e.containers = append(e.containers, Container{ID: "fff", Names: []string{"/clara"}, State: "created"})
	})
	eventually(t, "the new container does not appear", func() bool { return slices.Contains(rm(), "clara") })
	e.change("image", func() {})
	rm()
	if n := e.times("/containers/json"); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// What is used often and lately comes first.
func TestHabits(t *testing.T) {
	c, _ := newBench(t)
	lines := []string{"rm berta", "rm berta", "docker rm berta"}
	c.options.Habits = func() []string { return lines }
	first := func(line string) string {
		_, list, _ := c.Complete(t.Context(), line, len(line))
		if len(list) == 0 {
			return ""
		}
		return list[0].Text
	}
	if got := first("rm "); got != "berta" {
		t.Errorf("first %q, want berta", got)
	}
	for range 5 {
		lines = append(lines, "rm anna")
	}
	if got := first("rm "); got != "anna" {
		t.Errorf("first %q, want anna", got)
	}
	if got := first("gre"); got != "greet" {
		t.Errorf("first %q, want greet", got)
	}
	lines = append(lines, "grep-images")
	if got := first("gre"); got != "grep-images" {
		t.Errorf("first %q, want grep-images", got)
	}
}

// TestTenThousand: many objects are completed, by their letters too.
func TestTenThousand(t *testing.T) {
	c, e := newBench(t)
	for i := range 10_000 {
		e.containers = append(e.containers, Container{ID: fmt.Sprintf("%064x", i), Names: []string{fmt.Sprintf("/web-backend-%05d", i)}, State: "running"})
	}
	_, list, _ := c.Complete(t.Context(), "stop web-backend-0", 18)
	if len(list) != 10_000 {
		t.Errorf("%d candidates, want 10000", len(list))
	}
	if _, list, _ = c.Complete(t.Context(), "stop wb09999", 12); len(list) != 1 || list[0].Text != "web-backend-09999" {
		t.Errorf("got %v", list)
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
