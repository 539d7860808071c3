package docker

import (
	"io"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/show"
)

// tree is one of docker's commands around one DockerCli: fresh, for one
// invocation.
type tree struct {
	cli  *command.DockerCli
	root *cobra.Command
	late *lateWriter
}

func newTree(name string) (*tree, error) {
	late := &lateWriter{to: io.Discard}
	cli, err := command.NewDockerCli(
		command.WithInputStream(io.NopCloser(strings.NewReader(""))), command.WithCombinedStreams(late))
	if err != nil {
		return nil, err
	}
	root, err := newRoot(cli, name)
	if err != nil {
		return nil, err
	}
	return &tree{cli: cli, root: root, late: late}, nil
}

// bind gives the tree the streams of its invocation.
func (t *tree) bind(in io.ReadCloser, out, errs io.Writer) error {
	t.late.to = errs
	for _, set := range []command.CLIOption{
		command.WithInputStream(in), command.WithOutputStream(out), command.WithErrorStream(errs),
	} {
		if err := set(t.cli); err != nil {
			return err
		}
	}
	return nil
}

// rebind gives the tree other outputs. One in front of a terminal counts as that.
func (t *tree) rebind(out, errs io.Writer) {
	t.late.to = errs
	_ = command.WithOutputStream(out)(t.cli) // neither option can fail
	_ = command.WithErrorStream(errs)(t.cli)
	if show.FileOf(out) != nil {
		t.cli.Out().SetIsTerminal(true)
	}
}

func (t *tree) forget() { plugins.ForgetCompletions(t.root) }

// lateWriter is the error stream of a tree that has no invocation yet: the
// commands that only show their help take it when they are built.
type lateWriter struct{ to io.Writer }

func (w *lateWriter) Write(p []byte) (int, error) { return w.to.Write(p) }
