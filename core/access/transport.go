package access

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/containerd/errdefs"
)

// Limits are how long a registry may take.
type Limits struct {
	Connect time.Duration // TCP, and TLS again
	Answer  time.Duration // until the headers of an answer have come
}

// DefaultLimits suit slow but working lines.
var DefaultLimits = Limits{Connect: 15 * time.Second, Answer: 60 * time.Second}

// Transport carries requests to the registry and, over TLS, to others that it
// sends us to (token services, redirected blobs). Plain HTTP to a host for
// which it is not allowed fails with errdefs.ErrFailedPrecondition and says how
// to allow it. The caller closes its idle connections.
func (w Way) Transport(limits Limits) (*Transport, error) {
	cfg, err := w.TLS()
	if err != nil {
		return nil, err
	}
	return &Transport{way: w, base: &http.Transport{
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
	way  Way
	base *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !t.plain(r.URL.Host) {
		return nil, PlainHTTP(r.URL.Host)
	}
	return t.base.RoundTrip(r)
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
	return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf(
		"registry %s answers over plain HTTP, which is not allowed\n%s", host, HintInsecure(host)))
}

// HintInsecure says how to allow a registry without encryption or a valid certificate.
func HintInsecure(host string) string {
	return fmt.Sprintf("hint: if it may be used without encryption, allow it: config add insecure-registries %s", host)
}

// HintCA says where a registry's own certificate authority is put.
func HintCA(host string) string {
	return fmt.Sprintf("hint: put the certificate of its authority into /etc/docker/certs.d/%s/ca.crt, or certs.d beside nacre's own configuration file (config path)", host)
}
