package scripting

import (
	"strings"
	"time"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	lua "github.com/yuin/gopher-lua"
)

func imageSection() section {
	return section{
		name:   typeImage,
		object: "img",
		doc:    "An image, as `nacre.images` and `nacre.image` return it. It is a plain table: fields can be read, printed and encoded; methods ask the engine. As an argument of a command it stands for its id.",
		fields: []field{
			{"id", "string", "full id, `sha256:…`"},
			{"short_id", "string", "the first 12 digits"},
			{"names", "list of strings", "names with tag; empty for a dangling image"},
			{"tags", "list of strings", "the same list"},
			{"digests", "list of strings", "names with digest"},
			{"size", "number", "bytes"},
			{"created", "number", "seconds since 1970"},
			{"labels", "table", ""},
			{"dangling", "boolean", "whether it has no name"},
		},
		funcs: []function{
			{"remove", "{force = false, no_prune = false}", "list of {untagged} and {deleted}", "Removes all names of the image, and its layers. With several names docker wants `force`.", (*State).imageRemove},
			{"tag", "(name)", "image", "Gives the image another name.", (*State).imageTag},
			{"inspect", "()", "table", "Everything that `image inspect` prints, with docker's field names.", (*State).imageInspect},
			{"history", "()", "list of tables", "The layers: `id`, `created`, `created_by`, `size`, `comment`, `tags`.", (*State).imageHistory},
		},
	}
}

// filtersFrom makes docker's filters of the options that are left, and of
// those below the key `filters`.
func filtersFrom(o *options) client.Filters {
	filters := client.Filters{}
	add := func(t *lua.LTable) {
		t.ForEach(func(k, v lua.LValue) {
			name, ok := k.(lua.LString)
			if !ok || t == o.table && contains(o.known, string(name)) {
				return
			}
			if b, isBool := v.(lua.LBool); isBool {
				filters.Add(string(name), b.String())
				return
			}
			values, err := stringsOf(v)
			if err != nil {
				o.fail(string(name), "a filter's value", v)
			}
			filters.Add(string(name), values...)
		})
	}
	inner := o.get("filters")
	add(o.table)
	if t, ok := inner.(*lua.LTable); ok {
		add(t)
	}
	return filters
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (s *State) images(L *lua.LState) (int, error) {
	o := optionsAt(L, 1)
	opts := client.ImageListOptions{All: o.boolean("all")}
	opts.Filters = filtersFrom(o)
	if o.err != nil {
		return 0, o.err
	}
	c, err := s.engine()
	if err != nil {
		return 0, err
	}
	list, err := c.ImageList(s.ctx, opts)
	if err != nil {
		return 0, err
	}
	t := L.CreateTable(len(list.Items), 0)
	for _, img := range list.Items {
		t.Append(s.imageTable(L, img))
	}
	L.Push(t)
	return 1, nil
}

func (s *State) image(L *lua.LState) (int, error) { return s.pushImage(L, L.CheckString(1)) }

func (s *State) pushImage(L *lua.LState, name string) (int, error) {
	c, err := s.engine()
	if err != nil {
		return 0, err
	}
	found, err := c.ImageInspect(s.ctx, name)
	if err != nil {
		return 0, err
	}
	sum := image.Summary{ID: found.ID, RepoTags: found.RepoTags, RepoDigests: found.RepoDigests, Size: found.Size}
	if found.Config != nil {
		sum.Labels = found.Config.Labels
	}
	if t, err := time.Parse(time.RFC3339Nano, found.Created); err == nil {
		sum.Created = t.Unix()
	}
	L.Push(s.imageTable(L, sum))
	return 1, nil
}

// imageTable is the Lua form of an image. Older engines say <none>:<none>
// where newer ones have an empty list.
func (s *State) imageTable(L *lua.LState, img image.Summary) *lua.LTable {
	t := L.NewTable()
	names := stringList(L, img.RepoTags, "<none>:<none>")
	t.RawSetString("id", lua.LString(img.ID))
	t.RawSetString("short_id", lua.LString(shortID(img.ID)))
	t.RawSetString("names", names)
	t.RawSetString("tags", names)
	t.RawSetString("digests", stringList(L, img.RepoDigests, "<none>@<none>"))
	t.RawSetString("size", lua.LNumber(img.Size))
	t.RawSetString("created", lua.LNumber(img.Created))
	t.RawSetString("labels", stringMap(L, img.Labels))
	t.RawSetString("dangling", lua.LBool(names.Len() == 0))
	t.Metatable = s.types[typeImage]
	return t
}

// shortID is docker's short form of an id.
func shortID(id string) string {
	_, hex, found := strings.Cut(id, ":")
	if !found {
		hex = id
	}
	return hex[:min(12, len(hex))]
}

func stringList(L *lua.LState, list []string, none string) *lua.LTable {
	t := L.CreateTable(len(list), 0)
	for _, v := range list {
		if v != none {
			t.Append(lua.LString(v))
		}
	}
	if t.Len() == 0 {
		markArray(L, t) // so that it is [] as JSON
	}
	return t
}

func stringMap(L *lua.LState, m map[string]string) *lua.LTable {
	t := L.CreateTable(0, len(m))
	for k, v := range m {
		t.RawSetString(k, lua.LString(v))
	}
	return t
}

// receiver returns the client and the id of the object that a method was
// called on.
func (s *State) receiver(L *lua.LState, kind string) (*client.Client, string, error) {
	t, ok := L.Get(1).(*lua.LTable)
	if !ok || t.Metatable != lua.LValue(s.types[kind]) {
		return nil, "", invalid("want an %s as receiver: call the method with a colon, x:method()", kind)
	}
	c, err := s.engine()
	return c, lua.LVAsString(t.RawGetString("id")), err
}

func (s *State) imageRemove(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeImage)
	if err != nil {
		return 0, err
	}
	o := optionsAt(L, 2)
	opts := client.ImageRemoveOptions{Force: o.boolean("force"), PruneChildren: !o.boolean("no_prune")}
	if err := o.done(); err != nil {
		return 0, err
	}
	removed, err := c.ImageRemove(s.ctx, id, opts)
	if err != nil {
		return 0, err
	}
	t := L.CreateTable(len(removed.Items), 0)
	for _, r := range removed.Items {
		item := L.NewTable()
		if r.Untagged != "" {
			item.RawSetString("untagged", lua.LString(r.Untagged))
		}
		if r.Deleted != "" {
			item.RawSetString("deleted", lua.LString(r.Deleted))
		}
		t.Append(item)
	}
	L.Push(t)
	return 1, nil
}

func (s *State) imageTag(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeImage)
	if err != nil {
		return 0, err
	}
	name := L.CheckString(2)
	if _, err := c.ImageTag(s.ctx, client.ImageTagOptions{Source: id, Target: name}); err != nil {
		return 0, err
	}
	return s.pushImage(L, name)
}

func (s *State) imageInspect(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeImage)
	if err != nil {
		return 0, err
	}
	found, err := c.ImageInspect(s.ctx, id)
	if err != nil {
		return 0, err
	}
	return pushJSON(L, found.InspectResponse)
}

func (s *State) imageHistory(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeImage)
	if err != nil {
		return 0, err
	}
	history, err := c.ImageHistory(s.ctx, id)
	if err != nil {
		return 0, err
	}
	t := L.CreateTable(len(history.Items), 0)
	for _, h := range history.Items {
		layer := L.NewTable()
		layer.RawSetString("id", lua.LString(h.ID))
		layer.RawSetString("created", lua.LNumber(h.Created))
		layer.RawSetString("created_by", lua.LString(h.CreatedBy))
		layer.RawSetString("size", lua.LNumber(h.Size))
		layer.RawSetString("comment", lua.LString(h.Comment))
		layer.RawSetString("tags", stringList(L, h.Tags, ""))
		t.Append(layer)
	}
	L.Push(t)
	return 1, nil
}
