package registry

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/tests/registry"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// service is a module with a configuration file of its own.
func service(t *testing.T, settings string) *Service {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "daemon.json")
	must(t, os.WriteFile(file, []byte(settings), 0o600))
	return &Service{
		Ways:   access.Ways{Config: config.File{Path: file}, Temp: dir, Agent: "nacre/test"},
		Limits: access.DefaultLimits,
	}
}

// beside makes a folder or file beside the configuration file and returns its path.
func beside(t *testing.T, s *Service, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{filepath.Dir(s.Ways.Config.Path)}, parts...)...)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	return path
}

func startRegistry(t *testing.T, opts registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.StartWith(t.TempDir(), opts)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// serve is a stand-in for registries that are out of order; it returns host:port.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return strings.TrimPrefix(s.URL, "http://")
}

// proxyTo is a proxy that brings every host to the registry at addr, so that
// one on loopback can go by any name. It returns the setting that uses it.
func proxyTo(t *testing.T, addr string) string {
	t.Helper()
	reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			reverse.ServeHTTP(w, r)
			return
		}
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer server.Close()
		io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			io.Copy(server, client)
			server.Close()
		}()
		io.Copy(client, server)
	})
	return `"proxies": {"http-proxy": "http://` + proxy + `", "https-proxy": "http://` + proxy + `"}`
}

func wantError(t *testing.T, what string, err error, class func(error) bool, parts ...string) {
	t.Helper()
	if err == nil || !class(err) {
		t.Errorf("%s: error %v is of another class", what, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q does not say %q", what, err, part)
		}
	}
}
