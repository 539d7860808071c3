package docker

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/show"
)

// decorated runs a command whose plain lines a terminal can show better: the
// events in colours, the space that can be freed as bars; and never what a
// stranger has put into a label or the name of a file to drive the terminal.
// Whoever reads the output through a pipe, or has a format of his own, gets
// docker's lines.
func decorated(cmd *cobra.Command, docker *command.DockerCli, run func() error) error {
	paint := painterOf(cmd, plugins.Getenv(cmd.Context(), "NO_COLOR") == "")
	format := cmd.Flags().Lookup("format")
	out := docker.Out()
	if paint == nil || format != nil && format.Changed || !out.IsTerminal() {
		return run()
	}
	lines := &lineWriter{to: out, paint: paint}
	if err := command.WithOutputStream(lines)(docker); err != nil {
		return err
	}
	defer command.WithOutputStream(out)(docker)
	return errors.Join(run(), lines.flush())
}

// painterOf gives what is done to each line of a command; nil for most.
func painterOf(cmd *cobra.Command, colours bool) func(string) string {
	switch {
	case cmd.Name() == "diff", cmd.Name() == "events" && !colours:
		return show.Clean
	case cmd.Name() == "events":
		return func(line string) string { return paintEvent(show.Clean(line)) }
	case colours && cmd.Name() == "df" && cmd.Parent() != nil && cmd.Parent().Name() == "system":
		if verbose, err := cmd.Flags().GetBool("verbose"); err == nil && !verbose {
			return addBar
		}
	}
	return nil
}

// lineWriter does something to each line on its way.
type lineWriter struct {
	to    io.Writer
	paint func(string) string
	rest  []byte
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	var b bytes.Buffer
	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 {
			break
		}
		b.WriteString(w.paint(string(w.rest[:end])) + "\n")
		w.rest = w.rest[end+1:]
	}
	if b.Len() > 0 {
		if _, err := w.to.Write(b.Bytes()); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (w *lineWriter) flush() error {
	if len(w.rest) == 0 {
		return nil
	}
	_, err := io.WriteString(w.to, w.paint(string(w.rest)))
	w.rest = nil
	return err
}

// eventForm is a line of `events`: time, type, action, id, attributes. An
// action may have words behind a colon (exec_create: sh -c …).
var eventForm = whenNeeded(`^(\S+) (container|image|network|volume|plugin|daemon|builder) ([a-z_]+)(.*)$`)

// actions have the colour of what they mean: something begins, goes, or fails.
var actions = map[string]string{
	"create": "32", "start": "32", "pull": "32", "mount": "32", "connect": "32", "load": "32", "import": "32", "tag": "32", "unpause": "32", "restart": "32",
	"die": "31", "kill": "31", "oom": "1;31",
	"stop": "33", "destroy": "33", "delete": "33", "untag": "33", "disconnect": "33", "unmount": "33", "pause": "33", "prune": "33",
}

// paintEvent colours an event. An exit status that is not 0 stands out.
func paintEvent(line string) string {
	m := eventForm().FindStringSubmatch(line)
	if m == nil {
		return line
	}
	action := m[3]
	if colour, ok := actions[action]; ok {
		action = "\x1b[" + colour + "m" + action + "\x1b[0m"
	}
	rest := m[4]
	if i := strings.LastIndex(rest, " ("); i >= 0 && strings.HasSuffix(rest, ")") { // the attributes
		rest = rest[:i] + "\x1b[2m" + rest[i:] + "\x1b[0m"
	}
	return "\x1b[2m" + m[1] + "\x1b[0m \x1b[36m" + m[2] + "\x1b[0m " + action + rest
}

// share is the last column of `system df`: what can be freed of a kind.
var share = whenNeeded(`\((\d+)%\)\s*$`)

// barWidth is the width of a bar in columns: a row with it fits into 80.
const barWidth = 12

// addBar puts a bar behind a row of `system df`, as long as the share that can
// be freed, and as wide under the heading.
func addBar(line string) string {
	m := share().FindStringSubmatch(line)
	if m == nil {
		return line
	}
	percent, err := strconv.Atoi(m[1])
	if err != nil || percent > 100 {
		return line
	}
	full := (percent*barWidth + 50) / 100
	pad := strings.Repeat(" ", max(0, 5-len(m[0])))
	return strings.TrimRight(line, " ") + pad + "  \x1b[33m" + strings.Repeat("█", full) + "\x1b[2m" + strings.Repeat("░", barWidth-full) + "\x1b[0m"
}
