package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	api "github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/registry/server"
	"github.com/nacre-sh/nacre/tests/registry"
)

// ours is a registry as `registry serve` runs it.
func ours(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, server.Options{Addr: "127.0.0.1:0", Data: t.TempDir()}, func(url string, _ []string) { ready <- url })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case url := <-ready:
		return strings.TrimPrefix(url, "http://")
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return ""
}

// signed pushes an index of two platforms, a referrer of the index, one of a
// platform, and a signature under the tag that cosign would choose.
func signed(t *testing.T, addr, repo string) string {
	t.Helper()
	c := registry.Client{Addr: addr}
	var images []registry.Image
	for i, arch := range []string{"amd64", "arm64"} {
		l, err := registry.Random(uint64(i), 2000)
		must(t, err)
		img := registry.New(arch, l)
		img.OCI = true
		images = append(images, img)
	}
	index, err := c.PushIndex(t.Context(), repo, "1", images...)
	must(t, err)
	arm, err := c.Push(t.Context(), repo, "arm", images[1])
	must(t, err)
	empty := ocispec.DescriptorEmptyJSON
	blob, err := c.PushBlob(t.Context(), repo, empty.MediaType, empty.Data)
	must(t, err)
	note := func(kind, tag string, subject *ocispec.Descriptor) {
		_, err := c.PushManifest(t.Context(), repo, tag, ocispec.MediaTypeImageManifest, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: kind, Config: blob, Layers: []ocispec.Descriptor{blob}, Subject: subject,
		})
		must(t, err)
	}
	note("application/sbom", "", &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: index, Size: 1})
	note("application/signature", "", &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: arm.Digest, Size: arm.Size})
	note("", strings.Replace(index.String(), ":", "-", 1)+".sig", nil)
	return index.String()
}

func kinds(image backend.RemoteImage) string {
	var all []string
	for _, r := range image.Referrers {
		all = append(all, r.ArtifactType)
	}
	return strings.Join(all, " ")
}

func TestCopyTakesEverything(t *testing.T) {
	from, to := ours(t), ours(t)
	debian := startRegistry(t, registry.Options{User: "anna", Password: "geheim"})
	digest := signed(t, from, "team/app")
	s := service(t, "{}")
	auth := &api.AuthConfig{Username: "anna", Password: "geheim"}
	for _, step := range []struct {
		source, target string
		from, to       *api.AuthConfig
	}{
		{from + "/team/app:1", to + "/other/app:2", nil, nil},
		{from + "/team/app:1", debian.Addr + "/a:3", nil, auth}, // knows no referrers: they go under a tag
		{debian.Addr + "/a:3", to + "/back/app", auth, nil},
		{to + "/back/app@" + digest, to + "/within/app:5", nil, nil},
	} {
		var said []string
		err := s.Copy(t.Context(), backend.RegistryCopy{Source: step.source, Target: step.target, SourceAuth: step.from, TargetAuth: step.to, Progress: func(m jsonstream.Message) {
			said = append(said, m.ID+" "+m.Status)
		}})
		if err != nil {
			t.Fatalf("%s to %s: %v", step.source, step.target, err)
		}
		target := step.target
		if strings.HasSuffix(target, "/back/app") {
			target += ":3" // the source's tag
		}
		image, err := s.Inspect(t.Context(), target, step.to)
		must(t, err)
		if image.Digest != digest || len(image.Platforms) != 2 || image.Platforms[1].Platform != "linux/arm64" || kinds(image) != "application/sbom cosign sig" {
			t.Errorf("%s: %s, %d platforms, referrers %q", target, image.Digest, len(image.Platforms), kinds(image))
		}
		platform := target[:strings.LastIndex(target, ":")] + "@" + image.Platforms[1].Digest
		if one, err := s.Inspect(t.Context(), platform, step.to); err != nil || kinds(one) != "application/signature" {
			t.Errorf("%s: referrers %q, %v", platform, kinds(one), err)
		}
		if all := strings.Join(said, "\n"); !strings.Contains(all, "Digest: "+digest) || !strings.Contains(all, "Status: Copied ") {
			t.Errorf("said %s", all)
		}
	}
	err := s.Copy(t.Context(), backend.RegistryCopy{Source: from + "/team/app:1", Target: debian.Addr + "/a:4"})
	wantError(t, "without login", err, errdefs.IsUnauthorized, "copy ", "hint: log in to the registry first: login "+debian.Addr)
	err = s.Copy(t.Context(), backend.RegistryCopy{Source: from + "/team/app:1", Target: to + "/x@" + digest})
	wantError(t, "to a digest", err, errdefs.IsInvalidArgument, "the target is named by its tag")
}

func TestTagsAndRemoval(t *testing.T) {
	addr := ours(t)
	debian := startRegistry(t, registry.Options{}) // deletes by digest only
	s := service(t, "{}")
	for _, host := range []string{addr, debian.Addr} {
		for _, tag := range []string{"b", "a", "other"} {
			l, err := registry.Random(uint64(len(tag)), 100)
			must(t, err)
			_, err = registry.Push(t.Context(), host, "x", tag, registry.New("amd64", l))
			must(t, err)
		}
		tags, err := s.Tags(t.Context(), host+"/x", nil)
		if err != nil || strings.Join(tags, " ") != "a b other" {
			t.Errorf("tags %q, %v", tags, err)
		}
	}
	removed, err := s.RemoveRemote(t.Context(), addr+"/x:a", nil)
	if tags, _ := s.Tags(t.Context(), addr+"/x", nil); err != nil || removed != addr+"/x:a" || strings.Join(tags, " ") != "b other" {
		t.Errorf("removed %q, %v; left %q", removed, err, tags)
	}
	removed, err = s.RemoveRemote(t.Context(), debian.Addr+"/x:a", nil)
	if tags, _ := s.Tags(t.Context(), debian.Addr+"/x", nil); err != nil || !strings.HasPrefix(removed, debian.Addr+"/x@sha256:") || strings.Join(tags, " ") != "other" {
		t.Errorf("removed %q, %v; left %q", removed, err, tags)
	}
	_, err = s.RemoveRemote(t.Context(), addr+"/x:gone", nil)
	wantError(t, "a missing tag", err, errdefs.IsNotFound, "remove "+addr+"/x:gone")
	_, err = s.Tags(t.Context(), addr+"/nowhere", nil)
	wantError(t, "a missing repository", err, errdefs.IsNotFound, "list the tags of "+addr+"/nowhere", "name unknown: ")
	_, err = s.Tags(t.Context(), addr+"/UPPER", nil)
	wantError(t, "no name", err, errdefs.IsInvalidArgument)
}

// What a registry says, or does not say, when it is asked for tags.
func TestAnswersOutOfOrder(t *testing.T) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	status := func(code int, contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			w.Write([]byte(text))
		}
	}
	denied := `{"errors":[{"code":"DENIED","message":"not for you"}]}`
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		class  func(error) bool
		says   string
	}{
		"401 in JSON":      {status(401, "application/json", `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`), errdefs.IsUnauthorized, "unauthorized: who are you"},
		"401 as a page":    {status(401, "text/html", "<html>"), errdefs.IsUnauthorized, "it answered 401 Unauthorized"},
		"403 in JSON":      {status(403, "application/json", denied), errdefs.IsPermissionDenied, "denied: not for you"},
		"403 as a page":    {status(403, "text/html", "<html>"), errdefs.IsPermissionDenied, "it answered 403 Forbidden"},
		"404 as a page":    {status(404, "text/html", "<html>"), errdefs.IsNotFound, "it answered 404 Not Found"},
		"429 in JSON":      {status(429, "application/json", `{"errors":[{"code":"TOOMANYREQUESTS","message":"slowly"}]}`), errdefs.IsUnavailable, "asks to wait: toomanyrequests: slowly"},
		"500 without JSON": {status(500, "text/plain", "oops"), errdefs.IsUnavailable, "answered 500 Internal Server Error"},
		"503 as a page":    {status(503, "text/html", "<html>"), errdefs.IsUnavailable, "answered 503 Service Unavailable"},
		"a page with 200":  {status(200, "text/html; charset=utf-8", "<html>"), errdefs.IsUnavailable, "answered with a web page (status 200)"},
		"no JSON":          {status(200, "application/json", "hello"), errdefs.IsUnavailable, "something that no registry says"},
		"other JSON":       {status(200, "application/json", `{"tags": 5}`), errdefs.IsUnavailable, "something that no registry says"},
		"half an answer":   {status(200, "application/json", `{"tags": ["a"`), errdefs.IsUnavailable, "unexpected EOF"},
		"a redirect loop":  {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, errdefs.IsUnavailable, "stopped after 10 redirects"},
		"silence in the middle": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"tags": [`))
			w.(http.Flusher).Flush()
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}, errdefs.IsUnavailable, "stopped answering: nothing came for 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, test.answer)
			s := service(t, "{}")
			if name == "silence in the middle" {
				s.Limits.Stall = time.Second
			}
			_, err := s.Tags(t.Context(), addr+"/x", nil)
			wantError(t, name, err, test.class, test.says, "list the tags of "+addr+"/x")
			if err != nil && strings.Contains(err.Error(), "<html>") {
				t.Error("the error shows a web page:", err)
			}
		})
	}
}

// A manifest of something else, or no manifest, is an error and no panic.
func TestInspectOddManifests(t *testing.T) {
	for name, test := range map[string]struct{ contentType, text, says string }{
		"no JSON":       {ocispec.MediaTypeImageManifest, "hello", "something"},
		"a list":        {ocispec.MediaTypeImageManifest, "[1]", "something that no registry says"},
		"wrong type":    {"text/plain", `{"schemaVersion":2}`, ""},
		"index of none": {ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":null}`, ""},
		"bad entries":   {ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[{"digest":"../../x"}]}`, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/v2/":
				case strings.HasSuffix(r.URL.Path, "/manifests/latest"):
					w.Header().Set("Content-Type", test.contentType)
					w.Write([]byte(test.text))
				default:
					http.NotFound(w, r)
				}
			})
			image, err := service(t, "{}").Inspect(t.Context(), addr+"/x", nil)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%+v, %v: want %q", image, err, test.says)
			}
			if _, err := json.Marshal(image); err != nil {
				t.Error(err)
			}
		})
	}
}
