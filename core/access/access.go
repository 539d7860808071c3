// Package access decides how a registry is reached: whether plain HTTP is
// allowed, which certificates and proxies count, which signature policy judges
// its images. It reads the configuration file and its neighbours afresh every
// time, and gives the answer in the forms that the two kinds of clients take: a
// types.SystemContext for go.podman.io/image, an http.RoundTripper for all
// others. Who may come in (credentials) is told by each request, never read
// here.
//
// Beside the configuration file may lie, in the formats of docker and
// containers-*(5), and before the system's own:
//
//	certs.d/HOST[:PORT]/   *.crt (CAs), *.cert and *.key (client certificates)
//	policy.json            which images are accepted
//	registries.d/          where signatures are
package access

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/docker/go-connections/tlsconfig"
	"github.com/moby/moby/api/types/registry"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"go.podman.io/image/v5/types"
	"golang.org/x/net/http/httpproxy"

	"github.com/nacre-sh/nacre/core/config"
)

// Hub is Docker Hub's name in references, hubHost where it answers.
const (
	Hub     = "docker.io"
	hubHost = "registry-1.docker.io"
)

// systemCerts are docker's folders and those of podman and skopeo.
var systemCerts = []string{"/etc/docker/certs.d", "/etc/containers/certs.d"}

// Ways finds the way to any registry.
type Ways struct {
	Config config.File
	Temp   string // a folder of the engine's own
	Agent  string // the User-Agent
}

// Way is how one registry is reached, as of now.
type Way struct {
	Registry string // as in image names: docker.io, host, host:port
	Host     string // what answers for it
	Insecure bool   // plain HTTP, or a certificate that nobody vouches for, is allowed
	certs    string // folder; empty: none
	proxies  config.Proxies
	ways     Ways
}

// To finds the way to a registry. Errors are errdefs.ErrInvalidArgument for a
// configuration file that cannot be read.
func (w Ways) To(registry string) (Way, error) {
	cfg, err := w.Config.Load()
	if err != nil {
		return Way{}, err
	}
	way := Way{Registry: registry, Host: registry, proxies: cfg.Proxies, ways: w}
	if registry == Hub {
		way.Host = hubHost
	}
	way.Insecure = cfg.InsecureRegistries.Allows(registry, nil)
	way.certs, err = w.certs(registry)
	return way, err
}

// certs is the first folder with certificates for a registry.
func (w Ways) certs(registry string) (string, error) {
	for _, base := range append(w.beside("certs.d"), systemCerts...) {
		dir := filepath.Join(base, registry)
		switch info, err := os.Stat(dir); {
		case err == nil && info.IsDir():
			return dir, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("look for certificates of %s: %w", registry, err)
		}
	}
	return "", nil
}

// beside is a neighbour of the configuration file, where there is such a file's place.
func (w Ways) beside(name string) []string {
	if w.Config.Path == "" {
		return nil
	}
	return []string{filepath.Join(filepath.Dir(w.Config.Path), name)}
}

// existing returns a neighbour of the configuration file if it exists.
func (w Ways) existing(name string) string {
	for _, path := range w.beside(name) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// TLS is the client's side of a connection to the registry.
func (w Way) TLS() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: tlsconfig.ClientDefault().CipherSuites, InsecureSkipVerify: w.Insecure}
	if w.certs == "" {
		return cfg, nil
	}
	if err := tlsclientconfig.SetupCertificates(w.certs, cfg); err != nil {
		return nil, fmt.Errorf("read the certificates of %s: %w", w.Registry, err)
	}
	return cfg, nil
}

// Proxy is for http.Transport: the configured proxies, else the environment's.
func (w Way) Proxy() func(*http.Request) (*url.URL, error) {
	if w.proxies == (config.Proxies{}) {
		return http.ProxyFromEnvironment
	}
	choose := w.proxyOf()
	return func(r *http.Request) (*url.URL, error) { return choose(r.URL) }
}

func (w Way) proxyOf() func(*url.URL) (*url.URL, error) {
	return (&httpproxy.Config{HTTPProxy: w.proxies.HTTP, HTTPSProxy: w.proxies.HTTPS, NoProxy: w.proxies.No}).ProxyFunc()
}

// System is the way in the form that go.podman.io/image takes: none of the
// host's registry configuration or stored credentials, only what the request gave.
func (w Way) System(auth *registry.AuthConfig) *types.SystemContext {
	sys := &types.SystemContext{
		DockerRegistryUserAgent:     w.ways.Agent,
		DockerAuthConfig:            &types.DockerAuthConfig{},
		DockerCertPath:              w.certs,
		SystemRegistriesConfPath:    os.DevNull,
		SystemRegistriesConfDirPath: filepath.Join(w.ways.Temp, "no-registries.conf.d"), // does not exist
		SignaturePolicyPath:         w.ways.existing("policy.json"),
		RegistriesDirPath:           w.ways.existing("registries.d"),
		BigFilesTemporaryDir:        w.ways.Temp,
	}
	if w.proxies != (config.Proxies{}) {
		sys.DockerProxy = w.proxyOf()
	}
	if w.Insecure {
		// Never an explicit no: it would also rule the way to a mirror.
		sys.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	}
	if auth != nil {
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: auth.Username, Password: auth.Password, IdentityToken: auth.IdentityToken}
		sys.DockerBearerRegistryToken = auth.RegistryToken
	}
	return sys
}
