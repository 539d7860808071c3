package docker

import (
	"io"
	"strings"
	"sync"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// tree is docker's commands around one DockerCli: fresh, for one invocation.
// It can be built before the invocation is known, which bind then tells it of.
type tree struct {
	cli  *command.DockerCli
	root *cobra.Command
	late *lateWriter
}

func newTree() (*tree, error) {
	late := &lateWriter{to: io.Discard}
	cli, err := command.NewDockerCli(
		command.WithInputStream(io.NopCloser(strings.NewReader(""))), command.WithCombinedStreams(late))
	if err != nil {
		return nil, err
	}
	return &tree{cli: cli, root: newRoot(cli), late: late}, nil
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

func (t *tree) forget() { plugins.ForgetCompletions(t.root) }

// lateWriter is the error stream of a tree that has no invocation yet: the
// commands that only show their help take it when they are built.
type lateWriter struct{ to io.Writer }

func (w *lateWriter) Write(p []byte) (int, error) { return w.to.Write(p) }

// nursery keeps one tree ready. The first is the one from which the names of
// the commands were read; at the prompt another grows while nobody waits.
type nursery struct {
	mu    sync.Mutex
	ready *tree
}

// take returns the tree that is ready, or a new one.
func (n *nursery) take() (*tree, error) {
	n.mu.Lock()
	t := n.ready
	n.ready = nil
	n.mu.Unlock()
	if t != nil {
		return t, nil
	}
	return newTree()
}

// put keeps a tree unless there is one.
func (n *nursery) put(t *tree) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ready != nil {
		t.forget()
		return
	}
	n.ready = t
}

// grow makes a tree ready.
func (n *nursery) grow() {
	n.mu.Lock()
	full := n.ready != nil
	n.mu.Unlock()
	if full {
		return
	}
	if t, err := newTree(); err == nil { // the next take says what is wrong
		n.put(t)
	}
}
