package image

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"

	"github.com/distribution/reference"
	"github.com/docker/distribution/registry/client/auth"
	"github.com/docker/distribution/registry/client/auth/challenge"
	"github.com/docker/distribution/registry/client/transport"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
)

// mount asks the registry to take a blob over from another of its
// repositories, and says whether it did. The library that pushes cannot be told
// to: it mounts only what its own cache file knows.
func (p *push) mount(ctx context.Context, from reference.Named, blob digest.Digest) (bool, error) {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	client, base, err := p.registryClient(ctx, from)
	if err != nil {
		return false, err
	}
	target := *base
	target.Path = "/v2/" + reference.Path(p.ref) + "/blobs/uploads/"
	target.RawQuery = url.Values{"mount": {blob.String()}, "from": {reference.Path(from)}}.Encode()
	resp, err := do(ctx, client, http.MethodPost, target.String())
	if err != nil {
		return false, err
	}
	if resp.StatusCode == http.StatusAccepted { // an upload was begun instead
		if location, err := resp.Location(); err == nil {
			_, err = do(ctx, client, http.MethodDelete, location.String())
			return false, err
		}
	}
	return resp.StatusCode == http.StatusCreated, nil
}

// do sends a request without a body and takes an answer without reading it.
func do(ctx context.Context, client *http.Client, method, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, because(ctx, err)
	}
	return resp, resp.Body.Close()
}

// registryClient is an HTTP client that may push to the repository and pull
// from the other one, and the registry's address.
func (p *push) registryClient(ctx context.Context, from reference.Named) (*http.Client, *url.URL, error) {
	plain := http.DefaultTransport.(*http.Transport).Clone()
	plain.DisableKeepAlives = true // a few requests, then nobody closes them
	schemes := []string{"https"}
	if p.sys.DockerInsecureSkipTLSVerify == types.OptionalBoolTrue {
		plain.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the user listed the registry as insecure
		schemes = append(schemes, "http")
	}
	var err error
	for _, scheme := range schemes {
		base := &url.URL{Scheme: scheme, Host: registryHost(p.ref), Path: "/v2/"}
		challenges := challenge.NewSimpleManager()
		resp, pingErr := do(ctx, &http.Client{Transport: plain}, http.MethodGet, base.String())
		if pingErr == nil {
			pingErr = challenges.AddResponse(resp)
		}
		if pingErr != nil {
			err = pingErr
			continue
		}
		creds := credentials{p.sys.DockerAuthConfig}
		tokens := auth.NewTokenHandlerWithOptions(auth.TokenHandlerOptions{Transport: plain, Credentials: creds, Scopes: []auth.Scope{
			auth.RepositoryScope{Repository: reference.Path(p.ref), Actions: []string{"pull", "push"}},
			auth.RepositoryScope{Repository: reference.Path(from), Actions: []string{"pull"}},
		}})
		return &http.Client{Transport: transport.NewTransport(plain, auth.NewAuthorizer(challenges, tokens, auth.NewBasicHandler(creds)))}, base, nil
	}
	return nil, nil, fmt.Errorf("contact %s: %w", reference.Domain(p.ref), err)
}

// registryHost is where a name's registry answers.
func registryHost(ref reference.Named) string {
	if host := reference.Domain(ref); host != "docker.io" {
		return host
	}
	return "registry-1.docker.io"
}

// credentials gives one registry's credentials to docker's client.
type credentials struct{ *types.DockerAuthConfig }

func (c credentials) Basic(*url.URL) (string, string)          { return c.Username, c.Password }
func (c credentials) RefreshToken(*url.URL, string) string     { return c.IdentityToken }
func (c credentials) SetRefreshToken(*url.URL, string, string) {}
