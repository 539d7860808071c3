package mirror

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/show"
)

const formatHelp = `Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template`

func newList(inv *plugins.Invocation, api *api) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "ls [OPTIONS] [REGISTRY]", DisableFlagsInUseLine: true, Aliases: []string{"list"}, Short: "List mirrors", Args: cli.RequiresMaxArgs(1),
		ValidArgsFunction: api.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := api.list(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				all = slices.DeleteFunc(all, func(s source) bool { return s.Registry != args[0] })
			}
			rows := make([]formatter.SubContext, len(all))
			for i, s := range all {
				rows[i] = listRow(s)
			}
			return write(inv, format, "table {{.Registry}}\t{{.Name}}\t{{.URL}}\t{{.Status}}", rows)
		},
	}
	cmd.Flags().StringVar(&format, "format", "", formatHelp)
	return cmd
}

func newTest(inv *plugins.Invocation, api *api) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "test [OPTIONS] [REGISTRY]", DisableFlagsInUseLine: true, Short: "Ask all sources at the same time and tell which step failed", Args: cli.RequiresMaxArgs(1),
		ValidArgsFunction: api.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			registry := ""
			if len(args) == 1 {
				registry = args[0]
			}
			all, err := api.test(cmd.Context(), registry)
			if err != nil {
				return err
			}
			rank(all)
			rows := make([]formatter.SubContext, len(all))
			for i, r := range all {
				rows[i] = testRow(r)
			}
			if err := write(inv, format, "table {{.Registry}}\t{{.Name}}\t{{.URL}}\t{{.Result}}\t{{.Latency}}", rows); err != nil {
				return err
			}
			if !slices.ContainsFunc(all, func(r result) bool { return r.OK }) {
				return errors.New("no source answered as a registry")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "", formatHelp)
	return cmd
}

// rank puts the sources that work first, the quickest at the top.
func rank(all []result) {
	slices.SortStableFunc(all, func(a, b result) int {
		if a.OK != b.OK {
			if a.OK {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Mirror.Registry, b.Mirror.Registry), cmp.Compare(a.Latency, b.Latency))
	})
}

// row is what templates see of a source; the functions make docker's formatter
// call a method per field.
type row struct {
	formatter.HeaderContext
	source
	status, outcome, latency string
}

func (r *row) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

// The columns.
func (r *row) Registry() string { return r.source.Registry }
func (r *row) Name() string     { return r.source.Name }
func (r *row) URL() string      { return r.source.URL }
func (r *row) Status() string   { return r.status }

// tested adds the columns of a test.
type tested struct{ row }

func (r *tested) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }
func (r *tested) Result() string               { return r.outcome }
func (r *tested) Latency() string              { return r.latency }

func listRow(s source) *row {
	r := &row{source: s, status: "enabled"}
	switch {
	case s.InUse:
		r.status = "in use"
	case !s.Enabled:
		r.status = "disabled"
	}
	return r
}

func testRow(t result) *tested {
	r := &tested{*listRow(t.Mirror)}
	r.outcome, r.latency = "ok", t.Latency.Round(100*time.Microsecond).String()
	for _, s := range t.Steps {
		if s.Err != "" {
			r.outcome, r.latency = s.Name+": "+s.Err, "-"
		}
	}
	return r
}

func write(inv *plugins.Invocation, format, table string, rows []formatter.SubContext) error {
	if format == "" {
		return show.Fitted(inv.Out, inv.Getenv, func(out io.Writer) error { return writeTo(out, table, rows) })
	}
	if format == formatter.TableFormatKey {
		format = table
	}
	return writeTo(inv.Out, format, rows)
}

func writeTo(out io.Writer, format string, rows []formatter.SubContext) error {
	head := &row{}
	head.Header = formatter.SubHeaderContext{
		"Registry": "REGISTRY", "Name": "NAME", "URL": "URL", "Status": "STATUS", "Result": "RESULT", "Latency": "LATENCY",
	}
	ctx := formatter.Context{Output: out, Format: formatter.Format(format)}
	return ctx.Write(head, func(each func(formatter.SubContext) error) error {
		for _, r := range rows {
			if err := each(r); err != nil {
				return err
			}
		}
		return nil
	})
}
