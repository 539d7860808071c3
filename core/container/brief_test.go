package container

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
)

// What a list shows of networks is the same, whether nothing was asked of them, something was, or an older
// nacre wrote out all that was not.
func TestBriefKeepsWhatWasAskedOfNetworks(t *testing.T) {
	asked := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		"plain": {}, "named": {Aliases: []string{"db"}}, "empty": {Aliases: []string{}}, "default": nil,
	}}
	whole := &record{Config: &container.Config{}, HostConfig: &container.HostConfig{NetworkMode: "plain"}, Networking: asked}
	content, err := json.Marshal(briefOf(whole))
	if err != nil {
		t.Fatal(err)
	}
	older, err := json.Marshal(briefColumn{NetworkMode: "plain", Networking: asked})
	if err != nil {
		t.Fatal(err)
	}
	if len(content) >= len(older) || asked.EndpointsConfig["plain"] == nil {
		t.Errorf("%s is not shorter than %s, or the record has changed: %+v", content, older, asked)
	}
	want := idleNetwork(whole)
	for _, text := range [][]byte{content, older} {
		var b briefColumn
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatal(err)
		}
		r := &record{}
		b.fill(r)
		if got := idleNetwork(r); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v, want\n%+v", text, got, want)
		}
	}
}

// The newest is first, of those made at once the one with the smaller id, and each has what is its own.
func TestListIsInOrder(t *testing.T) {
	b := newBench(t)
	m := b.open()
	first := b.create(m, "first", nil, "true")
	second := b.create(m, "second", nil, "false")
	third := b.create(m, "third", nil, "true")
	b.must(m.Rename(t.Context(), third, "newest"))
	at := func(id string, when int64) {
		_, err := b.st.DB.ExecContext(t.Context(), `UPDATE containers SET created = ? WHERE id = ?`, when, id)
		b.must(err)
	}
	at(first, 1e18)
	at(second, 1e18)
	at(third, 2e18)
	early := []string{"first true", "second false"}
	if second < first {
		early = []string{"second false", "first true"}
	}
	want := append([]string{"newest true"}, early...)
	for range 3 { // read, read and kept, kept
		list, err := m.List(t.Context(), backend.ContainerList{All: true})
		b.must(err)
		var got []string
		for _, c := range list {
			got = append(got, c.Names[0][1:]+" "+c.Command)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}
