package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
)

// probeLimit bounds the test of one source.
const probeLimit = 10 * time.Second

// probeRepository is asked for to see that content is answered for. A mirror
// that does not have it says so in a registry's words, which is good enough.
const probeRepository = "library/hello-world"

// MirrorTest asks all sources of a registry (of all registries with mirrors,
// if registry is empty) at the same time and says for each which steps passed.
func (m *Mirrors) MirrorTest(ctx context.Context, registry string) ([]backend.MirrorTest, error) {
	c, err := m.load()
	if err != nil {
		return nil, err
	}
	var tests []backend.MirrorTest
	for _, listed := range m.candidates(&c, registry) {
		tests = append(tests, backend.MirrorTest{Mirror: listed})
	}
	if len(tests) == 0 {
		name := CanonicalRegistry(registry)
		return nil, fmt.Errorf("registry %s has no mirrors\nhint: `mirror add %s URL` adds one: %w", name, name, errdefs.ErrNotFound)
	}
	var wg sync.WaitGroup
	for i := range tests {
		wg.Go(func() { m.probe(ctx, &tests[i]) })
	}
	wg.Wait()
	return tests, nil
}

// candidates are the mirrors of the registry and the registry itself.
func (m *Mirrors) candidates(c *Config, registry string) []backend.Mirror {
	var list []backend.Mirror
	mirrors := c.list()
	for _, r := range c.Registries {
		if registry != "" && r.Name != CanonicalRegistry(registry) {
			continue
		}
		for _, entry := range mirrors {
			if entry.Registry == r.Name {
				list = append(list, entry)
			}
		}
		list = append(list, backend.Mirror{
			Registry: r.Name, URL: originURL(r.Name).String(), Name: Origin, Enabled: true, InUse: r.Use == Origin,
		})
	}
	return list
}

// probe fills in the steps of one test: resolve, connect, tls, ping, manifest.
func (m *Mirrors) probe(ctx context.Context, t *backend.MirrorTest) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	base, err := parseURL(t.Mirror.URL)
	if err != nil {
		t.Steps = append(t.Steps, backend.MirrorStep{Name: "url", Err: err.Error()})
		return
	}
	trace := &stepTrace{}
	registry := base.Host
	if t.Mirror.Name == Origin {
		registry = t.Mirror.Registry
	}
	s, err := m.open(t.Mirror.Name, registry, base, probeRepository, nil)
	if err != nil {
		t.Steps = append(t.Steps, backend.MirrorStep{Name: "certificates", Err: err.Error()})
		return
	}
	s.origin = t.Mirror.Name == Origin
	defer s.client.CloseIdleConnections()
	start := time.Now()
	err = s.ping(httptrace.WithClientTrace(ctx, trace.hooks()))
	t.Latency = time.Since(start)
	t.Steps = trace.finish("ping", t.Latency, err)
	if err != nil {
		return
	}
	start = time.Now()
	err = askManifest(ctx, s)
	t.Steps = append(t.Steps, backend.MirrorStep{Name: "manifest", Took: time.Since(start), Err: text(err)})
	t.OK = err == nil
}

func askManifest(ctx context.Context, s *source) error {
	resp, err := s.do(ctx, http.MethodHead, probeRepository+"/manifests/latest", http.Header{"Accept": {
		"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
	}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case isHTML(resp):
		return speaksRegistry(resp)
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusNotFound:
		return nil
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("access denied (status %d)", resp.StatusCode)
	}
	return fmt.Errorf("answered %s", resp.Status)
}

// stepTrace times the parts of the first request to a source.
type stepTrace struct {
	mu    sync.Mutex
	steps []backend.MirrorStep
	begun map[string]time.Time
}

func (t *stepTrace) begin(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun == nil {
		t.begun = map[string]time.Time{}
	}
	t.begun[name] = time.Now()
}

// end records a step; of several attempts (addresses of one host) the last counts.
func (t *stepTrace) end(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	step := backend.MirrorStep{Name: name, Took: time.Since(t.begun[name]), Err: text(err)}
	if n := len(t.steps); n > 0 && t.steps[n-1].Name == name {
		t.steps[n-1] = step
		return
	}
	t.steps = append(t.steps, step)
}

func (t *stepTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { t.begin("resolve") },
		DNSDone:           func(i httptrace.DNSDoneInfo) { t.end("resolve", i.Err) },
		ConnectStart:      func(string, string) { t.begin("connect") },
		ConnectDone:       func(_, _ string, err error) { t.end("connect", err) },
		TLSHandshakeStart: func() { t.begin("tls") },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { t.end("tls", err) },
	}
}

// finish adds the request's own step unless one of its parts has failed already.
func (t *stepTrace) finish(name string, took time.Duration, err error) []backend.MirrorStep {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.steps); err != nil && n > 0 && t.steps[n-1].Err != "" {
		return t.steps
	}
	return append(t.steps, backend.MirrorStep{Name: name, Took: took, Err: text(err)})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	var ue *url.Error
	if errors.As(err, &ue) && ue.Timeout() {
		return "no answer in time"
	}
	return explain(err).Error()
}
