package docker

import (
	"bufio"
	"errors"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// lists are the commands that print a table and end. docker/cli writes a table
// cell by cell, some fifteen system calls a row.
var lists = []string{"ps", "images", "ls", "history", "search"}

// collected runs a command with its output gathered and written at the end,
// where it prints a table. A tree needs the width of the terminal, which a
// gathered output does not have.
func collected(cmd *cobra.Command, docker *command.DockerCli, run func() error) error {
	if tree := cmd.Flags().Lookup("tree"); !slices.Contains(lists, cmd.Name()) || tree != nil && tree.Changed {
		return run()
	}
	out := docker.Out()
	gathered := bufio.NewWriterSize(out, 64<<10)
	if err := command.WithOutputStream(gathered)(docker); err != nil {
		return err
	}
	docker.Out().SetIsTerminal(out.IsTerminal())
	defer command.WithOutputStream(out)(docker)
	return errors.Join(run(), gathered.Flush())
}
