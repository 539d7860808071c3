package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/nacre-sh/nacre/plugins"
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
type api struct{ http *http.Client }

func newAPI(inv *plugins.Invocation) *api {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return inv.Dial(ctx) }}
	inv.Defer(transport.CloseIdleConnections)
	return &api{&http.Client{Transport: transport}}
}

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
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://nacre/nacre/mirrors"+path+"?"+query.Encode(), content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the engine about mirrors: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return answerError(resp)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("ask the engine about mirrors: %w", err)
	}
	return nil
}

func answerError(resp *http.Response) error {
	var answer struct{ Message string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Message == "" {
		return fmt.Errorf("ask the engine about mirrors: it answered %s", resp.Status)
	}
	return fmt.Errorf("%s", answer.Message)
}
