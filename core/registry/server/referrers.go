package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxManifest is the size in bytes above which the library refuses manifests, too.
const maxManifest = 4 << 20

// referrers adds the referrers of the distribution specification to the
// library's handler: a manifest with a subject is noted when it is pushed
// ("Pushing Manifests with Subject"), and listed on demand ("Listing
// Referrers"). What was pushed before this server knew of referrers is found,
// too: the list of a repository is made from all its manifests the first time.
type referrers struct {
	next     http.Handler
	data     string
	readOnly bool
}

// ServeHTTP implements http.Handler.
func (h *referrers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, subject, ok := splitPath(r.URL.Path, "/referrers/"); ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.list(w, r, name, subject)
		return
	}
	if name, _, ok := splitPath(r.URL.Path, "/manifests/"); ok && r.Method == http.MethodPut && !h.readOnly {
		h.push(w, r, name)
		return
	}
	h.next.ServeHTTP(w, r)
}

// splitPath takes /v2/NAME/…/LAST apart.
func splitPath(path, verb string) (name, last string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	at := strings.LastIndex(rest, verb)
	if !ok || at < 0 {
		return "", "", false
	}
	name, last = rest[:at], rest[at+len(verb):]
	return name, last, isName(name) && last != "" && !strings.Contains(last, "/")
}

// push lets the library take the manifest, then notes what it refers to. The
// answer says so in OCI-Subject, which tells clients not to keep a list themselves.
func (h *referrers) push(w http.ResponseWriter, r *http.Request, name string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxManifest+1))
	if err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "the manifest did not arrive whole")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	referrer, ok := readReferrer(body)
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	h.next.ServeHTTP(&subjectWriter{ResponseWriter: w, note: func() error {
		if err := h.note(name, referrer); err != nil {
			return err
		}
		w.Header().Set("OCI-Subject", referrer.subject.String())
		return nil
	}}, r)
}

// subjectWriter notes a referrer before the client hears that its manifest is stored.
type subjectWriter struct {
	http.ResponseWriter
	note   func() error
	failed bool
	begun  bool
}

// WriteHeader implements http.ResponseWriter.
func (w *subjectWriter) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	if status == http.StatusCreated {
		if err := w.note(); err != nil {
			w.failed = true
			refuse(w.ResponseWriter, http.StatusInternalServerError, "UNKNOWN", "note the referrer: "+err.Error())
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *subjectWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.failed {
		return len(b), nil // the refusal has been written
	}
	return w.ResponseWriter.Write(b)
}

// list answers GET /v2/NAME/referrers/DIGEST.
func (h *referrers) list(w http.ResponseWriter, r *http.Request, name, subject string) {
	if !h.mayRead(w, r, name) {
		return
	}
	d, err := digest.Parse(subject)
	if err != nil {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "provided digest is no digest")
		return
	}
	all, err := h.referrersOf(name, d)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "list the referrers: "+err.Error())
		return
	}
	if want := r.URL.Query().Get("artifactType"); want != "" {
		all = slices.DeleteFunc(all, func(d ocispec.Descriptor) bool { return d.ArtifactType != want })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if all == nil {
		all = []ocispec.Descriptor{}
	}
	writeJSON(w, http.StatusOK, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: all,
	})
}

// mayRead asks the library, which knows the users, with a request that reads
// the same repository. Its refusal becomes the answer; "not found" is none.
func (h *referrers) mayRead(w http.ResponseWriter, r *http.Request, name string) bool {
	asked := r.Clone(r.Context())
	asked.Method = http.MethodGet
	asked.URL = &url.URL{Path: "/v2/" + name + "/tags/list", RawQuery: "n=1"}
	asked.RequestURI = asked.URL.RequestURI()
	asked.Body = http.NoBody
	answer := &recorder{header: http.Header{}}
	h.next.ServeHTTP(answer, asked)
	switch answer.status {
	case 0, http.StatusOK, http.StatusNotFound:
		return true
	}
	for key, values := range answer.header {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes())
	return false
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

// refuse answers with an error in the specification's form ("Error Codes").
func refuse(w http.ResponseWriter, status int, code, message string) {
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	writeJSON(w, status, "application/json", struct {
		Errors []item `json:"errors"`
	}{[]item{{code, message}}})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
