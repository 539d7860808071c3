// Package trash is the built-in plugin of `undo` and `trash`: what removing
// commands took lately comes back, or goes for good. The engine does it; this
// is what the user types and reads.
package trash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/cli/cli"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/docker"
	"github.com/nacre-sh/nacre/plugins/show"
)

const (
	undoShort  = "Bring back what the last removing command took"
	trashShort = "Look at what can be undone, empty it, set how long it waits"
)

// Plugin adds the commands.
type Plugin struct{}

var _ plugins.Plugin = Plugin{}

// Name is the plugin's name.
func (Plugin) Name() string { return "trash" }

// Close has nothing to release.
func (Plugin) Close() error { return nil }

// Register adds `undo` and `trash`.
func (Plugin) Register(_ context.Context, r *plugins.Registry) error {
	for _, c := range []struct {
		name, short, group string
		build              func(*plugins.Invocation) *cobra.Command
	}{{"undo", undoShort, "Commands", newUndo}, {"trash", trashShort, "Management Commands", newTrash}} {
		err := r.Add(plugins.Command{Name: c.name, Short: c.short, Group: c.group, Build: func(inv *plugins.Invocation) (*cobra.Command, error) {
			root := plugins.NewRoot()
			root.AddCommand(c.build(inv))
			return root, nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// item is one removed thing, as the engine tells it.
type item struct {
	Kind, ID  string
	Names     []string
	Operation string
	RemovedAt time.Time
	Bytes     int64
}

type restored struct {
	Item item
	Back bool
	Note string
}

type content struct {
	Items        []item
	Bytes, Limit int64
	Keep         time.Duration
	Size         string
}

// named are the names to show: an image's digests only where it has no tag.
func (i item) named() string {
	var tags []string
	for _, name := range i.Names {
		if !strings.Contains(name, "@") {
			tags = append(tags, name)
		}
	}
	if len(tags) == 0 {
		tags = i.Names
	}
	if len(tags) == 0 {
		return "<none>"
	}
	return strings.Join(tags, ", ")
}

func (i item) label() string {
	if i.Kind == "volume" {
		return i.named()
	}
	return i.named() + " (" + short(i.ID) + ")"
}

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}

func ask(cmd *cobra.Command, inv *plugins.Invocation, r docker.Request, answer any) error {
	c, err := docker.NewClient(inv)
	if err != nil {
		return err
	}
	return docker.Ask(cmd.Context(), c.Client(), r, answer)
}

func newUndo(inv *plugins.Invocation) *cobra.Command {
	return &cobra.Command{
		Use: "undo [NAME|ID...]", Short: undoShort,
		Long: undoShort + ", or the removed images, containers and volumes of that name.\n\nEach undo goes one command further back. What was erased, by time, for want of\nspace, with --now or by trash empty, cannot come back; no more can what containers\nhad in memory.",
		RunE: func(cmd *cobra.Command, names []string) error { return undo(cmd, inv, names) },
	}
}

func undo(cmd *cobra.Command, inv *plugins.Invocation, names []string) error {
	var list []restored
	err := ask(cmd, inv, docker.Request{Doing: "undo", Method: http.MethodPost, Path: "/nacre/undo", Query: url.Values{"name": names}}, &list)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range list {
		if !r.Back {
			failed++
			fmt.Fprintf(inv.Err, "Cannot come back: %s %s: %s\n", r.Item.Kind, r.Item.label(), r.Note)
			continue
		}
		fmt.Fprintf(inv.Out, "Restored: %s %s\n", r.Item.Kind, r.Item.label())
		if r.Note != "" {
			fmt.Fprintf(inv.Err, "note: %s %s: %s\n", r.Item.Kind, r.Item.label(), r.Note)
		}
	}
	if failed > 0 {
		return &plugins.StatusError{Status: 1}
	}
	return nil
}

func newTrash(inv *plugins.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use: "trash", Short: trashShort, Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newList(inv), newEmpty(inv), newSet(inv))
	return cmd
}

func newList(inv *plugins.Invocation) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List what waits in the trash, the newest first", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var t content
			if err := ask(cmd, inv, docker.Request{Doing: "look into the trash", Method: http.MethodGet, Path: "/nacre/trash"}, &t); err != nil {
				return err
			}
			return t.print(inv)
		},
	}
}

func (t content) print(inv *plugins.Invocation) error {
	if err := show.Fitted(inv.Out, inv.Getenv, t.table); err != nil {
		return err
	}
	if t.Keep == 0 || t.Size == "0" {
		fmt.Fprintln(inv.Err, "The trash is off: what is removed is erased at once.")
		return nil
	}
	fmt.Fprintf(inv.Err, "%s of at most %s (%s), for %s.\n", units.HumanSize(float64(t.Bytes)), units.HumanSize(float64(t.Limit)), t.Size, t.Keep)
	return nil
}

func (t content) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 10, 1, 3, ' ', 0)
	fmt.Fprintln(w, "KIND\tNAME\tID\tREMOVED\tSIZE")
	for _, i := range t.Items {
		id := short(i.ID)
		if i.Kind == "volume" {
			id = ""
		}
		size := "-"
		if i.Kind == "name" {
			size = "0B"
		} else if i.Bytes >= 0 {
			size = units.HumanSize(float64(i.Bytes))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s ago\t%s\n", i.Kind, i.named(), id, units.HumanDuration(time.Since(i.RemovedAt)), size)
	}
	return w.Flush()
}

func newEmpty(inv *plugins.Invocation) *cobra.Command {
	return &cobra.Command{
		Use: "empty", Short: "Erase what waits in the trash now", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, inv, docker.Request{Doing: "empty the trash", Method: http.MethodDelete, Path: "/nacre/trash"}, nil)
		},
	}
}

func newSet(inv *plugins.Invocation) *cobra.Command {
	var keep, size string
	cmd := &cobra.Command{
		Use: "set [OPTIONS]", Short: "Set how long removed things wait and how much of the disk they may take", Args: cli.NoArgs,
		Example: "  trash set --keep 1h --size 2GB\n  trash set --keep 0     # off",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep == "" && size == "" {
				return errors.New("trash set: nothing to set\nhint: give --keep or --size")
			}
			query := url.Values{}
			for key, value := range map[string]string{"keep": keep, "size": size} {
				if value != "" {
					query.Set(key, value)
				}
			}
			return ask(cmd, inv, docker.Request{Doing: "set up the trash", Method: http.MethodPut, Path: "/nacre/trash", Query: query}, nil)
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "Time that removed things wait, as 10m (the default) or 1h30m; 0 switches the trash off")
	cmd.Flags().StringVar(&size, "size", "", "Bytes that may wait, as 500MB, or a share of the free space, as 10% (the default); 0 switches the trash off")
	return cmd
}
