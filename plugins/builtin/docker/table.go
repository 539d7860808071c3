package docker

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	"github.com/mattn/go-runewidth"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins/show"
)

// table prints the default table of `ps` or `images`, or the ids alone, as
// docker's command would, and tells whether it has begun to. docker/cli fills a
// text/template per row, and its client reads documents of which the table
// shows a third: with a hundred rows that is longer than all else that the
// command does. This asks the embedded engine for just the columns (core/api's
// terseRoutes). Whatever is not the plain case, and every error of the engine,
// is left to docker's command. TestTables compares the output with docker's.
func table(cmd *cobra.Command, docker *command.DockerCli, args []string) (begun bool, err error) {
	rows := tableRows(cmd, docker)
	if rows == nil {
		return false, nil
	}
	if err := sortable(cmd, docker); err != nil {
		return true, err
	}
	flags, ok := readListFlags(cmd)
	if !ok {
		return false, nil
	}
	if len(args) > 0 {
		flags.filters.Add("reference", args[0])
	}
	window, fits := windowOf(cmd, docker)
	if fits && window.Links != nil {
		flags.seen = window.Links.Container
	}
	found, err := rows(cmd.Context(), docker, flags)
	if err != nil || len(args) > 0 && len(found) == 1 { // none of that name: docker may have a hint
		return false, nil
	}
	if flags.quiet {
		found = ids(found)
		return true, writeTable(docker.Out(), found, true)
	}
	if found, err = show.SortRows(found, orderOf(cmd)); err != nil {
		return true, err
	}
	if fits {
		_, err := io.WriteString(docker.Out(), window.Table(found))
		return true, err
	}
	return true, writeTable(docker.Out(), found, false)
}

// rowsFunc asks for the rows of a table, its headings first.
type rowsFunc func(context.Context, *command.DockerCli, listFlags) ([][]string, error)

// tableRows returns what makes the command's table, nil where that is docker's
// affair: another engine, another command, a format, a column that is not in
// the plain table.
func tableRows(cmd *cobra.Command, docker *command.DockerCli) rowsFunc {
	if !listsContainers(cmd) && !listsImages(cmd) || docker.Client().DaemonHost() != embeddedHost {
		return nil
	}
	config := docker.ConfigFile()
	switch {
	case listsContainers(cmd):
		if config.PsFormat == "" && onlyChanged(cmd, "all", "quiet", "no-trunc", "latest", "last", "filter", "sort") {
			return containerRows
		}
	case listsImages(cmd):
		plain := config.ImagesFormat == "" || config.ImagesFormat == formatter.TableFormatKey
		if plain && onlyChanged(cmd, "all", "quiet", "no-trunc", "filter", "sort") {
			return imageRows
		}
	}
	return nil
}

// listsContainers is true of `ps` and `container ls`.
func listsContainers(c *cobra.Command) bool {
	return c.Name() == "ps" || (c.Name() == "ls" && c.HasParent() && c.Parent().Name() == "container")
}

// onlyChanged tells whether no other flags than these are set.
func onlyChanged(cmd *cobra.Command, names ...string) bool {
	only := true
	cmd.Flags().Visit(func(f *pflag.Flag) { only = only && slices.Contains(names, f.Name) })
	return only
}

// listFlags are the flags that `ps` and `images` have in common, and ps's number.
type listFlags struct {
	all, quiet, noTrunc bool
	limit               int // 0: all
	filters             client.Filters
	seen                func(id string) // is told the whole ids of containers; may be nil
}

func readListFlags(cmd *cobra.Command) (f listFlags, ok bool) {
	flags := cmd.Flags()
	filter, ok := flags.Lookup("filter").Value.(*opts.FilterOpt)
	if !ok {
		return f, false
	}
	f.filters = filter.Value().Clone()
	if f.filters == nil {
		f.filters = client.Filters{}
	}
	for name, into := range map[string]*bool{"all": &f.all, "quiet": &f.quiet, "no-trunc": &f.noTrunc} {
		*into, _ = flags.GetBool(name) // both commands have them
	}
	if latest, err := flags.GetBool("latest"); err == nil && latest {
		f.limit = 1
	}
	if last, err := flags.GetInt("last"); err == nil && last != -1 {
		f.limit = last
	}
	return f, true
}

func (f listFlags) query() (url.Values, error) {
	query := url.Values{}
	if f.all {
		query.Set("all", "1")
	}
	if f.limit > 0 {
		query.Set("limit", strconv.Itoa(f.limit))
	}
	if len(f.filters) > 0 {
		text, err := json.Marshal(f.filters)
		if err != nil {
			return nil, err
		}
		query.Set("filters", string(text))
	}
	return query, nil
}

// ids keeps of a table what -q shows.
func ids(rows [][]string) [][]string {
	column := slices.Index(rows[0], formatter.ContainerIDHeader)
	if column < 0 {
		column = slices.Index(rows[0], imageIDHeader)
	}
	out := make([][]string, 0, len(rows)-1)
	for _, row := range rows[1:] {
		out = append(out, row[column:column+1])
	}
	return out
}

// writeTable lays rows out as docker does; a plain list of ids has no columns.
func writeTable(out io.Writer, rows [][]string, plain bool) error {
	var text []byte
	if plain {
		for _, row := range rows {
			text = append(append(text, strings.Join(row, "\t")...), '\n')
		}
	} else {
		text = columns(rows)
	}
	_, err := out.Write(text)
	return err
}

// Of docker's tables: the least width of a column, and what lies between two.
const (
	minColumn = 10
	between   = 3
)

// columns is what docker's tabwriter makes of rows of equal length, whose
// cells have neither tabs nor line ends. That writer takes each cell for
// something to be parsed.
func columns(rows [][]string) []byte {
	if len(rows) == 0 {
		return nil
	}
	last := len(rows[0]) - 1
	widths := make([]int, last)
	line := 0
	for i := range widths {
		widths[i] = minColumn
		for _, row := range rows {
			widths[i] = max(widths[i], cellWidth(row[i])+between)
		}
		line += widths[i]
	}
	text := make([]byte, 0, (line+16)*len(rows))
	for _, row := range rows {
		for i, cell := range row[:last] {
			text = append(text, cell...)
			for range widths[i] - cellWidth(cell) {
				text = append(text, ' ')
			}
		}
		text = append(append(text, row[last]...), '\n')
	}
	return text
}

// cellWidth is what a cell takes on a terminal.
func cellWidth(cell string) int {
	for i := range len(cell) {
		if cell[i] >= utf8.RuneSelf {
			return runewidth.StringWidth(cell)
		}
	}
	return len(cell)
}
