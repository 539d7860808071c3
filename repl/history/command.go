package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// Command makes the word `history` mean two things: docker's history of an
// image where an image is named, and the lines that were typed everywhere else.
// open gives the store; it is called when a command needs it.
func Command(docker *plugins.Command, open func() (*Store, error)) plugins.Command {
	c := *docker
	c.Short = "Show the history of an image, or the lines that were typed"
	c.Build = func(inv *plugins.Invocation) (*cobra.Command, error) {
		if !typedLines(inv.Args) {
			root, err := docker.Build(inv)
			if err == nil {
				mention(root)
			}
			return root, err
		}
		return build(inv, open), nil
	}
	return c
}

// mention adds what `history` means here to docker's help of it.
func mention(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() == "history" {
			c.Long = c.Short + "\n\nWithout an image: the lines that were typed. See 'nacre history " + strings.Join(verbs, "|") + " --help'."
		}
	}
}

// verbs are the words after `history` that are not taken for an image's name.
// An image of that name is reached by `image history`.
var verbs = []string{"search", "export", "delete", "sessions"}

func typedLines(args []string) bool {
	if len(args) < 2 {
		return true
	}
	return slices.Contains(verbs, args[1]) || len(args) == 2 && strings.Trim(args[1], "0123456789") == ""
}

// tree is one invocation of `history`.
type tree struct {
	inv  *plugins.Invocation
	open func() (*Store, error)

	dir, engine, session, since string
	here, failed, json, all     bool
	limit                       int
	lua, sh                     bool
	output                      string
}

func build(inv *plugins.Invocation, open func() (*Store, error)) *cobra.Command {
	t := &tree{inv: inv, open: open}
	root := plugins.NewRoot()
	top := &cobra.Command{
		Use: "history [N | IMAGE]", Short: "Show the lines that were typed, the last N of them, or the history of an image",
		Args: cobra.MaximumNArgs(1), RunE: t.list,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	top.AddCommand(t.searchCommand(), t.exportCommand(), t.deleteCommand(), t.sessionsCommand())
	root.AddCommand(top)
	inv.Defer(func() { plugins.ForgetCompletions(root) })
	return root
}

func (t *tree) searchCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "search [OPTIONS] [TEXT...]", Short: "Search the lines that were typed, in all sessions", RunE: t.search,
		Example:           "  history search mysql\n  history search --failed --here\n  history search --since 24h pull",
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	t.filters(c)
	c.Flags().IntVarP(&t.limit, "limit", "n", 100, "Show at most so many, the newest (0: all)")
	c.Flags().BoolVarP(&t.all, "all", "a", false, "Show lines that are the same each time")
	c.Flags().BoolVar(&t.json, "json", false, "Print an object of JSON for each line")
	return c
}

func (t *tree) exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "export --sh|--lua [OPTIONS]", Short: "Make a script of the lines of a session", Args: cobra.NoArgs, RunE: t.export,
		Example: "  history export --sh > setup.sh\n  history export --lua --session last -o setup.lua",
	}
	t.filters(c)
	c.Flags().BoolVar(&t.sh, "sh", false, "Write a script for the shell")
	c.Flags().BoolVar(&t.lua, "lua", false, "Write a script in Lua")
	c.Flags().IntVarP(&t.limit, "limit", "n", 0, "Only the newest so many lines")
	c.Flags().StringVarP(&t.output, "output", "o", "", "Write to a new file instead of standard output")
	return c
}

func (t *tree) filters(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&t.dir, "dir", "", "Lines typed in this folder")
	f.BoolVar(&t.here, "here", false, "Lines typed in the working directory")
	f.StringVar(&t.engine, "engine", "", "Lines for this engine: a context, a host, or 'local'")
	f.StringVar(&t.session, "session", "", "Lines of this session: a name, 'this' or 'last'")
	f.BoolVar(&t.failed, "failed", false, "Lines whose exit status was not 0")
	f.StringVar(&t.since, "since", "", "Lines typed since a time (2006-01-02, RFC 3339) or for a duration (24h)")
	c.MarkFlagDirname("dir")
	c.RegisterFlagCompletionFunc("session", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		list := []string{"this\tthis session", "last\tthe one before"}
		if s, err := t.open(); err == nil {
			sessions, _ := s.Sessions(context.Background(), 20)
			for _, one := range sessions {
				list = append(list, fmt.Sprintf("%s\t%s, %d lines", one.Name, one.Last.Format(time.DateTime), one.Lines))
			}
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	})
}

func (t *tree) deleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID [ID...]", Short: "Delete lines by their numbers, for good", Args: cobra.MinimumNArgs(1), RunE: t.delete,
	}
}

func (t *tree) sessionsCommand() *cobra.Command {
	c := &cobra.Command{Use: "sessions", Short: "List the sessions", Args: cobra.NoArgs, RunE: t.sessions}
	c.Flags().IntVarP(&t.limit, "limit", "n", 20, "Show at most so many, the newest")
	return c
}

// list is `history [N]`.
func (t *tree) list(cmd *cobra.Command, args []string) error {
	n := 0
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil {
			return invalid("history %s: not a number of lines", args[0])
		}
		if n == 0 {
			return nil
		}
	}
	s, err := t.open()
	if err != nil {
		return err
	}
	list, err := s.Search(cmd.Context(), Query{Limit: n})
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, e := range slices.Backward(list) {
		fmt.Fprintf(&b, "%5d  %s\n", e.ID, strings.ReplaceAll(e.Text, "\n", "\n       "))
	}
	_, err = io.WriteString(t.inv.Out, b.String())
	return err
}

func (t *tree) query(ctx context.Context, s *Store) (Query, error) {
	q := Query{Failed: t.failed, Session: t.session, Limit: t.limit}
	switch t.session {
	case "this":
		q.Session = s.Session()
	case "last":
		sessions, err := s.Sessions(ctx, 2)
		if err != nil {
			return q, err
		}
		sessions = slices.DeleteFunc(sessions, func(o Session) bool { return o.Name == s.Session() })
		if len(sessions) == 0 {
			return q, errdefs.ErrNotFound.WithMessage("history: there is no session before this one")
		}
		q.Session = sessions[0].Name
	}
	if t.here {
		q.Dir = &t.inv.Dir
	}
	if t.dir != "" {
		dir := t.dir
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(t.inv.Dir, dir)
		}
		dir = filepath.Clean(dir)
		q.Dir = &dir
	}
	if t.engine != "" {
		engine := strings.TrimPrefix(t.engine, "local")
		if t.engine != "local" {
			engine = t.engine
		}
		q.Engine = &engine
	}
	if t.since != "" {
		at, err := since(t.since, time.Now())
		if err != nil {
			return q, err
		}
		q.Since = at
	}
	return q, nil
}

func since(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, invalid("history: --since %s: neither a time (2006-01-02, 2006-01-02T15:04:05) nor a duration (24h)", text)
}

func (t *tree) search(cmd *cobra.Command, args []string) error {
	s, err := t.open()
	if err != nil {
		return err
	}
	q, err := t.query(cmd.Context(), s)
	if err != nil {
		return err
	}
	q.Words, q.Distinct = args, !t.all
	list, err := s.Search(cmd.Context(), q)
	if err != nil {
		return err
	}
	slices.Reverse(list)
	if t.json {
		return printJSON(t.inv.Out, list)
	}
	return printLines(t.inv.Out, list)
}

func printLines(w io.Writer, list []Entry) error {
	var b strings.Builder
	for _, e := range list {
		took, status := "-", "-"
		if e.Ended {
			took, status = short(e.Duration), strconv.Itoa(e.Status)
		}
		fmt.Fprintf(&b, "%5d  %s  %6s  %3s  %s\n", e.ID, e.Start.Format(time.DateTime), took, status,
			strings.ReplaceAll(e.Text, "\n", "\n"+strings.Repeat(" ", 41)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// short is a duration in at most six characters.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0fmin", d.Minutes())
	}
	return fmt.Sprintf("%.0fh", d.Hours())
}

func printJSON(w io.Writer, list []Entry) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, e := range list {
		one := struct {
			ID                         int64
			Line, Dir, Engine, Session string
			Start                      time.Time
			Seconds                    *float64
			Status                     *int
		}{ID: e.ID, Line: e.Text, Dir: e.Dir, Engine: e.Engine, Session: e.Session, Start: e.Start}
		if e.Ended {
			seconds := e.Duration.Seconds()
			one.Seconds, one.Status = &seconds, &e.Status
		}
		if err := enc.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) export(cmd *cobra.Command, _ []string) error {
	if t.lua == t.sh {
		return invalid("history export: say --sh or --lua")
	}
	s, err := t.open()
	if err != nil {
		return err
	}
	if t.session == "" {
		t.session = "this"
		if !t.inv.Interactive { // one-shot: its own session has no lines
			t.session = "last"
		}
	}
	q, err := t.query(cmd.Context(), s)
	if err != nil {
		return err
	}
	list, err := s.Search(cmd.Context(), q)
	if err != nil {
		return err
	}
	// The line that exports is no part of what it exports.
	list = slices.DeleteFunc(list, func(e Entry) bool { return strings.HasPrefix(strings.TrimSpace(e.Text), "history ") })
	slices.Reverse(list)
	write := ExportShell
	if t.lua {
		write = ExportLua
	}
	if t.output == "" {
		return write(t.inv.Out, list)
	}
	return t.toFile(func(w io.Writer) error { return write(w, list) })
}

func (t *tree) toFile(write func(io.Writer) error) error {
	path := t.output
	if !filepath.IsAbs(path) {
		path = filepath.Join(t.inv.Dir, path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("history export: %w", err)
	}
	return errors.Join(write(f), f.Close())
}

func (t *tree) delete(_ *cobra.Command, args []string) error {
	var ids []int64
	for _, a := range args {
		id, err := strconv.ParseInt(a, 10, 64)
		if err != nil || id < 1 {
			return invalid("history delete: %s is not the number of a line", a)
		}
		ids = append(ids, id)
	}
	s, err := t.open()
	if err != nil {
		return err
	}
	n, err := s.Delete(ids...)
	if err != nil {
		return err
	}
	if int(n) < len(ids) {
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("history delete: %d of the %d lines are not there", len(ids)-int(n), len(ids)))
	}
	return nil
}

func (t *tree) sessions(cmd *cobra.Command, _ []string) error {
	s, err := t.open()
	if err != nil {
		return err
	}
	list, err := s.Sessions(cmd.Context(), t.limit)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, one := range slices.Backward(list) {
		this := ""
		if one.Name == s.Session() {
			this = "  (this)"
		}
		fmt.Fprintf(&b, "%-22s  %s  %s  %5d lines%s\n", one.Name, one.Begin.Format(time.DateTime), one.Last.Format(time.DateTime), one.Lines, this)
	}
	_, err = io.WriteString(t.inv.Out, b.String())
	return err
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
