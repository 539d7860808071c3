package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/tests/registry"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start serves until stop is called, or the test ends. It returns the URL.
func start(t *testing.T, o Options) (base string, stop func()) {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- Serve(ctx, o, func(url string, _ []string) { ready <- url }) }()
	stopped := false
	stop = func() {
		t.Helper()
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Error("the server ended with", err)
		}
	}
	select {
	case base = <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return base, stop
}

func client(base string) registry.Client {
	return registry.Client{Addr: strings.TrimPrefix(base, "http://")}
}

func image(t *testing.T, seed uint64) registry.Image {
	t.Helper()
	l, err := registry.Random(seed, 1000)
	must(t, err)
	img := registry.New("amd64", l)
	img.OCI = true
	return img
}

// refer pushes a manifest that refers to a subject and returns its digest and the answer's OCI-Subject.
func refer(t *testing.T, base, repo, kind string, subject ocispec.Descriptor) (digest.Digest, string) {
	t.Helper()
	empty := ocispec.DescriptorEmptyJSON
	_, err := client(base).PushBlob(t.Context(), repo, empty.MediaType, empty.Data)
	must(t, err)
	body, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: kind,
		Config: ocispec.Descriptor{MediaType: empty.MediaType, Digest: empty.Digest, Size: empty.Size}, Layers: []ocispec.Descriptor{{MediaType: empty.MediaType, Digest: empty.Digest, Size: empty.Size}},
		Subject: &subject, Annotations: map[string]string{"made": "for a test"},
	})
	must(t, err)
	d := digest.FromBytes(body)
	req, err := http.NewRequest(http.MethodPut, base+"/v2/"+repo+"/manifests/"+d.String(), bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("push of a referrer: %s", resp.Status)
	}
	return d, resp.Header.Get("OCI-Subject")
}

func list(t *testing.T, base, repo string, subject digest.Digest, kind string) (ocispec.Index, http.Header) {
	t.Helper()
	resp, err := http.Get(base + "/v2/" + repo + "/referrers/" + subject.String() + "?" + url.Values{"artifactType": {kind}}.Encode())
	must(t, err)
	defer resp.Body.Close()
	var index ocispec.Index
	must(t, json.NewDecoder(resp.Body).Decode(&index))
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != ocispec.MediaTypeImageIndex || index.SchemaVersion != 2 || index.Manifests == nil {
		t.Errorf("list: %s %v %+v", resp.Status, resp.Header, index)
	}
	return index, resp.Header
}

func TestReferrers(t *testing.T) {
	base, _ := start(t, Options{Data: t.TempDir()})
	subject, err := client(base).Push(t.Context(), "team/app", "1", image(t, 1))
	must(t, err)
	if index, _ := list(t, base, "team/app", subject.Digest, ""); len(index.Manifests) != 0 {
		t.Errorf("a fresh image has referrers: %+v", index)
	}
	sig, told := refer(t, base, "team/app", "application/signature", subject)
	if told != subject.Digest.String() {
		t.Errorf("OCI-Subject is %q", told)
	}
	refer(t, base, "team/app", "application/sbom", subject)
	index, _ := list(t, base, "team/app", subject.Digest, "")
	if len(index.Manifests) != 2 {
		t.Errorf("referrers %+v, want two", index.Manifests)
	}
	index, header := list(t, base, "team/app", subject.Digest, "application/signature")
	if len(index.Manifests) != 1 || index.Manifests[0].Digest != sig || index.Manifests[0].Annotations["made"] != "for a test" || header.Get("OCI-Filters-Applied") != "artifactType" {
		t.Errorf("filtered %+v %v", index.Manifests, header)
	}
	req, err := http.NewRequest(http.MethodDelete, base+"/v2/team/app/manifests/"+sig.String(), nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if index, _ := list(t, base, "team/app", subject.Digest, "application/signature"); resp.StatusCode != http.StatusAccepted || len(index.Manifests) != 0 {
		t.Errorf("after the deletion (%s): %+v", resp.Status, index.Manifests)
	}
	// A subject that is not there yet may have referrers, another repository's do not count.
	late := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("later"), Size: 5}
	refer(t, base, "team/app", "x/y", late)
	if index, _ := list(t, base, "team/app", late.Digest, ""); len(index.Manifests) != 1 {
		t.Errorf("of a missing subject: %+v", index.Manifests)
	}
	if index, _ := list(t, base, "team/other", late.Digest, ""); len(index.Manifests) != 0 {
		t.Errorf("of another repository: %+v", index.Manifests)
	}
}

// Content is found by its sha512, too, and answered under the name that was asked for.
func TestOtherAlgorithm(t *testing.T) {
	base, _ := start(t, Options{Data: t.TempDir()})
	content := []byte("some content")
	other, own := digest.SHA512.FromBytes(content), digest.FromBytes(content)
	ask := func(method, url string, body []byte) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, url, bytes.NewReader(body))
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	named := func(resp *http.Response, status int, d digest.Digest) {
		t.Helper()
		if got := resp.Header.Get("Docker-Content-Digest"); resp.StatusCode != status || got != d.String() {
			t.Errorf("%s %s: %s, named %s", resp.Request.Method, resp.Request.URL, resp.Status, got)
		}
	}
	upload := func(repo string) string {
		place, err := url.Parse(ask(http.MethodPost, base+"/v2/"+repo+"/blobs/uploads/?mount="+other.String()+"&from=a/b", nil).Header.Get("Location"))
		must(t, err)
		query := place.Query()
		query.Set("digest", other.String())
		place.RawQuery = query.Encode()
		return place.String()
	}
	for _, repo := range []string{"a/b", "c"} { // the second could be mounted, and is asked for again
		put := ask(http.MethodPut, upload(repo), content)
		named(put, http.StatusCreated, other)
		if place := put.Header.Get("Location"); !strings.HasSuffix(place, "/v2/"+repo+"/blobs/"+other.String()) {
			t.Errorf("it lies at %s", place)
		}
		named(ask(http.MethodHead, base+"/v2/"+repo+"/blobs/"+other.String(), nil), http.StatusOK, other)
		got := ask(http.MethodGet, base+"/v2/"+repo+"/blobs/"+other.String(), nil)
		named(got, http.StatusOK, other)
		if body, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(body, content) {
			t.Errorf("content %q, %v", body, err)
		}
		named(ask(http.MethodGet, base+"/v2/"+repo+"/blobs/"+own.String(), nil), http.StatusOK, own)
	}
	if bad := ask(http.MethodPut, upload("d"), []byte("other content")); bad.StatusCode != http.StatusBadRequest {
		t.Errorf("content of another digest: %s", bad.Status)
	}
}

func TestBadQuestions(t *testing.T) {
	base, _ := start(t, Options{Data: t.TempDir()})
	for path, want := range map[string]int{
		"/v2/": http.StatusOK, "/v2/team/app/referrers/latest": http.StatusBadRequest, "/v2/team/app/referrers/sha256:short": http.StatusBadRequest,
		"/v2/../x/referrers/" + digest.FromString("x").String():  http.StatusNotFound,
		"/v2/UPPER/referrers/" + digest.FromString("x").String(): http.StatusNotFound,
		"/v2/team/app/manifests/none":                            http.StatusNotFound, "/elsewhere": http.StatusNotFound,
	} {
		resp, err := http.Get(base + path)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
	req, err := http.NewRequest(http.MethodPut, base+"/v2/team/app/manifests/1", strings.NewReader(`{"schemaVersion":2,"subject":{"digest":"../../x"}}`))
	must(t, err)
	req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a manifest that is none: %s", resp.Status)
	}
}

// A folder that Debian's registry has filled is taken over, with the referrers in it.
func TestFolderOfAnotherServer(t *testing.T) {
	dir := t.TempDir()
	other, err := registry.Start(dir)
	must(t, err)
	subject, err := registry.Client{Addr: other.Addr}.Push(t.Context(), "app", "1", image(t, 2))
	must(t, err)
	sig, told := refer(t, "http://"+other.Addr, "app", "application/signature", subject)
	if told != "" {
		t.Error("Debian's registry knows referrers by now: this test shows nothing")
	}
	must(t, other.Close())
	base, _ := start(t, Options{Data: filepath.Join(dir, "data")})
	if index, _ := list(t, base, "app", subject.Digest, ""); len(index.Manifests) != 1 || index.Manifests[0].Digest != sig {
		t.Errorf("referrers %+v, want %s", index.Manifests, sig)
	}
	refer(t, base, "app", "application/sbom", subject)
	if index, _ := list(t, base, "app", subject.Digest, ""); len(index.Manifests) != 2 {
		t.Errorf("referrers %+v, want two", index.Manifests)
	}
}

func TestUsers(t *testing.T) {
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	// anna with the password geheim, as htpasswd -B writes it.
	must(t, os.WriteFile(users, []byte("anna:$2y$05$u/760x6VZbPArxoenFgxp.3oHD5hhdp5xWqnyw7Z8rJ33nOAjAKN6\n"), 0o600))
	base, _ := start(t, Options{Data: dir, Htpasswd: users})
	for _, path := range []string{"/v2/", "/v2/app/referrers/" + digest.FromString("x").String()} {
		resp, err := http.Get(base + path)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s without a user: %s %v", path, resp.Status, resp.Header)
		}
	}
	wantClass(t, "no such file", Serve(t.Context(), Options{Addr: "127.0.0.1:0", Data: dir, Htpasswd: users + "x"}, nil), errdefs.IsInvalidArgument, "htpasswd -cB FILE USER")
	if _, err := os.Stat(users + "x"); err == nil {
		t.Error("a file of users was made")
	}
}

func wantClass(t *testing.T, what string, err error, class func(error) bool, says string) {
	t.Helper()
	if err == nil || !class(err) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want it to say %q", what, err, says)
	}
}

// A user without a file: the password is told once and stays.
func TestOwnUser(t *testing.T) {
	data := t.TempDir()
	login := func(base, password string) int {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, base+"/v2/", nil)
		must(t, err)
		if password != "" {
			req.SetBasicAuth("anna", password)
		}
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	o := Options{Data: data, User: "anna"}
	must(t, o.check())
	note, err := o.ownUser()
	must(t, err)
	_, rest, _ := strings.Cut(note, "user anna, password ")
	password, _, _ := strings.Cut(rest, " ")
	base, _ := start(t, Options{Data: data, User: "anna"})
	for given, want := range map[string]int{"": 401, "wrong": 401, password: 200} {
		if got := login(base, given); got != want || password == "" {
			t.Errorf("with %q: %d, want %d (%s)", given, got, want, note)
		}
	}
	again := Options{Data: data, User: "anna"}
	if note, err := again.ownUser(); err != nil || strings.Contains(note, password) || !strings.Contains(note, "password of before") {
		t.Errorf("the second time: %q, %v", note, err)
	}
	if text, err := os.ReadFile(filepath.Join(data, "htpasswd")); err != nil || strings.Contains(string(text), password) {
		t.Errorf("the file holds %q, %v", text, err)
	}
	for _, bad := range []Options{{Data: data, User: "a:b"}, {Data: data, User: "a b"}, {Data: data, User: "a", Htpasswd: "x"}} {
		if _, err := bad.ownUser(); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	base, stop := start(t, Options{Data: dir})
	addr := strings.TrimPrefix(base, "http://")
	wantClass(t, "a port in use", Serve(t.Context(), Options{Addr: addr, Data: t.TempDir()}, nil), errdefs.IsUnavailable, "listen on "+addr+": another program listens there\nhint: choose another port: --addr 127.0.0.1:0")
	for addr, says := range map[string]string{"nonsense": "--addr takes HOST:PORT", "127.0.0.1:99999": "--addr takes HOST:PORT", "192.0.2.1:0": "does not have that address"} {
		wantClass(t, addr, Serve(t.Context(), Options{Addr: addr, Data: t.TempDir()}, nil), errdefs.IsInvalidArgument, says)
	}
	wantClass(t, "half a certificate", Serve(t.Context(), Options{Data: dir, TLSCert: "x"}, nil), errdefs.IsInvalidArgument, "belong together")
	wantClass(t, "no folder", Serve(t.Context(), Options{}, nil), errdefs.IsInvalidArgument, "--data")
	_, err := Collect(t.Context(), dir, false, false)
	wantClass(t, "collecting where nothing was pushed", err, errdefs.IsInvalidArgument, "holds no registry's data")
	_, err = client(base).Push(t.Context(), "app", "1", image(t, 3))
	must(t, err)
	_, err = Collect(t.Context(), dir, false, false)
	wantClass(t, "collecting while it is served", err, errdefs.IsFailedPrecondition, "end `registry serve` first")
	stop()

	readOnly, _ := start(t, Options{Data: dir, ReadOnly: true})
	if _, err := client(readOnly).Push(t.Context(), "app", "2", image(t, 4)); err == nil {
		t.Error("a read-only registry took a push")
	}
}

func TestOwnCertificate(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time it is the same
		base, stop := start(t, Options{Data: dir, TLS: true})
		own := &registry.TLS{CA: filepath.Join(dir, "tls/ca.crt"), ClientCert: filepath.Join(dir, "tls/ca.crt"), ClientKey: filepath.Join(dir, "tls/server.key")}
		c, err := own.Client()
		must(t, err)
		resp, err := c.Get(base + "/v2/")
		must(t, err)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		c.CloseIdleConnections()
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(base, "https://127.0.0.1:") {
			t.Errorf("%s: %s", base, resp.Status)
		}
		stop()
	}
	if info, err := os.Stat(filepath.Join(dir, "tls/server.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v, %v", info, err)
	}
}

func TestCollect(t *testing.T) {
	dir := t.TempDir()
	base, stop := start(t, Options{Data: dir})
	c := client(base)
	kept, err := c.Push(t.Context(), "app", "1", image(t, 1))
	must(t, err)
	sig, _ := refer(t, base, "app", "application/signature", kept)
	over, _ := refer(t, base, "app", "application/signature", ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: sig, Size: 1})
	index, err := c.PushIndex(t.Context(), "app", "multi", image(t, 5), image(t, 6))
	must(t, err)
	old, err := c.Push(t.Context(), "app", "2", image(t, 2))
	must(t, err)
	oldSig, _ := refer(t, base, "app", "application/signature", old)
	_, err = c.Push(t.Context(), "app", "2", image(t, 3)) // the tag moves on
	must(t, err)
	stop()

	want := map[string]bool{"app@" + old.Digest.String(): true, "app@" + oldSig.String(): true}
	for _, dry := range []bool{true, false} {
		done, err := Collect(t.Context(), dir, true, dry)
		must(t, err)
		if len(done.Manifests) != 2 || !want[done.Manifests[0]] || !want[done.Manifests[1]] || dry != (done.Bytes == 0) {
			t.Errorf("dry %v: collected %+v, want %v", dry, done, want)
		}
	}
	base, _ = start(t, Options{Data: dir})
	for ref, want := range map[string]int{
		"1": 200, "2": 200, "multi": 200, index.String(): 200, kept.Digest.String(): 200, sig.String(): 200, over.String(): 200,
		old.Digest.String(): 404, oldSig.String(): 404,
	} {
		req, err := http.NewRequest(http.MethodGet, base+"/v2/app/manifests/"+ref, nil)
		must(t, err)
		req.Header.Set("Accept", ocispec.MediaTypeImageManifest+", "+ocispec.MediaTypeImageIndex)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", ref, resp.Status, want)
		}
	}
	if index, _ := list(t, base, "app", kept.Digest, ""); len(index.Manifests) != 1 {
		t.Errorf("referrers after the collection: %+v", index.Manifests)
	}
}
