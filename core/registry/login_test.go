package registry

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/tests/registry"
)

func TestLoginByPassword(t *testing.T) {
	for _, user := range []string{"anna", "小明"} {
		r := startRegistry(t, registry.Options{User: user, Password: "ge heim:密"})
		s := service(t, "{}")
		for _, address := range []string{r.Addr, "http://" + r.Addr, "http://" + r.Addr + "/v2/"} {
			answer, err := s.Auth(t.Context(), api.AuthConfig{Username: user, Password: "ge heim:密", ServerAddress: address})
			if err != nil || answer.Status != "Login Succeeded" || answer.IdentityToken != "" {
				t.Errorf("%s at %s: %+v, %v", user, address, answer, err)
			}
		}
		_, err := s.Auth(t.Context(), api.AuthConfig{Username: user, Password: "falsch", ServerAddress: r.Addr})
		wantError(t, "a wrong password", err, errdefs.IsUnauthorized, "login attempt to http://"+r.Addr+"/v2/ failed with status: 401 Unauthorized")
		if strings.Contains(err.Error(), "falsch") {
			t.Error("the error tells the password:", err)
		}
	}
	_, err := service(t, "{}").Auth(t.Context(), api.AuthConfig{Username: "a", Password: "b", ServerAddress: "127.0.0.1:1"})
	wantError(t, "no registry there", err, errdefs.IsUnavailable, "127.0.0.1:1", "connection refused")
}

// tokenService is a registry that sends its users to a token service, as Docker
// Hub does. It takes the password or a refresh token and gives one.
func tokenService(t *testing.T, refused http.HandlerFunc) string {
	var addr string
	addr = serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && r.Method == http.MethodPost && r.FormValue("refresh_token") == "lasting":
			json.NewEncoder(w).Encode(map[string]string{"access_token": "good"})
		case r.URL.Path == "/token" && user == "anna" && password == "geheim" && r.FormValue("offline_token") == "true":
			json.NewEncoder(w).Encode(map[string]string{"token": "good", "refresh_token": "lasting"})
		case r.URL.Path == "/token":
			refused(w, r)
		case r.Header.Get("Authorization") == "Bearer good":
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+addr+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	return addr
}

func TestLoginByToken(t *testing.T) {
	for name, refused := range map[string]http.HandlerFunc{
		"JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}`))
		},
		"nothing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte("<html>401"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr := tokenService(t, refused)
			s := service(t, "{}")
			answer, err := s.Auth(t.Context(), api.AuthConfig{Username: "anna", Password: "geheim", ServerAddress: addr})
			if err != nil || answer.Status != "Login Succeeded" || answer.IdentityToken != "lasting" {
				t.Fatalf("%+v, %v: want an identity token", answer, err)
			}
			if answer, err := s.Auth(t.Context(), api.AuthConfig{Username: "<token>", IdentityToken: "lasting", ServerAddress: addr}); err != nil || answer.Status != "Login Succeeded" {
				t.Errorf("with the identity token: %+v, %v", answer, err)
			}
			_, err = s.Auth(t.Context(), api.AuthConfig{Username: "anna", Password: "falsch", ServerAddress: addr})
			wantError(t, "a wrong password", err, errdefs.IsUnauthorized)
			_, err = s.Auth(t.Context(), api.AuthConfig{Username: "<token>", IdentityToken: "revoked", ServerAddress: addr})
			wantError(t, "a revoked token", err, errdefs.IsUnauthorized)
		})
	}
}

func TestCertificates(t *testing.T) {
	tls, err := registry.NewTLS(t.TempDir(), "registry.example")
	must(t, err)
	tls.AskClients = true
	r := startRegistry(t, registry.Options{User: "anna", Password: "geheim", TLS: tls})
	s := service(t, "{"+proxyTo(t, r.Addr)+"}")
	login := func() error {
		_, err := s.Auth(t.Context(), api.AuthConfig{Username: "anna", Password: "geheim", ServerAddress: "registry.example:5000"})
		return err
	}
	wantError(t, "an unknown authority", login(), errdefs.IsUnavailable, "x509: certificate signed by unknown authority", "hint: put the certificate of its authority into /etc/docker/certs.d/registry.example:5000/ca.crt")

	place := func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(beside(t, s, "certs.d", "registry.example:5000", to), text, 0o600))
	}
	place(tls.CA, "ca.crt")
	wantError(t, "no client certificate", login(), errdefs.IsUnavailable, "registry.example:5000") // the reason depends on who notices first
	place(tls.ClientCert, "client.cert")
	wantError(t, "a certificate without key", login(), func(error) bool { return true }, "client.key")
	place(tls.ClientKey, "client.key")
	must(t, login())
}

func TestPlainHTTPNeedsPermission(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	proxy := proxyTo(t, r.Addr)
	closed := service(t, "{"+proxy+"}")
	_, err := closed.Auth(t.Context(), api.AuthConfig{Username: "a", Password: "b", ServerAddress: "registry.example:5000"})
	wantError(t, "login", err, errdefs.IsUnavailable, `Get "https://registry.example:5000/v2/": http: server gave HTTP response to HTTPS client`, "hint: if it may be used without encryption, allow it: config add insecure-registries registry.example:5000")
	// go-containerregistry would go over to HTTP by itself where an address is private.
	for _, host := range []string{"registry.example:5000", "10.0.0.9:5000", "registry.local:5000"} {
		_, err = closed.Tags(t.Context(), host+"/x", nil)
		wantError(t, "tags at "+host, err, func(err error) bool { return errdefs.IsUnavailable(err) || errdefs.IsFailedPrecondition(err) }, "config add insecure-registries "+host)
		for _, entry := range []string{host, "10.0.0.0/24", "registry.example", "registry.local"} {
			s := service(t, `{"insecure-registries": ["`+entry+`"], `+proxy+"}")
			if _, err := s.Repositories(t.Context(), host, nil); s.insecure(t, host) != (err == nil) {
				t.Errorf("%s with %s insecure: %v", host, entry, err)
			}
		}
	}
}

func (s *Service) insecure(t *testing.T, host string) bool {
	way, err := s.Ways.To(host)
	must(t, err)
	return way.Insecure
}

func TestRegistriesOutOfOrder(t *testing.T) {
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		class  func(error) bool
		says   string
	}{
		"a web page":      {page(http.StatusOK), errdefs.IsUnavailable, "answered with a web page (status 200), not as a registry"},
		"403":             {page(http.StatusForbidden), errdefs.IsUnauthorized, "failed with status: 403 Forbidden"},
		"404":             {page(http.StatusNotFound), errdefs.IsUnavailable, "failed with status: 404 Not Found"},
		"429":             {page(http.StatusTooManyRequests), errdefs.IsUnavailable, "failed with status: 429 Too Many Requests"},
		"502":             {page(http.StatusBadGateway), errdefs.IsUnavailable, "failed with status: 502 Bad Gateway"},
		"a redirect loop": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, errdefs.IsUnavailable, "stopped after 10 redirects"},
		"silence": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-silent:
			case <-r.Context().Done():
			}
		}, errdefs.IsUnavailable, "no answer in time"},
		"an unknown challenge": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Negotiate")
			w.WriteHeader(http.StatusUnauthorized)
		}, errdefs.IsUnauthorized, "401 Unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, test.answer)
			s := service(t, "{}")
			if name == "silence" {
				s.Limits.Answer = time.Second
			}
			_, err := s.Auth(t.Context(), api.AuthConfig{Username: "a", Password: "geheim", ServerAddress: addr})
			wantError(t, name, err, test.class, test.says, addr)
			if strings.Contains(err.Error(), "geheim") {
				t.Error("the error tells the password:", err)
			}
		})
	}
}

// page is a web page in the place of a registry's answer.
func page(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		w.Write([]byte("<!DOCTYPE html><title>something else</title>"))
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"": "docker.io", "https://index.docker.io/v1/": "docker.io", "docker.io": "docker.io",
		"ghcr.io": "ghcr.io", "https://host:5000/v2/": "host:5000", "host:5000/path": "host:5000", "[::1]:5000": "[::1]:5000",
	} {
		if got, err := hostOf(address); err != nil || got != want {
			t.Errorf("%q: %q, %v", address, got, err)
		}
	}
	for _, address := range []string{"a b", "https://", "user@host", "host:port:5"} {
		if got, err := hostOf(address); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %q, %v; want a refusal", address, got, err)
		}
	}
}

// A broken configuration is said, and nobody is asked without it.
func TestBrokenConfiguration(t *testing.T) {
	s := service(t, `{"insecure-registries": 5}`)
	_, err := s.Auth(t.Context(), api.AuthConfig{ServerAddress: "127.0.0.1:1"})
	wantError(t, "login", err, errdefs.IsInvalidArgument, filepath.Base(s.Ways.Config.Path), "insecure-registries")
}
