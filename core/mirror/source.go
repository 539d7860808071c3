package mirror

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/distribution/registry/client/auth"
	"github.com/docker/distribution/registry/client/auth/challenge"
	"github.com/docker/distribution/registry/client/transport"
	"github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/access"
)

// maxFailures is the number of faults after which a source is left alone for the rest of the pull.
const maxFailures = 3

// Limits are how long a source may take before it is passed over.
type Limits struct {
	Connect time.Duration // TCP, and TLS again
	Answer  time.Duration // until the headers have come
	Stall   time.Duration // without a byte of a body
}

// DefaultLimits suit slow but working lines.
var DefaultLimits = Limits{Connect: 5 * time.Second, Answer: 15 * time.Second, Stall: 20 * time.Second}

// source is one place of a pull, with its own connections, tokens and faults.
type source struct {
	label    string
	origin   bool     // the registry itself
	base     *url.URL // of /v2/
	insecure bool     // the registry itself may be asked without TLS
	stall    time.Duration
	client   *http.Client
	failures atomic.Int32
	served   atomic.Int64 // bytes

	pinging    sync.Mutex
	challenges challenge.Manager
	pinged     bool
}

// newSource prepares a source; nothing is asked yet. creds may be nil.
func newSource(label string, base *url.URL, repository string, creds *registry.AuthConfig, limits Limits, way access.Way) (*source, error) {
	tls, err := way.TLS()
	if err != nil {
		return nil, err
	}
	plain := &http.Transport{
		Proxy:                 way.Proxy(),
		DialContext:           (&net.Dialer{Timeout: limits.Connect}).DialContext,
		TLSClientConfig:       tls,
		TLSHandshakeTimeout:   limits.Connect,
		ResponseHeaderTimeout: limits.Answer,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	manager, store := challenge.NewSimpleManager(), credentials{creds}
	authorizer := auth.NewAuthorizer(manager, auth.NewTokenHandler(plain, store, repository, "pull"), auth.NewBasicHandler(store))
	return &source{
		label: label, base: base, insecure: way.Insecure, stall: limits.Stall, challenges: manager,
		client: &http.Client{Transport: transport.NewTransport(plain, authorizer)},
	}, nil
}

// do asks the source for a path below /v2/. The first request finds out how
// the source wants to be authenticated.
func (s *source) do(ctx context.Context, method, path string, header http.Header) (*http.Response, error) {
	if err := s.ping(ctx); err != nil {
		return nil, err
	}
	u := *s.base
	u.Path += "/v2/" + path
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Accept", "Range"} {
		if v := header.Values(name); len(v) > 0 {
			req.Header[name] = v
		}
	}
	return s.client.Do(req)
}

// ping finds out how the source wants to be spoken to: who asks, and, for the
// registry itself where that is allowed, whether over TLS or without.
func (s *source) ping(ctx context.Context) error {
	s.pinging.Lock()
	defer s.pinging.Unlock()
	if s.pinged {
		return nil
	}
	err := s.pingAt(ctx, s.base)
	if err != nil && s.origin && s.insecure && ctx.Err() == nil {
		other := *s.base
		if other.Scheme = "http"; s.base.Scheme == "http" {
			other.Scheme = "https"
		}
		if s.pingAt(ctx, &other) == nil {
			s.base, err = &other, nil
		}
	}
	s.pinged = err == nil
	return err
}

func (s *source) pingAt(ctx context.Context, base *url.URL) error {
	u := *base
	u.Path += "/v2/"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := speaksRegistry(resp); err != nil {
		return err
	}
	return s.challenges.AddResponse(resp)
}

// speaksRegistry tells a registry's answer from a login page, a proxy's error
// page or a web server's "not found".
func speaksRegistry(resp *http.Response) error {
	switch {
	case isHTML(resp):
		return fmt.Errorf("answered with a web page (status %d), not as a registry", resp.StatusCode)
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusUnauthorized:
		return nil
	}
	return fmt.Errorf("answered %s", resp.Status)
}

func isHTML(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
}

func (s *source) healthy() bool { return s.failures.Load() < maxFailures }
func (s *source) failed()       { s.failures.Add(1) }

// credentials hands one login to every realm of one source.
type credentials struct{ config *registry.AuthConfig }

func (c credentials) Basic(*url.URL) (string, string) {
	if c.config == nil {
		return "", ""
	}
	return c.config.Username, c.config.Password
}

func (c credentials) RefreshToken(*url.URL, string) string {
	if c.config == nil {
		return ""
	}
	return c.config.IdentityToken
}

func (c credentials) SetRefreshToken(*url.URL, string, string) {}

// explain shortens an HTTP client's error to its cause; the URL is already known to the reader.
func explain(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		if ue.Timeout() {
			return errors.New("no answer in time")
		}
		return ue.Err
	}
	return err
}
