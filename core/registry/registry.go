// Package registry asks registries on behalf of a user: whether they take a
// login, what they hold, and to copy and remove it without pulling. Pulling and
// pushing images of this engine is core/image's; how a registry is reached is
// core/access's. The server behind `registry serve` is in core/registry/server,
// which the engine never links.
//
// The protocol is spoken by go-containerregistry; logging in, where docker has
// words and steps of its own, by docker's client.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/access"
)

// Service is the module.
type Service struct {
	Ways   access.Ways
	Limits access.Limits
	// Patience bounds one question (tags, a manifest, a login) as a whole; 0: a minute.
	Patience time.Duration
	// Mirrors lists the enabled mirrors of a registry, the one in use first; nil: there are none.
	Mirrors func(ctx context.Context, registry string) ([]string, error)
}

func (s *Service) patience(ctx context.Context, host string) (context.Context, context.CancelFunc) {
	limit := s.Patience
	if limit == 0 {
		limit = time.Minute
	}
	return context.WithTimeoutCause(ctx, limit, errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("%s did not answer within %s", host, limit)))
}

// session is one request's connection to one registry.
type session struct {
	way       access.Way
	transport *access.Transport
	options   []remote.Option
}

func (s *Service) open(ctx context.Context, host string, auth *registry.AuthConfig) (*session, error) {
	way, err := s.Ways.To(host)
	if err != nil {
		return nil, err
	}
	transport, err := way.Transport(s.Limits)
	if err != nil {
		return nil, err
	}
	return &session{way: way, transport: transport, options: []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(transport), remote.WithUserAgent(s.Ways.Agent), remote.WithAuth(authenticator(auth)),
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 3}),
	}}, nil
}

func (s *session) close() { s.transport.CloseIdleConnections() }

func authenticator(auth *registry.AuthConfig) authn.Authenticator {
	if auth == nil {
		return authn.Anonymous
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: auth.Username, Password: auth.Password, IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
	})
}

func (s *session) nameOptions() []name.Option {
	if s.way.Insecure {
		return []name.Option{name.Insecure}
	}
	return nil
}

// repository and manifest turn a reference into the library's. Its own parser
// is not asked: it refuses names of one letter, which docker takes.
func (s *session) repository(ref reference.Named) (name.Repository, error) {
	reg, err := name.NewRegistry(reference.Domain(ref), s.nameOptions()...)
	if err != nil {
		return name.Repository{}, errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	return reg.Repo(reference.Path(ref)), nil
}

func (s *session) manifest(ref reference.Named) (name.Reference, error) {
	repo, err := s.repository(ref)
	if err != nil {
		return nil, err
	}
	if d, ok := ref.(reference.Digested); ok {
		return repo.Digest(d.Digest().String()), nil
	}
	if t, ok := reference.TagNameOnly(ref).(reference.Tagged); ok {
		return repo.Tag(t.Tag()), nil
	}
	return repo.Tag("latest"), nil
}

// parse reads what a user calls an image.
func parse(ref string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%q: %s", ref, err))
	}
	return named, nil
}

// hostOf is the registry that an address means: docker's clients send hosts,
// URLs, and the address of Docker Hub's old index.
func hostOf(address string) (string, error) {
	address = strings.TrimSpace(address)
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid registry address %q", address))
		}
		address = u.Host
	}
	host, _, _ := strings.Cut(address, "/")
	switch host {
	case "", "docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com":
		return access.Hub, nil
	}
	if u, err := url.Parse("https://" + host + "/"); err != nil || u.Host != host || u.User != nil {
		return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid registry address %q", address))
	}
	return host, nil
}

// because puts the reason for which the context ended before an error that only says that it did.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errdefs.IsUnavailable(cause) && ctx.Err() != nil {
		return cause
	}
	return err
}

var errNoCatalog = errors.New("no catalog")

// isStatus says whether a registry answered with one of these statuses.
func isStatus(err error, statuses ...int) bool {
	for _, s := range statuses {
		if statusOf(err) == s {
			return true
		}
	}
	return false
}

var _ http.RoundTripper = (*access.Transport)(nil)
