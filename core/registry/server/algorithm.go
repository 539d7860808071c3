package server

import (
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
)

// algorithms makes the library answer in the digest that was asked in. It
// stores everything under its sha256 and finds it by others (sha512) too, but
// answers with its own name for it, by which clients would check the content
// against a digest they never asked for ("Pulling blobs").
type algorithms struct{ next http.Handler }

// ServeHTTP implements http.Handler.
func (h algorithms) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, ok := otherDigest(r)
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	query := r.URL.Query()
	if query.Has("mount") {
		// The library links its own digest alone. The client uploads then ("Mounting a blob from another repository").
		query.Del("mount")
		query.Del("from")
		r = r.Clone(r.Context())
		r.URL.RawQuery = query.Encode()
	}
	h.next.ServeHTTP(&renaming{ResponseWriter: w, asked: asked}, r)
}

// otherDigest is the digest of a blob that a request names, when it is not of the library's own kind.
func otherDigest(r *http.Request) (digest.Digest, bool) {
	text := r.URL.Query().Get("digest")
	if mount := r.URL.Query().Get("mount"); mount != "" {
		text = mount
	}
	if _, last, ok := splitPath(r.URL.Path, "/blobs/"); ok {
		text = last
	}
	if !strings.Contains(r.URL.Path, "/blobs/") || strings.HasPrefix(text, digest.Canonical.String()) {
		return "", false
	}
	d, err := digest.Parse(text)
	return d, err == nil
}

// renaming gives a blob the name that it was asked for by.
type renaming struct {
	http.ResponseWriter
	asked digest.Digest
}

// WriteHeader implements http.ResponseWriter.
func (w *renaming) WriteHeader(status int) {
	header := w.Header()
	own := header.Get("Docker-Content-Digest")
	if status < http.StatusMultipleChoices && own != "" {
		header.Set("Docker-Content-Digest", w.asked.String())
		if place, ok := strings.CutSuffix(header.Get("Location"), "/blobs/"+own); ok {
			header.Set("Location", place+"/blobs/"+w.asked.String())
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *renaming) Unwrap() http.ResponseWriter { return w.ResponseWriter }
