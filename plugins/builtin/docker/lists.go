package docker

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/show"
)

// lists are the commands that print a table and end. docker/cli writes a table
// cell by cell, some fifteen system calls a row.
var lists = []string{"ps", "images", "ls", "history", "search", "top"}

// collected runs a command with its output gathered and written at the end,
// where it prints a table; at a terminal the table is made to fit the window. A
// tree needs the width of the terminal, which a gathered output does not have.
func collected(cmd *cobra.Command, docker *command.DockerCli, run func() error) error {
	if tree := cmd.Flags().Lookup("tree"); !slices.Contains(lists, cmd.Name()) || tree != nil && tree.Changed {
		return run()
	}
	window, fits := windowOf(cmd, docker)
	order := orderOf(cmd)
	if !fits && order == "" {
		return buffered(docker, run)
	}
	if err := sortable(cmd, docker); err != nil {
		return err
	}
	var text bytes.Buffer
	out := docker.Out()
	if err := command.WithOutputStream(&text)(docker); err != nil {
		return err
	}
	docker.Out().SetIsTerminal(out.IsTerminal())
	defer command.WithOutputStream(out)(docker)
	failed := run()
	printed, err := show.Sort(text.String(), order)
	if err != nil {
		return errors.Join(failed, err)
	}
	if fits {
		printed = window.Fit(printed)
	}
	_, err = io.WriteString(out, printed)
	return errors.Join(failed, err)
}

// buffered spares system calls.
func buffered(docker *command.DockerCli, run func() error) error {
	out := docker.Out()
	gathered := bufio.NewWriterSize(out, 64<<10)
	if err := command.WithOutputStream(gathered)(docker); err != nil {
		return err
	}
	docker.Out().SetIsTerminal(out.IsTerminal())
	defer command.WithOutputStream(out)(docker)
	return errors.Join(run(), gathered.Flush())
}

// windowOf is the window that a command's table is to fit; ok is false where
// docker's bytes are wanted: no terminal, or a user who has asked for them.
func windowOf(cmd *cobra.Command, docker *command.DockerCli) (w show.Window, ok bool) {
	out := docker.Out()
	if !out.IsTerminal() || asksForBytes(cmd) || formatOf(cmd, docker.ConfigFile()) != "" {
		return w, false
	}
	fd := out.FD()
	if behind := show.TerminalOf(cmd.Context()); behind != nil { // there is a page in front of it
		fd = behind.Fd()
	}
	w, ok = show.WindowAt(fd, func(name string) string { return plugins.Getenv(cmd.Context(), name) })
	if cmd.HasParent() && cmd.Parent().Name() == "context" { // a context may be broken, and asking its engine end the process
		w.Links = nil
	}
	if ok {
		link(cmd.Context(), docker, &w)
	}
	return w, ok
}

// asksForBytes tells whether a list is not the plain table.
func asksForBytes(cmd *cobra.Command) bool {
	for _, name := range []string{"format", "no-trunc", "quiet"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return true
		}
	}
	return false
}

// formatOf is the format for a list in docker's config file, "" for the table.
func formatOf(cmd *cobra.Command, config *configfile.ConfigFile) string {
	noun := cmd.Name()
	if cmd.HasParent() && (noun == "ls" || noun == "ps") && cmd.Parent().HasParent() {
		noun = cmd.Parent().Name()
	}
	format := map[string]string{
		"ps": config.PsFormat, "container": config.PsFormat, "images": config.ImagesFormat, "image": config.ImagesFormat,
		"network": config.NetworksFormat, "volume": config.VolumesFormat, "plugin": config.PluginsFormat, "service": config.ServicesFormat,
		"secret": config.SecretFormat, "config": config.ConfigFormat, "node": config.NodesFormat,
	}[noun]
	if format == formatter.TableFormatKey {
		return ""
	}
	return format
}
