package mirror

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/docker"
)

// originName stands for the registry itself among its sources.
const originName = "origin"

// source is one mirror as the engine tells it.
type source struct {
	Registry string
	URL      string
	Name     string
	Enabled  bool
	InUse    bool
}

// result is the test of one source.
type result struct {
	Mirror  source
	Steps   []step
	OK      bool
	Latency time.Duration
}

type step struct {
	Name string
	Took time.Duration
	Err  string
}

// api speaks to the engine under /nacre/mirrors.
type api struct{ inv *plugins.Invocation }

func newAPI(inv *plugins.Invocation) *api { return &api{inv} }

func (a *api) list(ctx context.Context) (all []source, err error) {
	return all, a.call(ctx, http.MethodGet, "", nil, nil, &all)
}

func (a *api) add(ctx context.Context, s source) error {
	return a.call(ctx, http.MethodPost, "", nil, s, nil)
}

func (a *api) remove(ctx context.Context, registry, which string) error {
	return a.call(ctx, http.MethodDelete, "", url.Values{"registry": {registry}, "mirror": {which}}, nil, nil)
}

func (a *api) use(ctx context.Context, registry, which string) error {
	return a.call(ctx, http.MethodPost, "/use", url.Values{"registry": {registry}, "mirror": {which}}, nil, nil)
}

func (a *api) test(ctx context.Context, registry string) (all []result, err error) {
	return all, a.call(ctx, http.MethodPost, "/test", url.Values{"registry": {registry}}, nil, &all)
}

// call makes one request; an error answer becomes an error with the engine's words.
func (a *api) call(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	return docker.AskFor(ctx, a.inv, docker.Request{
		Doing: "ask the engine about mirrors", Method: method, Path: "/nacre/mirrors" + path, Query: query, Body: body,
	}, answer)
}
