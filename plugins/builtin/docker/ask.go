package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/moby/moby/client"

	"github.com/nacre-sh/nacre/plugins"
)

// Request is a request to the part of the API that is nacre's own, below /nacre.
type Request struct {
	Doing  string // for errors: what was attempted
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Body   any // sent as JSON; nil: nothing

	Content io.Reader // sent as it is, where there is no Body
}

// Ask makes a request and reads the JSON answer, unless answer is nil.
func Ask(ctx context.Context, engine client.APIClient, r Request, answer any) error {
	body, err := Stream(ctx, engine, r)
	if err != nil {
		return err
	}
	return read(body, r, answer)
}

func read(body io.ReadCloser, r Request, answer any) error {
	defer body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("%s: %w", r.Doing, err)
	}
	return nil
}

// AskFor is Ask for a command that has no client of docker's: the request goes
// to the engine that the invocation means.
func AskFor(ctx context.Context, inv *plugins.Invocation, r Request, answer any) error {
	body, err := stream(ctx, inv.Dial, r)
	if err != nil {
		return err
	}
	return read(body, r, answer)
}

// Stream makes a request and gives the answer's body, which the caller closes.
func Stream(ctx context.Context, engine client.APIClient, r Request) (io.ReadCloser, error) {
	return stream(ctx, engine.Dialer(), r)
}

func stream(ctx context.Context, dial func(context.Context) (net.Conn, error), r Request) (io.ReadCloser, error) {
	content := r.Content
	if r.Body != nil {
		data, err := json.Marshal(r.Body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://nacre"+r.Path+"?"+r.Query.Encode(), content)
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // one request, and nobody to close what is idle
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}).Do(req)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // the URL of a connection in memory helps nobody
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Doing, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		defer resp.Body.Close()
		return nil, refusal(r.Doing, resp)
	}
	return sized{resp.Body, resp.ContentLength}, nil
}

// sized is an answer's body whose length may be known.
type sized struct {
	io.ReadCloser
	length int64 // bytes; -1: unknown
}

// maxRoom bounds what is made room for on the engine's word alone, in bytes.
const maxRoom = 16 << 20

// readText reads a body whole, into room made at once where its length is known.
func readText(body io.Reader) (string, error) {
	var text strings.Builder
	if s, ok := body.(sized); ok && s.length > 0 {
		text.Grow(int(min(s.length, maxRoom)))
	}
	_, err := io.Copy(&text, body)
	return text.String(), err
}

// refusal is the engine's own words for an error; an engine that is no nacre
// does not know the path.
func refusal(doing string, resp *http.Response) error {
	var answer struct{ Message string }
	err := json.NewDecoder(resp.Body).Decode(&answer)
	switch {
	case resp.StatusCode == http.StatusNotFound && (err != nil || answer.Message == "page not found"):
		return fmt.Errorf("%s: the engine is no nacre", doing)
	case err != nil || answer.Message == "":
		return fmt.Errorf("%s: it answered %s", doing, resp.Status)
	}
	return errors.New(answer.Message)
}
