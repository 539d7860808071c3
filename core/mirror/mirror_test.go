package mirror

import (
	"context"
	"fmt"
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
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/tests/registry"
)

const repo = "library/app"

// content is an image of a small system and one layer of 2 MiB.
func content(t *testing.T) registry.Image {
	t.Helper()
	layer, err := registry.Random(1, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	img, err := registry.Busybox("amd64")
	if err != nil {
		t.Fatal(err)
	}
	img.Add(layer, "ADD data")
	return img
}

func startWith(t *testing.T, img *registry.Image) *registry.Registry {
	t.Helper()
	r, err := registry.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if img != nil {
		if _, err := registry.Push(t.Context(), r.Addr, repo, "latest", *img); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func module(t *testing.T) *Mirrors {
	dir := t.TempDir()
	return &Mirrors{File: File{filepath.Join(dir, "mirrors.toml")}, TempDir: dir, Limits: patient}
}

// A real registry may take its time, on a busy machine; for tests of silence
// there is less, and still enough for the registry that answers instead.
var (
	patient   = Limits{Connect: time.Minute, Answer: time.Minute, Stall: time.Minute}
	impatient = Limits{Connect: 3 * time.Second, Answer: 3 * time.Second, Stall: 3 * time.Second}
)

// pull fetches manifest and layers through a session as the image library does, and returns who served.
func pull(t *testing.T, m *Mirrors, origin string) (string, error) {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(origin + "/" + repo + ":latest")
	if err != nil {
		t.Fatal(err)
	}
	sys := &types.SystemContext{}
	session, err := m.Prepare(t.Context(), named, nil, sys)
	if err != nil {
		t.Fatal(err)
	}
	if session == nil {
		t.Fatal("no session for a registry with mirrors")
	}
	defer session.Close()
	err = session.Explain(fetch(t.Context(), sys, named))
	return session.Served(), err
}

func fetch(ctx context.Context, sys *types.SystemContext, named reference.Named) error {
	ref, err := docker.NewReference(named)
	if err != nil {
		return err
	}
	src, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return err
	}
	defer src.Close()
	raw, mime, err := src.GetManifest(ctx, nil)
	if err != nil {
		return err
	}
	m, err := manifest.FromBlob(raw, mime)
	if err != nil {
		return err
	}
	for _, layer := range m.LayerInfos() {
		body, _, err := src.GetBlob(ctx, layer.BlobInfo, none.NoCache)
		if err != nil {
			return err
		}
		got, err := digest.FromReader(body)
		body.Close()
		if err != nil {
			return err
		}
		if got != layer.Digest {
			return fmt.Errorf("layer %s arrived as %s", layer.Digest, got)
		}
	}
	return nil
}

// front puts a fault between the gateway and a real registry.
func front(t *testing.T, r *registry.Registry, fault func(w http.ResponseWriter, req *http.Request, pass http.Handler)) string {
	t.Helper()
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Addr})
	pass.ErrorLog = nil
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fault(w, req, pass) }))
	t.Cleanup(s.Close)
	return s.URL
}

// cutWriter lets some bytes of a body through; then comes the fault.
type cutWriter struct {
	http.ResponseWriter
	left  int
	fault func()
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		c.fault()
		return 0, io.ErrClosedPipe
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestPullFallsOver(t *testing.T) {
	img := content(t)
	full, origin := startWith(t, &img), startWith(t, &img)
	empty := startWith(t, nil)
	closed := closedPort(t)

	silent := startWith(t, &img)
	must(t, silent.Stall())
	t.Cleanup(func() { silent.Continue() })

	mirrors := map[string]struct {
		url    string
		served string // who must have given most of the bytes
	}{
		"healthy mirror":        {"http://" + full.Addr, "m"},
		"nothing listens":       {"http://" + closed, origin.Addr},
		"accepts and is silent": {"http://" + silent.Addr, origin.Addr},
		"stalls in the middle of a blob": {front(t, full, func(w http.ResponseWriter, req *http.Request, pass http.Handler) {
			if strings.Contains(req.URL.Path, "blobs/") {
				w = &cutWriter{w, 1 << 19, func() { <-req.Context().Done() }}
			}
			pass.ServeHTTP(w, req)
		}), origin.Addr},
		"lacks the image":  {"http://" + empty.Addr, origin.Addr},
		"login page":       {front(t, full, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { html(w) }), origin.Addr},
		"page as manifest": {front(t, full, only("manifests/", html)), "m"},
		"other JSON as manifest": {front(t, full, only("manifests/", func(w http.ResponseWriter) {
			io.WriteString(w, `{"hello":"world"}`)
		})), "m"},
		"server error on blobs": {front(t, full, only("blobs/", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusInternalServerError)
		})), origin.Addr},
		"breaks off in the middle of a blob": {front(t, full, func(w http.ResponseWriter, req *http.Request, pass http.Handler) {
			if strings.Contains(req.URL.Path, "blobs/") {
				w = &cutWriter{w, 1 << 19, func() { panic(http.ErrAbortHandler) }}
			}
			pass.ServeHTTP(w, req)
		}), origin.Addr},
	}
	for name, mirror := range mirrors {
		t.Run(name, func(t *testing.T) {
			m := module(t)
			if name == "accepts and is silent" || name == "stalls in the middle of a blob" {
				m.Limits = impatient
			}
			must(t, m.MirrorAdd(t.Context(), backend.Mirror{Registry: origin.Addr, URL: mirror.url, Name: "m"}))
			served, err := pull(t, m, origin.Addr)
			if err != nil {
				t.Fatal(err)
			}
			if served != mirror.served {
				t.Errorf("served by %q, want %q", served, mirror.served)
			}
		})
	}
}

func html(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, "<html>please log in</html>")
}

func only(part string, fault func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, req *http.Request, pass http.Handler) {
		if strings.Contains(req.URL.Path, part) {
			fault(w)
			return
		}
		pass.ServeHTTP(w, req)
	}
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOriginsRefusalIsPassedOn(t *testing.T) {
	img := content(t)
	full, origin := startWith(t, &img), startWith(t, nil)
	m := module(t)
	must(t, m.MirrorAdd(t.Context(), backend.Mirror{Registry: origin.Addr, URL: "http://" + full.Addr + "/wrong"}))
	if _, err := pull(t, m, origin.Addr); err == nil || !strings.Contains(err.Error(), "manifest unknown") {
		t.Errorf("error %v, want the registry's own words", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	m, origin, mirror := module(t), closedPort(t), closedPort(t)
	must(t, m.MirrorAdd(t.Context(), backend.Mirror{Registry: origin, URL: "http://" + mirror, Name: "m"}))
	_, err := pull(t, m, origin)
	if err == nil || !strings.Contains(err.Error(), "no source answered: m: dial tcp "+mirror) || !strings.Contains(err.Error(), "; "+origin+": ") {
		t.Errorf("error %v, want what each source said", err)
	}
}

func TestStrangersAreTurnedAway(t *testing.T) {
	img := content(t)
	r := startWith(t, &img)
	s, err := newSource("r", &url.URL{Scheme: "http", Host: r.Addr}, repo, nil, DefaultLimits, access.Way{})
	must(t, err)
	s.origin = true
	g, err := openGateway(repo, []*source{s})
	must(t, err)
	defer g.Close()
	for path, want := range map[string]int{
		"/v2/" + repo + "/manifests/latest":                    http.StatusNotFound,
		"/v2/guess/" + repo + "/manifests/latest":              http.StatusNotFound,
		"/v2/" + g.secret + "/library/other/manifests/latest":  http.StatusNotFound,
		"/v2/" + g.secret + "/" + repo + "/manifests/latest":   http.StatusOK,
		"/v2/" + g.secret + "/" + repo + "/manifests/no-such":  http.StatusNotFound,
		"/v2/" + g.secret + "/" + repo + "/../other/tags/list": http.StatusNotFound,
	} {
		resp, err := http.Get("http://" + g.host() + path)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestRegistryWithoutMirrorsIsLeftAlone(t *testing.T) {
	named, err := reference.ParseNormalizedNamed("ghcr.io/x/y")
	must(t, err)
	sys := &types.SystemContext{}
	session, err := module(t).Prepare(t.Context(), named, nil, sys)
	must(t, err)
	if session != nil || sys.SystemRegistriesConfPath != "" || sys.DockerProxy != nil {
		t.Errorf("session %v, context %+v: want none and an untouched one", session, sys)
	}
}

func TestUseDecidesTheOrder(t *testing.T) {
	c := Config{}
	must(t, c.Add("docker.io", Source{Name: "a", URL: "https://a.example"}))
	must(t, c.Add("docker.io", Source{Name: "b", URL: "https://b.example"}))
	order := func() string {
		sources, originFirst := c.find("docker.io").order()
		text := fmt.Sprint(originFirst)
		for _, s := range sources {
			text += " " + s.Name
		}
		return text
	}
	for _, step := range []struct{ use, want string }{
		{"", "false a b"}, {"b", "false b a"}, {"https://a.example/", "false a b"}, {Origin, "true a b"},
	} {
		if step.use != "" {
			must(t, c.Use("docker.io", step.use))
		}
		if got := order(); got != step.want {
			t.Errorf("use %q: order %q, want %q", step.use, got, step.want)
		}
	}
	must(t, c.Use("docker.io", "b"))
	must(t, c.Remove("docker.io", "b"))
	if got := order(); got != "false a" {
		t.Errorf("after the removal of the one in use: order %q", got)
	}
	if err := c.Use("docker.io", "b"); !errdefs.IsNotFound(err) {
		t.Errorf("use of a removed mirror: %v, want not found", err)
	}
}

func TestBadFileIsNamedAndKept(t *testing.T) {
	for name, text := range map[string]string{
		"no TOML":     "[[registry",
		"unknown key": "[[registry]]\nname = \"docker.io\"\nspeed = 3\n",
		"bad URL":     "[[registry]]\nname = \"docker.io\"\n[[registry.mirror]]\nurl = \"mirror.example\"\n",
		"password":    "[[registry]]\nname = \"docker.io\"\n[[registry.mirror]]\nurl = \"https://me:secret@mirror.example\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			m := module(t)
			must(t, os.WriteFile(m.File.Path, []byte(text), 0o644))
			err := m.MirrorAdd(t.Context(), backend.Mirror{Registry: "docker.io", URL: "https://x.example"})
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), m.File.Path) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want an invalid argument that names %s and no password", err, m.File.Path)
			}
			if after, _ := os.ReadFile(m.File.Path); string(after) != text {
				t.Errorf("the file was changed to %q", after)
			}
		})
	}
}

func TestMirrorTestNamesTheFailedStep(t *testing.T) {
	img := content(t)
	good := startWith(t, &img)
	m := module(t)
	add := func(name, url string) {
		must(t, m.MirrorAdd(t.Context(), backend.Mirror{Registry: good.Addr, URL: url, Name: name}))
	}
	add("good", "http://"+good.Addr)
	add("closed", "http://"+closedPort(t))
	add("plain", "https://"+good.Addr)
	add("page", front(t, good, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { html(w) }))
	add("nameless", "http://no-such-host.invalid")

	tests, err := m.MirrorTest(t.Context(), good.Addr)
	must(t, err)
	failed := map[string]string{}
	for _, test := range tests {
		for _, step := range test.Steps {
			if step.Err != "" {
				failed[test.Mirror.Name] = step.Name
			}
		}
		if test.OK != (failed[test.Mirror.Name] == "") {
			t.Errorf("%s: OK is %v with steps %+v", test.Mirror.Name, test.OK, test.Steps)
		}
	}
	want := map[string]string{"closed": "connect", "plain": "tls", "page": "ping", "nameless": "resolve"}
	if fmt.Sprint(failed) != fmt.Sprint(want) {
		t.Errorf("failed steps %v, want %v", failed, want)
	}
	if len(tests) != 6 || tests[5].Mirror.Name != Origin {
		t.Errorf("tests %+v, want the five mirrors and the registry itself", tests)
	}
}

// A source that knows no ranges sends the whole; what the client has is skipped.
func TestResumeWithoutRanges(t *testing.T) {
	const text = "0123456789"
	whole := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }))
	t.Cleanup(whole.Close)
	base, err := url.Parse(whole.URL)
	must(t, err)
	g := &gateway{repo: repo}
	var rest strings.Builder
	s, err := newSource("whole", base, repo, nil, DefaultLimits, access.Way{})
	must(t, err)
	n, err := g.resume(t.Context(), &rest, s, "blobs/x", 4)
	if err != nil || n != 6 || rest.String() != text[4:] {
		t.Errorf("resumed with %q, %d, %v: want %q", rest.String(), n, err, text[4:])
	}
}

// Who asks for the end of a blob gets it from the next source, too, when one breaks off.
func TestEndOfABlobFallsOver(t *testing.T) {
	const text = "0123456789"
	serve := func(breaks bool) *source {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if breaks && r.URL.Path != "/v2/" {
				w = &cutWriter{w, 2, func() { panic(http.ErrAbortHandler) }}
			}
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
		}))
		t.Cleanup(server.Close)
		base, err := url.Parse(server.URL)
		must(t, err)
		s, err := newSource(server.URL, base, repo, nil, DefaultLimits, access.Way{})
		must(t, err)
		return s
	}
	g, err := openGateway(repo, []*source{serve(true), serve(false)})
	must(t, err)
	t.Cleanup(func() { g.Close() })
	req, err := http.NewRequest(http.MethodGet, "http://"+g.host()+"/v2/"+g.secret+"/"+repo+"/blobs/x", nil)
	must(t, err)
	req.Header.Set("Range", "bytes=4-")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != text[4:] {
		t.Errorf("%q, %v", body, err)
	}
}

func TestSkipWriterSkipsAcrossWrites(t *testing.T) {
	var rest strings.Builder
	w := &skipWriter{&rest, 4}
	for _, part := range []string{"012", "345", "6789"} {
		if n, err := io.WriteString(w, part); n != len(part) || err != nil {
			t.Errorf("write %q: %d, %v", part, n, err)
		}
	}
	if rest.String() != "456789" {
		t.Errorf("passed on %q, want %q", rest.String(), "456789")
	}
}

// docker's registry-mirrors are Docker Hub's mirrors here, after those of the mirror file.
func TestConfiguredMirrors(t *testing.T) {
	m := module(t)
	m.Ways.Config.Path = filepath.Join(m.TempDir, "daemon.json")
	must(t, os.WriteFile(m.Ways.Config.Path, []byte(`{"registry-mirrors": ["https://a.example/", "https://b.example"]}`), 0o644))
	inUse := func() string {
		list, err := m.Mirrors(t.Context())
		must(t, err)
		text := fmt.Sprint(len(list))
		for _, mirror := range list {
			if mirror.InUse {
				text += " " + mirror.URL
			}
		}
		return text
	}
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return nil }, "2 https://a.example"},
		{func() error { return m.MirrorUse(t.Context(), "", "https://b.example/") }, "2 https://b.example"},
		{func() error { return m.MirrorUse(t.Context(), "", Origin) }, "2"},
		{func() error { return m.MirrorAdd(t.Context(), backend.Mirror{URL: "https://c.example", Name: "c"}) }, "3"},
		{func() error { return m.MirrorUse(t.Context(), "", "c") }, "3 https://c.example"},
		{func() error { return m.MirrorRemove(t.Context(), "", "c") }, "2 https://a.example"},
	} {
		must(t, step.do())
		if got := inUse(); got != step.want {
			t.Errorf("in use %q, want %q", got, step.want)
		}
	}
	if err := m.MirrorRemove(t.Context(), "", "https://a.example"); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "config unset registry-mirrors https://a.example") {
		t.Errorf("removal of a configured mirror: %v", err)
	}
	if err := m.MirrorUse(t.Context(), "", "https://d.example"); !errdefs.IsNotFound(err) {
		t.Errorf("use of an unknown mirror: %v", err)
	}
}
