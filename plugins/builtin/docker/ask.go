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

	"github.com/moby/moby/client"
)

// askEngine makes one request to the part of the API that is nacre's own, below
// /nacre. doing says in errors what was attempted; body and answer may be nil.
func askEngine(ctx context.Context, engine client.APIClient, doing, method, path string, body, answer any) error {
	dial := engine.Dialer()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	defer transport.CloseIdleConnections()
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://nacre"+path, content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return refusal(doing, resp)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
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
