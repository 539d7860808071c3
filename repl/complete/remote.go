package complete

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/plugins"
)

const (
	// remoteTime is how long a registry may take; who waits longer has typed on.
	remoteTime = 15 * time.Second
	// remoteKept is how long an answer counts.
	remoteKept = 2 * time.Minute
	// mostRemote bounds the answers that are kept.
	mostRemote = 200
)

// remote keeps what registries have answered.
type remote struct {
	mu      sync.Mutex
	answers map[string]remoteAnswer
}

type remoteAnswer struct {
	at   time.Time
	list []string
}

// ask returns what a registry has, from the last minutes or by asking it.
func (r *remote) ask(ctx context.Context, key string, ask func(context.Context) ([]string, error)) []string {
	r.mu.Lock()
	known, ok := r.answers[key]
	r.mu.Unlock()
	if ok && time.Since(known.at) < remoteKept {
		return known.list
	}
	ctx, cancel := context.WithTimeout(ctx, remoteTime)
	defer cancel()
	list, err := ask(ctx)
	if err != nil {
		return known.list
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil || len(r.answers) >= mostRemote {
		r.answers = map[string]remoteAnswer{}
	}
	r.answers[key] = remoteAnswer{time.Now(), list}
	return list
}

// host is the registry that a reference names, "" if it names none.
func host(ref string) string {
	first, _, found := strings.Cut(ref, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return ""
}

// wanted completes an image that may be pulled: local ones, and where a
// registry is named, what that registry has.
func (c *Completer) wanted(ctx context.Context, e *engine, t *typing) answer {
	local := c.objects(ctx, e, imageName, t.word)
	d := plugins.Directive{NoFiles: true}
	registry := host(t.word)
	if registry == "" {
		return answer{list: local, d: d}
	}
	repository, _, tagged := strings.Cut(t.word[len(registry):], ":")
	var list []plugins.Candidate
	if tagged {
		name := registry + repository
		for _, tag := range c.remote.ask(ctx, name, func(ctx context.Context) ([]string, error) {
			return e.registry(ctx, c.auth(registry), "tags", url.Values{"name": {name}})
		}) {
			list = append(list, plugins.Candidate{Text: name + ":" + tag, Description: "in " + registry})
		}
	} else {
		for _, name := range c.remote.ask(ctx, registry, func(ctx context.Context) ([]string, error) {
			return e.registry(ctx, c.auth(registry), "repositories", url.Values{"registry": {registry}})
		}) {
			list = append(list, plugins.Candidate{Text: registry + "/" + strings.TrimPrefix(name, registry+"/"), Description: "in " + registry})
		}
		d.NoSpace = len(list) > 0 // a tag may follow
	}
	known := map[string]bool{}
	for _, l := range list {
		known[l.Text] = true
	}
	for _, l := range local {
		if !known[l.Text] {
			list = append(list, l)
		}
	}
	return answer{list: list, d: d}
}

func (c *Completer) auth(registry string) string {
	if c.options.Auth == nil {
		return ""
	}
	return c.options.Auth(registry)
}

// registry asks nacre's engine what a registry has.
func (e *engine) registry(ctx context.Context, auth, what string, query url.Values) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/nacre/registry/"+what+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if auth != "" {
		req.Header.Set("X-Registry-Auth", auth)
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the registry: %s", resp.Status)
	}
	var list []string
	return list, json.NewDecoder(resp.Body).Decode(&list)
}
