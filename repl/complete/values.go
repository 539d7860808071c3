package complete

import (
	"context"
	"strings"

	"github.com/nacre-sh/nacre/plugins"
)

// value completes the value of an option that the tables know.
func (c *Completer) value(ctx context.Context, t *typing) (answer, bool) {
	none := plugins.Directive{NoFiles: true}
	path, name := short(t.path), t.flag.Name
	switch name {
	case "filter":
		if keys := filters[path]; keys != nil {
			return c.filter(ctx, t, keys), true
		}
	case "format":
		return format(path, t.word), true
	case "network", "net":
		return c.network(ctx, t), true
	case "volume":
		return c.mount(ctx, t), true
	case "mount":
		return c.longMount(ctx, t), true
	case "eval":
		if path == "lua" {
			return c.luaText(t.word)
		}
	case "pid", "ipc":
		list := modes[name]
		if c.joined(t.word) {
			return c.after(ctx, t, "container:", running), true
		}
		return answer{list: list, d: none}, true
	case "volumes-from":
		return answer{list: c.objects(ctx, c.engine(t.globals), anyContainer, t.word), d: none}, true
	case "cap-add", "cap-drop":
		return answer{list: capabilities(), d: none}, true
	case "env":
		return answer{list: environmentNames(c.options.Env()), d: plugins.Directive{NoFiles: true, NoSpace: true}}, true
	}
	if list, ok := fixed[name]; ok {
		return answer{list: list, d: plugins.Directive{NoFiles: true, KeepOrder: true}}, true
	}
	return c.example(ctx, t)
}

func (c *Completer) joined(word string) bool { return strings.HasPrefix(word, "container:") }

// after completes the container behind a prefix of the word.
func (c *Completer) after(ctx context.Context, t *typing, prefix string, w what) answer {
	return answer{list: c.objects(ctx, c.engine(t.globals), w, t.word[len(prefix):]), skip: len(prefix), d: plugins.Directive{NoFiles: true}}
}

// network completes --network: a network, host, none, or container:NAME.
func (c *Completer) network(ctx context.Context, t *typing) answer {
	if c.joined(t.word) {
		return c.after(ctx, t, "container:", running)
	}
	list := c.objects(ctx, c.engine(t.globals), networkName, t.word)
	list = add(list, "host", "the host's own network")
	list = add(list, "none", "no network")
	return answer{list: add(list, "container:", "another container's network"), d: plugins.Directive{NoFiles: true, NoSpace: strings.HasPrefix("container:", t.word) && t.word != ""}}
}

func add(list []plugins.Candidate, text, about string) []plugins.Candidate {
	for i, c := range list {
		if c.Text == text {
			list[i].Description = about
			return list
		}
	}
	return append(list, plugins.Candidate{Text: text, Description: about})
}

// mount completes --volume: a volume or a path of the host, then the container's path, then options.
func (c *Completer) mount(ctx context.Context, t *typing) answer {
	parts := strings.Split(t.word, ":")
	switch {
	case len(parts) == 1 && strings.HasPrefix(t.word, "/") || strings.HasPrefix(t.word, ".") || strings.HasPrefix(t.word, "~"):
		return answer{d: plugins.Directive{Files: true, NoSpace: true}}
	case len(parts) == 1:
		list := c.objects(ctx, c.engine(t.globals), volumeName, t.word)
		for i := range list {
			list[i].Text += ":"
		}
		return answer{list: list, d: plugins.Directive{NoSpace: true, Files: len(list) == 0}}
	case len(parts) == 3:
		comma := strings.LastIndexByte(t.word, ',') + 1
		return answer{list: mountOptions, skip: max(comma, len(t.word)-len(parts[2])), d: plugins.Directive{NoFiles: true, NoSpace: true}}
	}
	return answer{d: plugins.Directive{NoFiles: true}}
}

// longMount completes --mount: key=value,key=value…
func (c *Completer) longMount(ctx context.Context, t *typing) answer {
	at := strings.LastIndexByte(t.word, ',') + 1
	key, value, has := strings.Cut(t.word[at:], "=")
	d := plugins.Directive{NoFiles: true, NoSpace: true}
	if !has {
		return answer{list: mountKeys, skip: at, d: d}
	}
	skip := len(t.word) - len(value)
	switch {
	case key == "type":
		return answer{list: mountTypes, skip: skip, d: d}
	case key == "source" || key == "src":
		if strings.Contains(t.word, "type=bind") {
			return answer{skip: skip, d: plugins.Directive{Files: true, NoSpace: true}}
		}
		return answer{list: c.objects(ctx, c.engine(t.globals), volumeName, value), skip: skip, d: d}
	}
	return answer{skip: skip, d: d}
}

// filter completes --filter key=value.
func (c *Completer) filter(ctx context.Context, t *typing, keys []filterKey) answer {
	name, value, has := strings.Cut(t.word, "=")
	if !has {
		var list []plugins.Candidate
		for _, k := range keys {
			list = append(list, plugins.Candidate{Text: k.name + "=", Description: k.about})
		}
		return answer{list: list, d: plugins.Directive{NoFiles: true, NoSpace: true}}
	}
	a := answer{skip: len(name) + 1, d: plugins.Directive{NoFiles: true}}
	for _, k := range keys {
		switch {
		case k.name != strings.TrimSuffix(name, "!"):
		case k.object != 0:
			a.list = c.objects(ctx, c.engine(t.globals), k.object, value)
		default:
			for _, v := range k.values {
				a.list = append(a.list, plugins.Candidate{Text: v})
			}
			a.d.KeepOrder = true
		}
	}
	return a
}

// format completes --format: the words that docker knows, and fields of a template.
func format(path, word string) answer {
	d := plugins.Directive{NoFiles: true, NoSpace: true}
	names := fields[path]
	open := strings.LastIndex(word, "{{")
	if open < 0 || strings.Contains(word[open:], "}}") {
		list := []plugins.Candidate{{Text: "json", Description: "an object of JSON for each"}}
		if names != nil {
			list = append(list, plugins.Candidate{Text: "table", Description: "a table; columns may follow: table {{.ID}}"})
		}
		at := len(word)
		if open < 0 {
			at = 0
		} else if names == nil {
			return answer{d: d}
		}
		for _, f := range names {
			list = append(list, plugins.Candidate{Text: "{{." + f + "}}"})
		}
		if at > 0 {
			list = list[min(2, len(list)):]
		}
		return answer{list: list, skip: at, d: plugins.Directive{NoFiles: true, NoSpace: true, KeepOrder: true}}
	}
	var list []plugins.Candidate
	for _, f := range names {
		list = append(list, plugins.Candidate{Text: "{{." + f + "}}"})
	}
	return answer{list: list, skip: open, d: d}
}
