package docker

import (
	"io"
	"reflect"
	"testing"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// TestCatalogue compares the catalogue with the commands themselves, so that an
// update of docker/cli does not leave it behind.
func TestCatalogue(t *testing.T) {
	cli, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	var want []plugins.Command
	for _, build := range builders {
		root, err := newRoot(cli, build(cli).Name())
		if err != nil {
			t.Fatal(err)
		}
		c := root.Commands()[0] // with what nacre has added
		want = append(want, plugins.Command{Name: c.Name(), Aliases: c.Aliases, Short: c.Short, Hidden: c.Hidden, Group: headingOf(c)})
	}
	if len(want) < 50 {
		t.Fatalf("only %d commands are registered", len(want))
	}
	if !reflect.DeepEqual(catalogue, want) {
		for _, c := range want {
			t.Logf("%#v", c)
		}
		t.Error("the catalogue differs from docker's commands, which are as above")
	}
}

// headingOf is the heading under which docker's help has a command.
func headingOf(c *cobra.Command) string {
	if _, top := c.Annotations["category-top"]; top {
		return GroupCommon
	}
	if _, swarm := c.Annotations["swarm"]; swarm {
		return GroupSwarm
	}
	if c.HasSubCommands() && c.Name() != "port" { // `port add` and `port rm` are ours
		return GroupManagement
	}
	return GroupCommands
}

func TestBuildTopFindsWhatTheOrderDoesNotTell(t *testing.T) {
	cli, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	before := catalogue
	defer func() { catalogue = before }()
	catalogue = append([]plugins.Command{{Name: "none"}}, before...) // shifts every place by one
	for _, name := range []string{"run", "system", "stack"} {
		if c, err := buildTop(name, cli); err != nil || c.Name() != name {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
	}
	if _, err := buildTop("frobnicate", cli); err == nil {
		t.Error("a command that docker does not have was built")
	}
}
