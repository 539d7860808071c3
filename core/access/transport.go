package access

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
)

// Limits are how long a registry may take.
type Limits struct {
	Connect time.Duration // TCP, and TLS again
	Answer  time.Duration // until the headers of an answer have come
	Stall   time.Duration // without a byte of an answer
}

// DefaultLimits suit slow but working lines.
var DefaultLimits = Limits{Connect: 15 * time.Second, Answer: 60 * time.Second, Stall: 60 * time.Second}

// Transport carries requests to the registry and, over TLS, to others that it
// sends us to (token services, redirected blobs). Plain HTTP to a host for
// which it is not allowed fails with errdefs.ErrFailedPrecondition and says how
// to allow it. The caller closes its idle connections.
func (w Way) Transport(limits Limits) (*Transport, error) {
	cfg, err := w.TLS()
	if err != nil {
		return nil, err
	}
	return &Transport{way: w, limits: limits, base: &http.Transport{
		Proxy:                 w.Proxy(),
		DialContext:           (&net.Dialer{Timeout: limits.Connect}).DialContext,
		TLSClientConfig:       cfg,
		TLSHandshakeTimeout:   limits.Connect,
		ResponseHeaderTimeout: limits.Answer,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
	}}, nil
}

// Transport is an http.RoundTripper.
type Transport struct {
	way    Way
	limits Limits
	base   *http.Transport
}

// RoundTrip implements http.RoundTripper. A web page in the place of a
// registry's answer is an error where it would count as content, and nothing
// but its status elsewhere: nobody wants to read HTML in a terminal.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !t.plain(r.URL.Host) {
		return nil, PlainHTTP(r.URL.Host)
	}
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && strings.HasPrefix(r.URL.Path, "/v2/") {
		resp.Body.Close()
		if resp.StatusCode < http.StatusMultipleChoices {
			return nil, fault(errdefs.ErrUnavailable, "%s answered with a web page (status %d), not as a registry", r.URL.Host, resp.StatusCode)
		}
		resp.Body, resp.ContentLength = http.NoBody, 0
	}
	if t.limits.Stall > 0 {
		resp.Body = watch(resp.Body, r.URL.Host, t.limits.Stall)
	}
	return resp, nil
}

// watched is a body whose reads end when nothing comes for a while. The clock
// runs only while somebody waits for bytes.
type watched struct {
	body    io.ReadCloser
	clock   *time.Timer
	limit   time.Duration
	host    string
	stalled atomic.Bool
}

func watch(body io.ReadCloser, host string, limit time.Duration) io.ReadCloser {
	w := &watched{body: body, limit: limit, host: host}
	w.clock = time.AfterFunc(limit, func() {
		w.stalled.Store(true)
		body.Close()
	})
	w.clock.Stop()
	return w
}

func (w *watched) Read(b []byte) (int, error) {
	w.clock.Reset(w.limit)
	n, err := w.body.Read(b)
	w.clock.Stop()
	if err != nil && w.stalled.Load() {
		err = Silent(w.host, w.limit)
	}
	return n, err
}

func (w *watched) Close() error {
	w.clock.Stop()
	return w.body.Close()
}

// Fault is an error that this package found in an answer. It says everything
// itself, so that the layers of an HTTP client around it can be left out.
type Fault struct {
	text  string
	class error // of errdefs
}

func (f *Fault) Error() string { return f.text }
func (f *Fault) Unwrap() error { return f.class }

func fault(class error, format string, args ...any) error {
	return &Fault{text: fmt.Sprintf(format, args...), class: class}
}

// Silent is the error for a registry that stopped answering.
func Silent(host string, limit time.Duration) error {
	return fault(errdefs.ErrUnavailable, "%s stopped answering: nothing came for %s", host, limit)
}

// plain says whether a host may be asked without TLS.
func (t *Transport) plain(host string) bool {
	if host == t.way.Host {
		return t.way.Insecure
	}
	other, err := t.way.ways.To(host)
	return err == nil && other.Insecure
}

// CloseIdleConnections closes what nobody uses at the moment.
func (t *Transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// PlainHTTP is the error for a registry that would have to be spoken to without
// encryption, which nobody allowed.
func PlainHTTP(host string) error {
	return fault(errdefs.ErrFailedPrecondition, "registry %s answers over plain HTTP, which is not allowed\n%s", host, HintInsecure(host))
}

// HintInsecure says how to allow a registry without encryption or a valid certificate.
func HintInsecure(host string) string {
	return fmt.Sprintf("hint: if it may be used without encryption, allow it: config add insecure-registries %s", host)
}

// HintCA says where a registry's own certificate authority is put.
func HintCA(host string) string {
	return fmt.Sprintf("hint: put the certificate of its authority into /etc/docker/certs.d/%s/ca.crt, or certs.d beside nacre's own configuration file (config path)", host)
}
