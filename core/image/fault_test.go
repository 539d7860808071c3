package image_test

import (
	"context"
	"fmt"
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
	apiregistry "github.com/moby/moby/api/types/registry"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	images "github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/tests/registry"
)

// inFront puts a proxy before a registry; intercept answers a request itself
// by returning true.
func inFront(t *testing.T, r *registry.Registry, intercept http.HandlerFunc, takes func(*http.Request) bool) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Addr})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if takes(req) {
			intercept(w, req)
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

func isBlob(req *http.Request) bool { return strings.Contains(req.URL.Path, "/blobs/") }

// impatient makes tests of silence quick.
func impatient(o *images.Options) {
	quick(o)
	o.Limits.Idle, o.Limits.Answer = time.Second, 2*time.Second
}

// quick makes tests of retries quick. The registry may take its time, as on a busy machine.
func quick(o *images.Options) {
	o.Limits = images.Limits{Attempts: 2, Delay: 10 * time.Millisecond}
}

func TestRegistriesThatFail(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 2, ""))
	all := func(*http.Request) bool { return true }
	layer := func(req *http.Request) bool { return isBlob(req) && req.Method == http.MethodGet }

	for _, c := range []struct {
		name      string
		takes     func(*http.Request) bool
		intercept http.HandlerFunc
		class     func(error) bool
		text      string
	}{
		{"answers HTML", all, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>please log in to the network</html>")
		}, errdefs.IsInvalidArgument, "no image manifest"},
		{"answers HTML with an error", all, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>bad gateway</html>")
		}, errdefs.IsUnavailable, "502"},
		{"accepts and says nothing", all, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }, errdefs.IsUnavailable, "stopped answering"},
		{"stops in the middle of a layer", layer, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte{0x1f, 0x8b})
			w.(http.Flusher).Flush()
			<-req.Context().Done()
		}, errdefs.IsUnavailable, "stopped answering"},
		{"sends something else", layer, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "not what was asked for")
		}, errdefs.IsDataLoss, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits, dir := quick, t.TempDir()
			if c.text == "stopped answering" {
				limits = impatient
			}
			e := openEngine(t, dir, limits)
			lines, err := e.pull(inFront(t, r, c.intercept, c.takes) + "/library/demo")
			if err == nil || !c.class(err) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %q of the right class\n%s", err, c.text, strings.Join(lines, "\n"))
			}
			list, err := e.List(context.Background(), backend.ImageList{All: true})
			if err != nil || len(list) != 0 {
				t.Errorf("images afterwards: %v (%v)", list, err)
			}
			noStaging(t, e)
			if _, err := openEngine(t, dir, quick).pull(r.Addr + "/library/demo"); err != nil {
				t.Errorf("the next pull: %v", err)
			}
		})
	}
}

// A connection that breaks once is no failure.
func TestBrokenDownloadIsTriedAgain(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 1, ""))
	var broken atomic.Int32
	addr := inFront(t, r, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte{0x1f, 0x8b})
		panic(http.ErrAbortHandler)
	}, func(req *http.Request) bool {
		return isBlob(req) && broken.Add(1) == 2 // 1 is the config, 2 the layer
	})
	lines, err := newEngine(t, quick).pull(addr + "/library/demo")
	if err != nil || count(lines, ": Pull complete") != 1 {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}

func TestDamagedContent(t *testing.T) {
	good := small(t, 2, "")
	for name, c := range map[string]struct {
		damage func(*registry.Image)
		text   string
	}{
		"truncated archive":    {func(i *registry.Image) { i.Layers[1].Blob = i.Layers[1].Blob[:40] }, "failed to register layer"},
		"no archive":           {func(i *registry.Image) { i.Layers[1].Blob = []byte("nonsense") }, "failed to register layer"},
		"other content":        {func(i *registry.Image) { i.Layers[1].Blob = i.Layers[0].Blob }, "layers from manifest don't match image configuration"},
		"a layer too few":      {func(i *registry.Image) { i.Layers = i.Layers[:1] }, "layers from manifest don't match image configuration"},
		"diff id is no digest": {func(i *registry.Image) { i.Config.RootFS.DiffIDs = append(i.Config.RootFS.DiffIDs[:1:1], "../../etc") }, "diff id"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRegistry(t, registry.Options{})
			img := good
			img.Layers = append([]registry.Layer(nil), good.Layers...)
			c.damage(&img)
			push(t, r, "library/demo", "latest", img)
			e := newEngine(t)
			_, err := e.pull(r.Addr + "/library/demo")
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %q", err, c.text)
			}
			noStaging(t, e)
		})
	}
}

// Paths and links that lead out of a layer lead nowhere: it is unpacked in a chroot.
func TestLayerCannotWriteOutside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "escaped")
	l, err := registry.Pack(
		registry.Text("../../../../../../../../../.."+outside, "x"),
		registry.File{Name: "out", Link: filepath.Dir(outside), Mode: 0o777},
		registry.Text("out/escaped", "x"),
	)
	must(t, err)
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", registry.New("amd64", l))
	_, err = newEngine(t).pull(r.Addr + "/library/demo")
	t.Log(err) // refused or not, nothing may be there
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a layer wrote outside of its folder")
	}
}

func TestNoSpaceLeft(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	big, err := registry.Random(1, 12<<20)
	must(t, err)
	push(t, r, "library/big", "latest", registry.New("amd64", big))
	push(t, r, "library/demo", "latest", small(t, 2, ""))
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/data", 0o700))
	must(t, unix.Mount("tmpfs", dir+"/data", "tmpfs", 0, "size=8m"))
	t.Cleanup(func() { unix.Unmount(dir+"/data", unix.MNT_DETACH) })
	e := openEngine(t, dir)

	_, err = e.pull(r.Addr + "/library/big")
	if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("error %v, want no space left", err)
	}
	noStaging(t, e)
	if _, err := e.pull(r.Addr + "/library/demo"); err != nil {
		t.Errorf("a small image afterwards: %v", err)
	}
}

// noStaging checks that a failed pull left no half unpacked layer.
func noStaging(t *testing.T, e *engine) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(e.store.Paths.Layers(), "overlay/staging/*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCredentials(t *testing.T) {
	r := startRegistry(t, registry.Options{User: "jane", Password: "secret"})
	_, err := registry.Client{Addr: r.Addr, User: "jane", Password: "secret"}.Push(context.Background(), "a/b", "1", small(t, 1, ""))
	must(t, err)
	as := func(user, password string) func(*backend.Pull) {
		return func(p *backend.Pull) { p.Auth = &apiregistry.AuthConfig{Username: user, Password: password} }
	}
	e := newEngine(t)
	if _, err := e.pull(r.Addr + "/a/b:1"); !errdefs.IsUnauthorized(err) || !strings.Contains(err.Error(), "no basic auth credentials") {
		t.Errorf("without: %v", err)
	}
	if _, err := e.pull(r.Addr+"/a/b:1", as("jane", "wrong")); !errdefs.IsUnauthorized(err) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := e.pull(r.Addr+"/a/b:1", as("jane", "secret")); err != nil {
		t.Errorf("right password: %v", err)
	}
}

// A registry that wants tokens from another server, as Docker Hub does.
func TestTokens(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "a/b", "1", small(t, 1, ""))
	var addr string
	intercept := func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			if user, password, _ := req.BasicAuth(); user != "jane" || password != "secret" {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}`)
				return
			}
			fmt.Fprint(w, `{"token":"opensesame"}`)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+addr+`/token",service="test",scope="repository:a/b:pull"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	}
	addr = inFront(t, r, intercept, func(req *http.Request) bool { return req.Header.Get("Authorization") != "Bearer opensesame" })
	e := newEngine(t)
	_, err := e.pull(addr+"/a/b:1", func(p *backend.Pull) {
		p.Auth = &apiregistry.AuthConfig{Username: "jane", Password: "secret"}
	})
	must(t, err)
	if _, err := e.pull(addr+"/a/b:1", func(p *backend.Pull) {
		p.Auth = &apiregistry.AuthConfig{Username: "jane", Password: "wrong"}
	}); !errdefs.IsUnauthorized(err) {
		t.Errorf("wrong password: %v", err)
	}
}

func TestNotThere(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 1, ""))
	e := newEngine(t)
	_, err := e.pull(r.Addr + "/library/demo:nope")
	wantError(t, err, errdefs.IsNotFound, "manifest for "+r.Addr+"/library/demo:nope not found: manifest unknown: manifest unknown")
	addr := r.Addr
	must(t, r.Close())
	_, err = e.pull(addr + "/library/demo")
	wantError(t, err, errdefs.IsUnavailable, `Get "http://`+addr+`/v2/": dial tcp `+addr+`: connect: connection refused`)
}

func TestPolicyForbids(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 1, ""))
	policy := filepath.Join(t.TempDir(), "policy.json")
	must(t, os.WriteFile(policy, []byte(`{"default":[{"type":"reject"}]}`), 0o600))
	e := newEngine(t, func(o *images.Options) { o.Ways.Config.Path = filepath.Join(filepath.Dir(policy), "daemon.json") })
	if _, err := e.pull(r.Addr + "/library/demo"); !errdefs.IsPermissionDenied(err) {
		t.Errorf("error %v, want a refusal", err)
	}
}
