package api

import (
	"context"
	"net/netip"
	"net/url"
	"reflect"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// listing is a backend that only lists containers, and remembers what it was asked.
type listing struct {
	Containers
	list  []container.Summary
	asked backend.ContainerList
}

func (l *listing) List(_ context.Context, opts backend.ContainerList) ([]container.Summary, error) {
	l.asked = opts
	return l.list, nil
}

func TestTerseLists(t *testing.T) {
	l := &listing{list: []container.Summary{{
		ID: "c1", Names: []string{"/web"}, Image: "busybox", ImageID: "sha256:1", Command: "sh -c 'a\n\tb'", Created: 7, Status: "Up 2 hours",
		Ports: []container.PortSummary{{IP: netip.MustParseAddr("127.0.0.1"), PrivatePort: 80, PublicPort: 8080, Type: "tcp"}},
		State: "running", Labels: map[string]string{"not": "shown"},
	}, {ID: "c2", Names: []string{"/job"}, Image: "busybox", ImageID: "sha256:1", Created: 8, Status: "Created"}}}
	_, c := serve(t, Backends{Containers: l, Images: &images{list: []image.Summary{
		{ID: "sha256:1", RepoTags: []string{"busybox:latest"}, RepoDigests: []string{"busybox@sha256:2"}, Created: 7, Size: 9},
	}}})
	for path, want := range map[string]string{
		"/nacre/table/containers?all=1&limit=3&filters=" + url.QueryEscape(`{"name":{"w":true}}`): "c1\tweb\tbusybox\tsha256:1\t7\tUp 2 hours\t\"sh -c 'a\\n\\tb'\"\t" +
			`[{"IP":"127.0.0.1","PrivatePort":80,"PublicPort":8080,"Type":"tcp"}]` + "\nc2\tjob\tbusybox\tsha256:1\t8\tCreated\t\"\"",
		"/nacre/table/images": "sha256:1\tbusybox:latest\tbusybox@sha256:2\t7\t9",
	} {
		if resp, body := send(t, c, "GET", path, ""); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if want := (backend.ContainerList{All: true, Limit: 3, Filters: filter.Args{"name": {"w"}}}); !reflect.DeepEqual(l.asked, want) {
		t.Errorf("asked for %+v", l.asked)
	}
	if resp, body := send(t, c, "GET", "/nacre/table/images?filters=nonsense", ""); resp.StatusCode != 400 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
