package complete

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl/highlight"
)

// lister is `ps` or `images`: with -q it prints what it is told to, and notes that it ran.
func lister(prints string, ran *[]string) func(*plugins.Invocation) (*cobra.Command, error) {
	return func(inv *plugins.Invocation) (*cobra.Command, error) {
		root := plugins.NewRoot()
		cmd := &cobra.Command{Use: inv.Args[0], RunE: func(*cobra.Command, []string) error {
			*ran = append(*ran, strings.Join(inv.Args, " "))
			_, err := inv.Out.Write([]byte(prints))
			return err
		}}
		cmd.Flags().BoolP("all", "a", false, "")
		cmd.Flags().BoolP("quiet", "q", false, "")
		cmd.Flags().BoolP("force", "f", false, "")
		cmd.Flags().StringArray("filter", nil, "")
		cmd.Flags().String("format", "", "")
		root.AddCommand(cmd)
		return root, nil
	}
}

func previewBench(t *testing.T) (*Completer, *[]string) {
	var ran []string
	e := newFarEngine(t)
	e.containers = []Container{
		{ID: "aaa111aaa111aaa111", Names: []string{"/anna"}, Image: "nginx", ImageID: "sha256:ccc333ccc333ccc333", State: "running"},
		{ID: "bbb222bbb222bbb222", Names: []string{"/berta"}, State: "exited", ImageID: "sha256:gone"},
	}
	e.images = []Image{
		{ID: "sha256:ccc333ccc333ccc333", RepoTags: []string{"nginx:latest", "nginx:1.25"}, Size: 187e6},
		{ID: "sha256:ddd444ddd444ddd444", RepoTags: []string{"reg.example/name:local"}, Size: 12.4e9},
		{ID: "sha256:eee555eee555eee555", Size: 1e6},
	}
	r := plugins.NewRegistry()
	for name, prints := range map[string]string{
		"rm": "", "rmi": "", "stop": "", "run": "", "xargs": "",
		"ps": "aaa111aaa111\nbbb222bbb222\n", "images": "ccc333ccc333\nddd444ddd444\nccc333ccc333\n",
	} {
		if err := r.Add(plugins.Command{Name: name, Plugin: "test", Build: lister(prints, &ran)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add(plugins.Command{Name: "docker", Plugin: "test"}); err != nil {
		t.Fatal(err)
	}
	c := New(Options{Shell: bench{r}, Engine: e, Dir: t.TempDir, Env: func() []string { return nil }})
	t.Cleanup(c.Close)
	return c, &ran
}

func TestPreview(t *testing.T) {
	c, ran := previewBench(t)
	for line, want := range map[string]string{
		"rmi -f $(images -aq)":                   "2 images, 12.6 GB, 1 in use",
		"docker rmi -f $(docker images -q)":      "2 images, 12.6 GB, 1 in use",
		"images -q | xargs -n 1 rmi":             "2 images, 12.6 GB, 1 in use",
		"rmi nginx nginx:1.25 eee555 nope:1":     "2 images, 188 MB, 1 in use, 1 not there",
		"rm $(ps -aq)":                           "2 containers, 1 running (refused without -f): anna, berta",
		"rm -f $(ps -aq --filter status=exited)": "2 containers, 1 running: anna, berta",
		"stop anna":                              "1 container, 1 running: anna",
		"if true; then rm anna; fi":              "1 container, 1 running (refused without -f): anna",
		"rm 'anna' \"berta\"":                    "2 containers, 1 running (refused without -f): anna, berta",
		"rm anna &&":                             "",
		"rm nobody":                              "nothing of that name",
		"rm -":                                   "",
		"images -aq":                             "",
		"rm":                                     "",
		"run anna":                               "",
		"rm anna; stop berta":                    "1 container, 1 running (refused without -f): anna; 1 container: berta",
		"stop anna | xargs rm":                   "",
	} {
		if got := c.Preview(t.Context(), line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	if len(*ran) == 0 {
		t.Error("no list ran")
	}
}

// Nothing runs for a preview but lists, whatever the line says.
func TestPreviewRunsNothingElse(t *testing.T) {
	c, ran := previewBench(t)
	for _, line := range []string{
		"rmi $(rm anna)", "rmi $(stop -q anna)", "rm $(ps -aq; stop anna)", "rm $(ps -aq > file)", "rm $(ps -aq &)", "rm $(ps -aq | xargs stop)",
		"rm $(touch x)", "rm $(!ps -aq)", "rm $(/bin/ps -q)", "rm $(command ps -q)", "rm $x", "rm *", "rm ${x:=$(stop anna)}", "rm $((x=1))",
		"rm `stop anna`", "rm \"$(stop anna)\"", "rm <(stop anna)", "rm $(ps -q --format x)", "rm $(images -q $(stop anna))", "rm $(x=1 ps -q)",
		"run -q $(ps -q)", "rm $(run -q anna)", "touch x | xargs rm", "rm $(ps)", "!rm $(ps -q)", "rm $(< file)", "rm $(ps -q $(ps -q))",
	} {
		*ran = nil
		got := c.Preview(t.Context(), line)
		if len(*ran) > 0 || got != "" {
			t.Errorf("%q: ran %q, says %q", line, *ran, got)
		}
	}
}

func TestJudge(t *testing.T) {
	c, _ := previewBench(t)
	c.engine(nil).need(context.Background(), images)
	c.engine(nil).need(context.Background(), containers)
	for line, want := range map[string]map[int]highlight.Kind{
		"run -q nginx x":               {},
		"run nope x":                   {1: highlight.Missing},
		"docker run --filter a nope:1": {4: highlight.Missing},
		"rmi ccc333 reg.example/name:local docker.io/library/nginx nginx:2": {4: highlight.Missing},
		"rm anna nobody":         {2: highlight.Missing},
		"rm --nope anna --force": {1: highlight.Unknown},
		"rm -qz anna":            {1: highlight.Unknown},
		"rm --for":               {},
		"rm -":                   {},
		"rm --help":              {},
		"cat nope":               {},
		"!rm nobody":             {},
	} {
		if got := c.Judge(strings.Fields(line)); !maps.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", line, got, want)
		}
	}
}
