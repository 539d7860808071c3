package complete

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	units "github.com/docker/go-units"
	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins"
)

// Preview says in one line what a line that destroys something will hit:
// "37 images, 12.4 GB, 2 in use". It is "" for lines that destroy nothing and
// for those whose words cannot be known before they run. It runs nothing but
// commands of ours that only list, `images`, `ps`, `volume ls`, `network ls`,
// inside $(…) and before xargs.
func (c *Completer) Preview(ctx context.Context, text string) string {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil || file == nil {
		return ""
	}
	var found []string
	known := true
	see := func(text string, destroys, ok bool) {
		if known = known && (ok || !destroys); known && text != "" {
			found = append(found, text)
		}
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if !known || ctx.Err() != nil {
			return false
		}
		switch n := n.(type) {
		case *syntax.BinaryCmd:
			if items, to, ok := c.piped(ctx, n); ok {
				see(c.call(ctx, to, items))
				return false
			}
		case *syntax.CallExpr:
			see(c.call(ctx, n, nil))
		}
		return known
	})
	if !known {
		return "" // half of what is hit would mislead
	}
	return strings.Join(found, "; ")
}

// piped is `LIST | xargs COMMAND`.
func (c *Completer) piped(ctx context.Context, b *syntax.BinaryCmd) (items []string, to *syntax.CallExpr, ok bool) {
	from, ok1 := b.X.Cmd.(*syntax.CallExpr)
	to, ok2 := b.Y.Cmd.(*syntax.CallExpr)
	if b.Op != syntax.Pipe || !ok1 || !ok2 || len(b.X.Redirs) > 0 || len(to.Args) < 2 || to.Args[0].Lit() != "xargs" {
		return nil, nil, false
	}
	items, ok = c.listed(ctx, from)
	return items, to, ok
}

// destroyers are the commands that a preview is made for.
var destroyers = []string{"rm", "rmi", "kill", "stop", "restart", "volume rm", "network rm", "container prune", "image prune", "volume prune", "network prune", "system prune", "system reset"}

// call previews one command; more are the words that xargs adds. ok is false
// where the words of one that destroys cannot be known.
func (c *Completer) call(ctx context.Context, call *syntax.CallExpr, more []string) (text string, destroys, ok bool) {
	if len(call.Args) == 0 {
		return "", false, true
	}
	first := call.Args[0].Lit()
	if _, host := hostCommand([]string{first}); host || first == "" {
		return "", false, true
	}
	lits := make([]string, len(call.Args))
	for i, w := range call.Args {
		lits[i] = w.Lit()
	}
	rest, _, _ := c.unwrap(lits)
	s := c.shape(rest)
	if s == nil || !slices.Contains(destroyers, s.path) {
		return "", false, true
	}
	words, ok := c.expand(ctx, call.Args)
	if !ok || first == "xargs" && more == nil {
		return "", true, false
	}
	rest, globals, _ := c.unwrap(append(words, more...))
	if s = c.shape(rest); s == nil {
		return "", true, false
	}
	p := &preview{e: c.engine(globals), parts: s.parts(rest)}
	return p.of(ctx, s.path), true, true
}

// expand makes the words of a command; ok is false for words that depend on
// more than lists.
func (c *Completer) expand(ctx context.Context, args []*syntax.Word) (words []string, ok bool) {
	for _, w := range args {
		list, ok := c.word(ctx, w)
		if !ok {
			return nil, false
		}
		words = append(words, list...)
	}
	return words, true
}

func (c *Completer) word(ctx context.Context, w *syntax.Word) ([]string, bool) {
	if lit := w.Lit(); lit != "" && !strings.ContainsAny(lit, "*?[{~") {
		return []string{strings.ReplaceAll(lit, `\`, "")}, true
	}
	if len(w.Parts) != 1 {
		return nil, false
	}
	switch part := w.Parts[0].(type) {
	case *syntax.SglQuoted:
		return []string{part.Value}, !part.Dollar
	case *syntax.DblQuoted:
		if len(part.Parts) == 1 {
			if lit, ok := part.Parts[0].(*syntax.Lit); ok && !strings.Contains(lit.Value, `\`) {
				return []string{lit.Value}, true
			}
		}
	case *syntax.CmdSubst:
		if len(part.Stmts) == 1 && !part.TempFile && !part.ReplyVar {
			return c.statement(ctx, part.Stmts[0])
		}
	}
	return nil, false
}

func (c *Completer) statement(ctx context.Context, st *syntax.Stmt) ([]string, bool) {
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || st.Background || st.Negated || st.Coprocess || len(st.Redirs) > 0 {
		return nil, false
	}
	return c.listed(ctx, call)
}

// harmlessLists are the commands that a preview may run, with the options that only
// choose what is listed. Each prints one id or name a line with -q.
var harmlessLists = map[string][]string{
	"images":     {"-a", "--all", "-q", "--quiet", "-f", "--filter", "--no-trunc", "-aq", "-qa"},
	"ps":         {"-a", "--all", "-q", "--quiet", "-f", "--filter", "--no-trunc", "-n", "--last", "-l", "--latest", "-aq", "-qa", "-lq", "-ql"},
	"volume ls":  {"-q", "--quiet", "-f", "--filter"},
	"network ls": {"-q", "--quiet", "-f", "--filter", "--no-trunc"},
}

// listed runs a list and returns the words that it prints.
func (c *Completer) listed(ctx context.Context, call *syntax.CallExpr) ([]string, bool) {
	if len(call.Assigns) > 0 || len(call.Args) == 0 {
		return nil, false
	}
	words := make([]string, len(call.Args))
	for i, w := range call.Args { // only words that need nothing to be run
		list, ok := c.literal(w)
		if !ok {
			return nil, false
		}
		words[i] = list
	}
	if _, host := hostCommand(words); host || words[0] == "xargs" {
		return nil, false
	}
	rest, globals, _ := c.unwrap(words)
	s := c.shape(rest)
	if s == nil || harmlessLists[s.path] == nil {
		return nil, false
	}
	allowed := harmlessLists[s.path]
	parts := s.parts(rest)
	for _, p := range parts {
		name, _, _ := strings.Cut(p.text, "=")
		if p.flag && !slices.Contains(allowed, name) || !p.flag && s.path != "images" {
			return nil, false
		}
	}
	if !given(parts, "-q", "--quiet") {
		return nil, false // a table's words are no names
	}
	command, _ := c.options.Shell.Registry().Lookup(rest[0])
	inv := c.invocation(globals, rest)
	var out bytes.Buffer
	inv.Out = &out
	if plugins.Execute(ctx, command, inv) != 0 {
		return nil, false
	}
	return strings.Fields(out.String()), true
}

func (c *Completer) literal(w *syntax.Word) (string, bool) {
	if len(w.Parts) == 1 {
		if sub, ok := w.Parts[0].(*syntax.CmdSubst); ok && sub != nil {
			return "", false
		}
	}
	list, ok := c.word(context.Background(), w)
	if !ok || len(list) != 1 {
		return "", false
	}
	return list[0], true
}

// preview is one command whose words are known.
type preview struct {
	e     *engine
	parts []part
}

func (p *preview) of(ctx context.Context, path string) string {
	switch path {
	case "rmi":
		return p.images(ctx)
	case "rm", "kill", "stop", "restart":
		return p.containers(ctx, path)
	case "volume rm":
		return p.named(ctx, volumes, "volume")
	case "network rm":
		return p.named(ctx, networks, "network")
	}
	if given(p.parts, "--filter") {
		return "" // what it chooses is the engine's to know
	}
	return p.prune(ctx, path)
}

func (p *preview) images(ctx context.Context) string {
	p.e.need(ctx, images)
	p.e.need(ctx, containers)
	used := map[string]bool{}
	for _, c := range p.e.containerList() {
		used[c.ImageID] = true
	}
	var size int64
	hit, inUse, missing := map[string]bool{}, 0, 0
	for _, a := range p.parts {
		if a.flag {
			continue
		}
		i := p.e.image(a.text)
		switch {
		case i == nil:
			missing++
		case !hit[i.ID]:
			hit[i.ID] = true
			size += i.Size
			if used[i.ID] {
				inUse++
			}
		}
	}
	if len(hit) == 0 {
		return nothing(missing)
	}
	return join(counted(len(hit), "image"), sizeText(size, len(hit)), some(inUse, "in use"), some(missing, "not there"))
}

func (p *preview) containers(ctx context.Context, path string) string {
	p.e.need(ctx, containers)
	hit := map[string]bool{}
	var names []string
	runs, missing := 0, 0
	for _, a := range p.parts {
		if a.flag {
			continue
		}
		c := p.e.container(a.text)
		switch {
		case c == nil:
			missing++
		case !hit[c.ID]:
			hit[c.ID] = true
			if len(c.Names) > 0 {
				names = append(names, strings.TrimPrefix(c.Names[0], "/"))
			}
			if c.State == "running" || c.State == "paused" {
				runs++
			}
		}
	}
	if len(hit) == 0 {
		return nothing(missing)
	}
	running := some(runs, "running")
	if path == "rm" && runs > 0 && !given(p.parts, "-f", "--force") {
		running += " (refused without -f)"
	}
	return join(counted(len(hit), "container"), running, some(missing, "not there")) + listing(names)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func some(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, what)
}

// nothing is said where no name is known.
func nothing(missing int) string {
	if missing == 0 {
		return ""
	}
	return "nothing of that name"
}

func sizeText(size int64, n int) string {
	if n == 0 {
		return ""
	}
	number, unit, _ := strings.Cut(units.CustomSize("%.3g %s", float64(size), 1000, []string{"B", "kB", "MB", "GB", "TB", "PB"}), " ")
	return number + " " + unit
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// mostNames is how many names a preview lists.
const mostNames = 5

func listing(names []string) string {
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > mostNames {
		names, more = names[:mostNames], ", …"
	}
	return ": " + strings.Join(names, ", ") + more
}
