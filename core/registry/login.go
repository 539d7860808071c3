package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/distribution/registry/api/errcode"
	"github.com/docker/distribution/registry/client/auth"
	"github.com/docker/distribution/registry/client/auth/challenge"
	"github.com/docker/distribution/registry/client/transport"
	"github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/access"
)

// Auth asks a registry whether it takes the user's credentials. Where it hands
// out a token that stands for them (an identity token), that comes back for the
// client to keep instead of the password. Errors are
// errdefs.ErrUnauthenticated when the registry refuses and ErrUnavailable when
// it cannot be asked.
func (s *Service) Auth(ctx context.Context, config registry.AuthConfig) (registry.AuthResponse, error) {
	host, err := hostOf(config.ServerAddress)
	if err != nil {
		return registry.AuthResponse{}, err
	}
	way, err := s.Ways.To(host)
	if err != nil {
		return registry.AuthResponse{}, err
	}
	plain, err := way.Transport(s.Limits)
	if err != nil {
		return registry.AuthResponse{}, err
	}
	defer plain.CloseIdleConnections()
	ctx, cancel := s.patience(ctx, host)
	defer cancel()
	var refusal error
	for _, scheme := range schemes(way) {
		l := &login{ctx: ctx, config: config, transport: plain, agent: s.Ways.Agent, endpoint: url.URL{Scheme: scheme, Host: way.Host, Path: "/v2/"}}
		token, err := l.try()
		if err == nil {
			return registry.AuthResponse{Status: "Login Succeeded", IdentityToken: token}, nil
		}
		if refusal == nil || !errdefs.IsUnauthorized(refusal) { // the last scheme that was answered says most
			refusal = l.explain(err)
		}
		if errdefs.IsUnauthorized(refusal) || ctx.Err() != nil {
			break
		}
	}
	return registry.AuthResponse{}, refusal
}

// schemes are tried in docker's order.
func schemes(way access.Way) []string {
	if way.Insecure {
		return []string{"https", "http"}
	}
	return []string{"https"}
}

// login is one attempt at one endpoint. It is the store of its own credentials.
type login struct {
	ctx       context.Context
	config    registry.AuthConfig
	transport http.RoundTripper
	agent     string
	endpoint  url.URL
	identity  string // what the registry gave for the password
}

// try asks who wants to be authenticated how, then comes in that way.
func (l *login) try() (identityToken string, err error) {
	first, err := l.get(l.transport)
	if err != nil {
		return "", err
	}
	if first.StatusCode != http.StatusOK && first.StatusCode != http.StatusUnauthorized {
		return "", l.refused(first.StatusCode)
	}
	manager := challenge.NewSimpleManager()
	if err := manager.AddResponse(first); err != nil {
		return "", fmt.Errorf("understand how %s wants to be logged in to: %w", l.endpoint.Host, err)
	}
	tokens := auth.NewTokenHandlerWithOptions(auth.TokenHandlerOptions{
		Transport: l.transport, Credentials: l, OfflineAccess: true, ClientID: "docker",
	})
	authorizer := auth.NewAuthorizer(manager, tokens, auth.NewBasicHandler(l))
	second, err := l.get(transport.NewTransport(l.transport, authorizer))
	if err != nil {
		return "", err
	}
	if second.StatusCode != http.StatusOK {
		return "", l.refused(second.StatusCode)
	}
	return l.identity, nil
}

// get asks for /v2/ and needs no more than the head of the answer.
func (l *login) get(through http.RoundTripper) (*http.Response, error) {
	req, err := http.NewRequestWithContext(l.ctx, http.MethodGet, l.endpoint.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", l.agent)
	resp, err := (&http.Client{Transport: through}).Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return resp, nil
}

// refused is the error for a status, in docker's words.
func (l *login) refused(status int) error {
	class := errdefs.ErrUnavailable
	text := fmt.Sprintf("login attempt to %s failed with status: %d %s", l.endpoint.String(), status, http.StatusText(status))
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return errdefs.ErrUnauthenticated.WithMessage(text)
	}
	return class.WithMessage(text)
}

// explain gives an error its class; a token service's refusal comes in the registry's own form.
func (l *login) explain(err error) error {
	if errdefs.IsUnauthorized(err) || errdefs.IsFailedPrecondition(err) {
		return cause(err)
	}
	if unauthorized(err) {
		return &worded{text: cause(err).Error(), class: errdefs.ErrUnauthenticated, cause: err}
	}
	if errors.Is(err, auth.ErrNoBasicAuthCredentials) {
		return errdefs.ErrUnauthenticated.WithMessage(fmt.Sprintf("login attempt to %s failed: no basic auth credentials", l.endpoint.String()))
	}
	if err := because(l.ctx, err); errdefs.IsUnavailable(err) && l.ctx.Err() != nil {
		return err
	}
	why, class := judgeAbout(l.endpoint.Host, err)
	return &worded{text: why, class: class, cause: err}
}

// unauthorized finds a refusal in the answer of a token service.
func unauthorized(err error) bool {
	var one errcode.Error
	var all errcode.Errors
	switch {
	case errors.As(err, &one):
		return refuses(one)
	case errors.As(err, &all):
		for _, e := range all {
			if errors.As(e, &one) && refuses(one) {
				return true
			}
		}
	}
	// A token service that answers without JSON: the library only keeps its words.
	return strings.Contains(err.Error(), "401 Unauthorized") || strings.Contains(err.Error(), "http status code: 401")
}

func refuses(e errcode.Error) bool {
	return e.Code == errcode.ErrorCodeUnauthorized || e.Code == errcode.ErrorCodeDenied
}

// Basic, RefreshToken and SetRefreshToken implement auth.CredentialStore.
func (l *login) Basic(*url.URL) (string, string) { return l.config.Username, l.config.Password }

// RefreshToken is the identity token of an earlier login.
func (l *login) RefreshToken(*url.URL, string) string { return l.config.IdentityToken }

// SetRefreshToken takes the identity token that stands for the password from now on.
func (l *login) SetRefreshToken(_ *url.URL, _, token string) { l.identity = token }
