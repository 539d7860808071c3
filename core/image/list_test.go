package image_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
	images "github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/tests/registry"
)

func TestPlatforms(t *testing.T) {
	ctx := context.Background()
	r := startRegistry(t, registry.Options{})
	amd, arm := small(t, 1, "amd"), small(t, 1, "arm")
	arm.Config.Architecture, arm.OCI, amd.OCI = "arm64", true, true
	list, err := registry.PushIndex(ctx, r.Addr, "library/multi", "latest", amd, arm)
	must(t, err)
	e := newEngine(t)
	name := r.Addr + "/library/multi"
	want := func(arch string) func(*backend.Pull) {
		return func(p *backend.Pull) { p.Platform = &ocispec.Platform{OS: "linux", Architecture: arch} }
	}
	for _, arch := range []string{"arm64", "amd64"} {
		lines, err := e.pull(name, want(arch))
		must(t, err)
		if !slices.Contains(lines, "Digest: "+list.String()) {
			t.Errorf("the digest shown is not the list's:\n%s", strings.Join(lines, "\n"))
		}
		got, err := e.Inspect(ctx, name, nil)
		if err != nil || got.Architecture != arch {
			t.Errorf("asked for %s, have %s (%v)", arch, got.Architecture, err)
		}
	}
	_, err = e.pull(name, want("s390x"))
	wantError(t, err, errdefs.IsNotFound, "no matching manifest for linux/s390x in the manifest list entries")
	_, err = e.Rootfs(ctx, name, &ocispec.Platform{OS: "linux", Architecture: "arm64"})
	wantError(t, err, errdefs.IsNotFound, "image with reference "+name+" was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)")

	// The first one has lost the tag and keeps the digest, until that is asked for itself.
	byDigest := name + "@" + list.String()
	for _, c := range []struct{ before, status string }{{"arm64", "Downloaded newer image"}, {"amd64", "Image is up to date"}} {
		got, err := e.Inspect(ctx, byDigest, nil)
		if err != nil || got.Architecture != c.before {
			t.Errorf("the digest is %s's, want %s's (%v)", got.Architecture, c.before, err)
		}
		lines, err := e.pull(byDigest)
		must(t, err)
		if lines[0] != byDigest+": Pulling from library/multi" || lines[len(lines)-1] != "Status: "+c.status+" for "+byDigest {
			t.Errorf("by digest:\n%s", strings.Join(lines, "\n"))
		}
	}
}

func TestAllTags(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	for _, tag := range []string{"1", "2", "3"} {
		push(t, r, "library/demo", tag, small(t, 2, tag))
	}
	e := newEngine(t)
	name := r.Addr + "/library/demo"
	lines, err := e.pull(name, func(p *backend.Pull) { p.AllTags = true })
	must(t, err)
	if count(lines, "Pulling from library/demo") != 3 || count(lines, ": Already exists") != 2 || lines[len(lines)-1] != "Status: Downloaded newer image for "+name {
		t.Errorf("progress:\n%s", strings.Join(lines, "\n"))
	}
}

func TestListFilters(t *testing.T) {
	ctx := context.Background()
	r := startRegistry(t, registry.Options{})
	for i, tag := range []string{"old", "mid", "new"} {
		img := small(t, 2, tag)
		created := time.Date(2020+i, 1, 1, 0, 0, 0, 0, time.UTC)
		img.Config.Created = &created
		img.Config.Config.Labels = map[string]string{"stage": tag}
		push(t, r, "library/demo", tag, img)
	}
	e := newEngine(t)
	name := r.Addr + "/library/demo"
	_, err := e.pull(name, func(p *backend.Pull) { p.AllTags = true })
	must(t, err)
	// The name mid goes to the image new: mid's own image dangles.
	must(t, e.Tag(ctx, name+":new", name, "mid"))

	for _, c := range []struct {
		filters filter.Args
		want    string
	}{
		{nil, "mid,new <none> old"},
		{filter.Args{"dangling": {"true"}}, "<none>"},
		{filter.Args{"before": {name + ":new"}}, "<none> old"},
		{filter.Args{"since": {name + ":old"}}, "mid,new <none>"},
		{filter.Args{"until": {"2020-06-01"}}, "old"},
		{filter.Args{"label": {"stage=old"}}, "old"},
		{filter.Args{"label": {"stage"}, "reference": {"*/library/demo:o*"}}, "old"},
		{filter.Args{"reference": {"nothing"}}, ""},
	} {
		list, err := e.List(ctx, backend.ImageList{Filters: c.filters, SharedSize: true})
		must(t, err)
		var got []string
		for _, s := range list {
			var tags []string
			for _, tag := range s.RepoTags {
				tags = append(tags, tag[strings.LastIndex(tag, ":")+1:])
			}
			if len(tags) == 0 {
				tags = []string{"<none>"}
			}
			got = append(got, strings.Join(tags, ","))
			if s.SharedSize <= 0 || s.SharedSize >= s.Size {
				t.Errorf("shared size %d of %d: one of two layers is shared", s.SharedSize, s.Size)
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%v shows %q, want %q", c.filters, text, c.want)
		}
	}
	_, err = e.List(ctx, backend.ImageList{Filters: filter.Args{"color": {"red"}}})
	if !errdefs.IsInvalidArgument(err) {
		t.Errorf("an unknown filter: %v", err)
	}
	_, err = e.List(ctx, backend.ImageList{Filters: filter.Args{"before": {"nope"}}})
	wantError(t, err, errdefs.IsNotFound, "No such image: nope:latest")
}

func TestPrune(t *testing.T) {
	ctx := context.Background()
	r := startRegistry(t, registry.Options{})
	for _, tag := range []string{"1", "2", "3"} {
		push(t, r, "library/demo", tag, small(t, 2, tag))
	}
	users := containers{}
	e := newEngine(t, func(o *images.Options) { o.Users = users })
	name := r.Addr + "/library/demo"
	_, err := e.pull(name, func(p *backend.Pull) { p.AllTags = true })
	must(t, err)
	used, err := e.Inspect(ctx, name+":2", nil)
	must(t, err)
	users[used.ID] = []images.User{{ID: "c"}}
	must(t, e.Tag(ctx, name+":3", name, "1")) // the image of 1 dangles

	prune := func(filters filter.Args) (deleted int, freed uint64) {
		records, freed, err := e.Prune(ctx, filters)
		must(t, err)
		for _, r := range records {
			if r.Deleted != "" {
				deleted++
			}
		}
		return deleted, freed
	}
	if n, freed := prune(nil); n != 2 || freed == 0 { // image and top layer
		t.Errorf("dangling: %d things and %d bytes went", n, freed)
	}
	if n, _ := prune(nil); n != 0 {
		t.Errorf("dangling again: %d things went", n)
	}
	if n, _ := prune(filter.Args{"dangling": {"false"}}); n != 2 {
		t.Errorf("all unused: %d things went", n)
	}
	list, err := e.List(ctx, backend.ImageList{})
	if err != nil || len(list) != 1 || list[0].ID != used.ID {
		t.Errorf("left: %v (%v)", list, err)
	}
}

func TestHistoryAndEvents(t *testing.T) {
	ctx := context.Background()
	r := startRegistry(t, registry.Options{})
	img, err := registry.Busybox("amd64")
	must(t, err)
	push(t, r, "library/busybox", "latest", img)
	e := newEngine(t)
	name := r.Addr + "/library/busybox"
	_, err = e.pull(name)
	must(t, err)
	steps, err := e.History(ctx, name)
	must(t, err)
	if len(steps) != 2 || steps[0].Size != 0 || steps[1].Size < 1<<20 || !slices.Equal(steps[0].Tags, []string{name + ":latest"}) || steps[1].ID != "<missing>" {
		t.Errorf("history: %+v", steps)
	}
	got, err := e.Inspect(ctx, name, nil)
	must(t, err)
	must(t, e.Tag(ctx, got.ID[:20], "b", "1"))
	_, err = e.Remove(ctx, got.ID, backend.ImageRemove{Force: true})
	must(t, err)
	want := []string{
		fmt.Sprintf("pull %s:latest %s", name, name), fmt.Sprintf("tag %s b:1", got.ID),
		fmt.Sprintf("untag %s %s", got.ID, got.ID), fmt.Sprintf("untag %s %s", got.ID, got.ID), fmt.Sprintf("untag %s %s", got.ID, got.ID),
		fmt.Sprintf("delete %s %s", got.ID, got.ID),
	}
	if !slices.Equal(e.events.all, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(e.events.all, "\n"), strings.Join(want, "\n"))
	}
}

func TestTagRefusals(t *testing.T) {
	e := newEngine(t)
	for target, want := range map[string]string{
		"sha256":     "refusing to create an ambiguous tag using digest algorithm as name",
		"UPPER":      "invalid reference format: repository name (library/UPPER) must be lowercase",
		"a b":        "invalid reference format",
		"good":       "No such image: nope:latest",
		"with:colon": "No such image: nope:latest",
	} {
		err := e.Tag(context.Background(), "nope", target, "")
		if err == nil || err.Error() != want {
			t.Errorf("tag nope %s: %v, want %s", target, err, want)
		}
	}
}
