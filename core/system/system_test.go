package system

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/tests/registry"
)

func open(t *testing.T, cfg Config) *System {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Paths{Data: filepath.Join(dir, "data"), Exec: filepath.Join(dir, "run")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	cfg.Store = st
	return New(cfg)
}

func TestLogin(t *testing.T) {
	r, err := registry.StartWith(t.TempDir(), registry.Options{User: "anna", Password: "geheim"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := open(t, Config{Version: "1"})
	for _, address := range []string{r.Addr, "http://" + r.Addr, "http://" + r.Addr + "/v2/"} {
		answer, err := s.Auth(t.Context(), api.AuthConfig{Username: "anna", Password: "geheim", ServerAddress: address})
		if err != nil || answer.Status != "Login Succeeded" {
			t.Errorf("%s: %+v, %v", address, answer, err)
		}
	}
	_, err = s.Auth(t.Context(), api.AuthConfig{Username: "anna", Password: "falsch", ServerAddress: r.Addr})
	if !errdefs.IsUnauthorized(err) || !strings.Contains(err.Error(), "401 Unauthorized") || strings.Contains(err.Error(), "falsch") {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := s.Auth(t.Context(), api.AuthConfig{Username: "a", Password: "b", ServerAddress: "127.0.0.1:1"}); err == nil || errdefs.IsUnauthorized(err) {
		t.Errorf("no registry there: %v", err)
	}
}

// TestLoginWithToken logs in where the registry sends its users to a token
// service, as Docker Hub does.
func TestLoginWithToken(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && user == "anna" && password == "geheim":
			_, _ = w.Write([]byte(`{"token":"good"}`))
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("Authorization") == "Bearer good":
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+server.URL+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	s := open(t, Config{})
	address := strings.TrimPrefix(server.URL, "http://")
	if answer, err := s.Auth(t.Context(), api.AuthConfig{Username: "anna", Password: "geheim", ServerAddress: address}); err != nil || answer.Status != "Login Succeeded" {
		t.Errorf("%+v, %v", answer, err)
	}
	if _, err := s.Auth(t.Context(), api.AuthConfig{Username: "anna", Password: "falsch", ServerAddress: address}); !errdefs.IsUnauthorized(err) {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestRegistryName(t *testing.T) {
	for address, want := range map[string]string{
		"": "docker.io", "https://index.docker.io/v1/": "docker.io", "docker.io": "docker.io",
		"ghcr.io": "ghcr.io", "https://host:5000/v2/": "host:5000", "host:5000/path": "host:5000",
	} {
		if got, err := registryName(address); err != nil || got != want {
			t.Errorf("%q: %q, %v", address, got, err)
		}
	}
}

func TestInfoTellsOfMirrorsAndCounts(t *testing.T) {
	s := open(t, Config{
		Version: "1.2.3",
		Count: func(context.Context) (Counts, error) {
			return Counts{Running: 1, Paused: 2, Stopped: 3, Images: 4}, nil
		},
		Mirrors: func(context.Context) (map[string][]string, error) {
			return map[string][]string{"docker.io": {"https://m1/"}, "127.0.0.1:5000": {"http://m2/"}}, nil
		},
		Getenv: func(name string) string {
			return map[string]string{"https_proxy": "http://u:secret@proxy:3128", "NO_PROXY": "localhost"}[name]
		},
	})
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Containers != 6 || info.ContainersRunning != 1 || info.Images != 4 || info.ServerVersion != "1.2.3" {
		t.Errorf("counts: %+v", info)
	}
	config := info.RegistryConfig
	if strings.Join(config.Mirrors, " ") != "https://m1/" || config.IndexConfigs["127.0.0.1:5000"].Secure || len(config.InsecureRegistryCIDRs) == 0 {
		t.Errorf("registries: %+v", config)
	}
	if strings.Contains(info.HTTPSProxy, "secret") || !strings.Contains(info.HTTPSProxy, "proxy:3128") || info.NoProxy != "localhost" {
		t.Errorf("proxies: %q %q", info.HTTPSProxy, info.NoProxy)
	}
}
