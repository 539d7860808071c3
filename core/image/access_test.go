package image_test

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
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	apiregistry "github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/backend"
	images "github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/tests/registry"
)

// configured is an engine with these settings, and the folder of its configuration file.
func configured(t *testing.T, settings string) (*engine, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "daemon.json")
	must(t, os.WriteFile(file, []byte(settings), 0o600))
	return newEngine(t, func(o *images.Options) { o.Ways.Config.Path = file; quickRetries(o) }), dir
}

// quickRetries leaves a busy machine all the time that it needs for an answer.
func quickRetries(o *images.Options) {
	o.Limits = images.Limits{Attempts: 2, Delay: 10 * time.Millisecond}
}

// anyName is the setting of a proxy that brings every host to the registry at addr.
func anyName(t *testing.T, addr string) string {
	t.Helper()
	reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	}))
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	return `"proxies": {"http-proxy": "` + proxy.URL + `", "https-proxy": "` + proxy.URL + `"}`
}

func (e *engine) push(t *testing.T, name string, auth *apiregistry.AuthConfig) error {
	t.Helper()
	ref, err := reference.ParseNormalizedNamed(name)
	must(t, err)
	return e.Push(t.Context(), backend.Push{Ref: ref, Auth: auth})
}

func says(t *testing.T, err error, class func(error) bool, text string) {
	t.Helper()
	if err == nil || !class(err) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want it to say %q", err, text)
	}
}

// A registry with its own authority, users, and a demand for a client
// certificate, as Debian's serves it.
func TestOwnAuthority(t *testing.T) {
	tls, err := registry.NewTLS(t.TempDir(), "registry.example")
	must(t, err)
	tls.AskClients = true
	r := startRegistry(t, registry.Options{User: "anna", Password: "geheim", TLS: tls})
	open := startRegistry(t, registry.Options{})
	push(t, open, "app", "1", small(t, 2, ""))

	e, dir := configured(t, "{"+anyName(t, r.Addr)+"}")
	_, err = e.pull(open.Addr + "/app:1")
	must(t, err)
	const name = "registry.example:5000/team/app:1"
	must(t, e.Tag(t.Context(), open.Addr+"/app:1", "registry.example:5000/team/app", "1"))
	auth := &apiregistry.AuthConfig{Username: "anna", Password: "geheim"}
	err = e.push(t, name, auth)
	says(t, err, errdefs.IsUnavailable, "x509: certificate signed by unknown authority")
	says(t, err, errdefs.IsUnavailable, "hint: put the certificate of its authority into /etc/docker/certs.d/registry.example:5000/ca.crt")
	for from, to := range map[string]string{tls.CA: "ca.crt", tls.ClientCert: "client.cert", tls.ClientKey: "client.key"} {
		text, err := os.ReadFile(from)
		must(t, err)
		place := filepath.Join(dir, "certs.d/registry.example:5000", to)
		must(t, os.MkdirAll(filepath.Dir(place), 0o755))
		must(t, os.WriteFile(place, text, 0o600))
	}
	must(t, e.push(t, name, auth))
	e = newEngine(t, func(o *images.Options) { o.Ways.Config.Path = filepath.Join(dir, "daemon.json") })
	lines, err := e.pull(name, func(p *backend.Pull) { p.Auth = auth })
	if err != nil || count(lines, "Pull complete") != 2 {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	_, err = e.pull(name, func(p *backend.Pull) { p.Auth = &apiregistry.AuthConfig{Username: "anna", Password: "falsch"} })
	says(t, err, errdefs.IsUnauthorized, "unauthorized")
	_, err = e.pull(name)
	says(t, err, errdefs.IsUnauthorized, "no basic auth credentials")
}

func TestInsecureRegistry(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "team/app", "1", small(t, 1, ""))
	proxy := anyName(t, r.Addr)
	const name = "registry.example:5000/team/app:1"
	e, dir := configured(t, "{"+proxy+"}")
	_, err := e.pull(name)
	says(t, err, errdefs.IsUnavailable, `Get "https://registry.example:5000/v2/": http: server gave HTTP response to HTTPS client`)
	says(t, err, errdefs.IsUnavailable, "hint: if it may be used without encryption, allow it: config add insecure-registries registry.example:5000")
	// Read afresh: the same engine knows at once.
	must(t, os.WriteFile(filepath.Join(dir, "daemon.json"), []byte(`{"insecure-registries": ["registry.example:5000"], `+proxy+"}"), 0o600))
	_, err = e.pull(name)
	must(t, err)
	must(t, e.push(t, name, nil))
	must(t, os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{"+proxy+"}"), 0o600))
	says(t, e.push(t, name, nil), errdefs.IsUnavailable, "config add insecure-registries registry.example:5000")
	must(t, os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{\n\"insecure-registries\": 1}"), 0o600))
	_, err = e.pull(name)
	says(t, err, errdefs.IsInvalidArgument, "line 2: insecure-registries")
}

// What a pull says of a registry's refusals, in the registry's form and in none.
func TestRefusals(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 1, ""))
	manifest := func(req *http.Request) bool { return strings.Contains(req.URL.Path, "/manifests/") }
	all := func(*http.Request) bool { return true }
	answer := func(status int, contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	inJSON := func(status int, code string) http.HandlerFunc {
		return answer(status, "application/json", `{"errors":[{"code":"`+code+`","message":"in its own words"}]}`)
	}
	now := func(refuse http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Retry-After", "0")
			refuse(w, req)
		}
	}
	for name, c := range map[string]struct {
		takes     func(*http.Request) bool
		intercept http.HandlerFunc
		class     func(error) bool
		text      string
	}{
		"401 in JSON":                 {manifest, inJSON(401, "UNAUTHORIZED"), errdefs.IsUnauthorized, "log in to the registry first"},
		"401 without JSON":            {manifest, answer(401, "text/plain", "no"), errdefs.IsUnauthorized, "log in to the registry first"},
		"401 of all without a scheme": {all, answer(401, "text/plain", "no"), errdefs.IsUnauthorized, ""},
		"403 in JSON":                 {manifest, inJSON(403, "DENIED"), errdefs.IsNotFound, "pull access denied for "},
		"403 without JSON":            {manifest, answer(403, "text/html", "<html>no"), errdefs.IsPermissionDenied, "answered 403 Forbidden"},
		"404 in JSON":                 {manifest, inJSON(404, "MANIFEST_UNKNOWN"), errdefs.IsNotFound, "not found: manifest unknown: in its own words"},
		"404 without JSON":            {manifest, answer(404, "text/html", "<html>nothing"), errdefs.IsNotFound, "answered 404 Not Found"},
		"500 in JSON":                 {manifest, inJSON(500, "UNKNOWN"), errdefs.IsUnavailable, "answered 500 Internal Server Error"},
		"503 without JSON":            {manifest, answer(503, "text/html", "<html>later"), errdefs.IsUnavailable, "answered 503 Service Unavailable"},
		"429 in JSON":                 {manifest, now(inJSON(429, "TOOMANYREQUESTS")), errdefs.IsUnavailable, "toomanyrequests: in its own words"},
		"429 of all in JSON":          {all, now(inJSON(429, "TOOMANYREQUESTS")), errdefs.IsUnavailable, "toomanyrequests: in its own words"},
		"429 without JSON":            {manifest, now(answer(429, "text/html", "<html>slower")), errdefs.IsUnavailable, "answered 429 Too Many Requests and asks to wait longer\nhint: "},
		"429 for blobs":               {isBlob, now(inJSON(429, "TOOMANYREQUESTS")), errdefs.IsUnavailable, "toomanyrequests: in its own words"},
		"a redirect loop": {manifest, func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, req.URL.Path, http.StatusFound)
		}, errdefs.IsUnavailable, "stopped after 10 redirects"},
		"a page with 200":      {manifest, answer(200, "text/html", "<html>hello"), errdefs.IsInvalidArgument, "no image manifest"},
		"another content type": {manifest, answer(200, "application/octet-stream", `{"hello": 1}`), errdefs.IsInvalidArgument, "no image manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(t, quickRetries)
			_, err := e.pull(inFront(t, r, c.intercept, c.takes) + "/library/demo")
			says(t, err, c.class, c.text)
			if err != nil && strings.Contains(err.Error(), "<html>") {
				t.Error("the error shows a web page:", err)
			}
			list, err := e.List(t.Context(), backend.ImageList{All: true})
			if err != nil || len(list) != 0 {
				t.Errorf("images afterwards: %v (%v)", list, err)
			}
		})
	}
}

// A registry that asks to wait is waited for, but not for ever; and that is told
// from one that is silent.
func TestTooManyRequests(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 1, ""))
	manifest := func(req *http.Request) bool { return strings.Contains(req.URL.Path, "/manifests/") }
	for name, c := range map[string]struct {
		takes func(*http.Request) bool
		after string
		body  string
		times int32 // how often it refuses
		text  string
	}{
		"once":                   {takes: manifest, after: "0", times: 1},
		"an hour":                {takes: manifest, after: "3600", body: "{}", times: 1 << 20, text: "asks to wait longer"},
		"an hour without a body": {takes: manifest, after: "3600", times: 1 << 20, text: "asks to wait longer"},
		"an hour for layers":     {takes: isBlob, after: "3600", body: "{}", times: 1 << 20, text: "asks to wait longer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			addr := inFront(t, r, func(w http.ResponseWriter, _ *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(http.StatusTooManyRequests)
				io.WriteString(w, c.body)
			}, func(req *http.Request) bool { return c.takes(req) && asked.Add(1) <= c.times })
			e := newEngine(t, func(o *images.Options) {
				o.Limits = images.Limits{Answer: 5 * time.Second, Idle: 5 * time.Second}
				if c.text == "" {
					quickRetries(o)
				}
			})
			_, err := e.pull(addr + "/library/demo")
			if c.text == "" {
				must(t, err)
				return
			}
			says(t, err, errdefs.IsUnavailable, c.text)
		})
	}
}

// A registry that has trouble for a moment is asked again.
func TestTroubleForAMoment(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 1, ""))
	var asked atomic.Int32
	addr := inFront(t, r, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		func(req *http.Request) bool { return strings.Contains(req.URL.Path, "/manifests/") && asked.Add(1) < 3 })
	lines, err := newEngine(t, quickRetries).pull(addr + "/library/demo")
	if err != nil || count(lines, "latest: Retrying in 1 second") != 2 {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}

// The traffic of one pull and push is bounded as the configuration says.
func TestConfiguredTraffic(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 6, ""))
	var now, most, broken atomic.Int32
	busy := func(w http.ResponseWriter, req *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Addr}).ServeHTTP(w, req)
	}
	moves := func(req *http.Request) bool { return isBlob(req) && req.Method != http.MethodHead }
	addr := inFront(t, r, busy, moves)
	one, _ := configured(t, `{"max-concurrent-downloads": 1, "max-concurrent-uploads": 1, "max-download-attempts": 1}`)
	_, err := one.pull(addr + "/library/demo")
	must(t, err)
	must(t, one.Tag(t.Context(), addr+"/library/demo", addr+"/other/demo", "1"))
	must(t, one.push(t, addr+"/other/demo:1", nil))
	if most.Load() != 1 {
		t.Errorf("%d layers were on their way at once", most.Load())
	}
	cut := inFront(t, r, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}, func(req *http.Request) bool { return isBlob(req) && broken.Add(1) == 2 }) // the first is the config
	fresh, _ := configured(t, `{"max-download-attempts": 1}`)
	if _, err := fresh.pull(cut + "/library/demo"); err == nil {
		t.Error("a broken download was tried again")
	}
	broken.Store(0)
	patient, _ := configured(t, `{"max-download-attempts": 3}`)
	if _, err := patient.pull(cut + "/library/demo"); err != nil {
		t.Error("a broken download was not tried again:", err)
	}
}
