package docker

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// buildHelp is the command `help`: alone it lists the commands, with a command
// it shows that command's help.
func (p *Plugin) buildHelp(inv *plugins.Invocation) (*cobra.Command, error) {
	root := &cobra.Command{Use: "nacre"}
	root.AddCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "List the commands, or show the help of one", DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, words []string) error {
			if len(words) == 0 || words[0] == "--help" || words[0] == "-h" {
				return p.overview(inv, inv.Out)
			}
			if _, known := inv.Shell.Registry().Lookup(words[0]); !known {
				return fmt.Errorf("unknown help topic: %s", strings.Join(words, " "))
			}
			child := *inv
			child.Args = append(slices.Clone(words), "--help")
			if status := inv.Shell.Exec(cmd.Context(), &child); status != 0 {
				return &plugins.StatusError{Status: status}
			}
			return nil
		},
	})
	return root, nil
}

// overview lists the commands under their headings, docker's first.
func (p *Plugin) overview(inv *plugins.Invocation, w io.Writer) error {
	var b strings.Builder
	b.WriteString("Usage:  nacre [OPTIONS]                     open the shell, or run the script on standard input\n" +
		"        nacre [OPTIONS] COMMAND [ARG...]    run one command\n" +
		"        nacre [OPTIONS] FILE [ARG...]       run a script\n\n" +
		"A shell for containers: docker's commands, no daemon\n")
	for _, heading := range headings(inv.Shell.Registry()) {
		fmt.Fprintf(&b, "\n%s:\n", heading.name)
		for _, c := range heading.commands {
			fmt.Fprintf(&b, "  %-11s %s\n", c.Name, c.Short)
		}
	}
	flags := p.options.Flags
	if flags == nil {
		flags = newGlobals().flags
	}
	fmt.Fprintf(&b, "\nGlobal Options:\n%s", flags.FlagUsagesWrapped(100))
	b.WriteString("\nRun 'nacre COMMAND --help' for more information on a command.\n")
	b.WriteString("At the prompt and in scripts the word nacre (or docker) may be left out.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

type heading struct {
	name     string
	commands []*plugins.Command
}

// headings groups the visible commands: docker's groups in docker's order,
// then the others by name.
func headings(r *plugins.Registry) []heading {
	order := []string{GroupCommon, GroupManagement, GroupSwarm, GroupCommands}
	byName := map[string]*heading{}
	for _, c := range r.Commands() {
		if c.Hidden {
			continue
		}
		name := cmp.Or(c.Group, "Plugin Commands")
		if byName[name] == nil {
			byName[name] = &heading{name: name}
		}
		byName[name].commands = append(byName[name].commands, c)
	}
	rank := func(h heading) int {
		if i := slices.Index(order, h.name); i >= 0 {
			return i
		}
		return len(order)
	}
	var list []heading
	for _, h := range byName {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b heading) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.name, b.name)) })
	return list
}
