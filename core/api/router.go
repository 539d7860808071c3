package api

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// The API versions that are served.
const (
	MaxVersion = client.MaxAPIVersion
	MinVersion = "1.24"
)

// Options is what the handler says about its engine in headers.
type Options struct {
	Version string      // of nacre, for the Server header
	Log     *log.Logger // faults of this program; nil: nothing
}

// New returns the handler for the whole API: every route under its plain path
// and under /v1.NN.
func New(backends Backends, opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = log.New(io.Discard, "", 0)
	}
	s := &server{Backends: backends, opts: opts, mux: http.NewServeMux()}
	for _, routes := range [][]route{
		s.systemRoutes(), s.imageRoutes(), s.containerRoutes(), s.streamRoutes(), s.execRoutes(),
		s.networkRoutes(), s.volumeRoutes(), s.mirrorRoutes(), s.terseRoutes(), s.configRoutes(), s.registryRoutes(), s.resetRoutes(), s.trashRoutes(), s.volumeArchiveRoutes(), s.fileRoutes(), s.bootRoutes(), unservedRoutes(),
		{{"/", func(http.ResponseWriter, *request) error { return errPageNotFound }}},
	} {
		for _, r := range routes {
			s.mux.Handle(r.pattern, s.adapt(r))
		}
	}
	return s
}

type server struct {
	Backends
	opts Options
	mux  *http.ServeMux

	operations operations
}

// route is a pattern of http.ServeMux and what answers it.
type route struct {
	pattern string
	handle  handler
}

// handler answers one request. An error that it returns becomes the answer, so
// it returns none once it has begun to write.
type handler func(w http.ResponseWriter, r *request) error

// request is an HTTP request with what every handler needs of it.
type request struct {
	*http.Request
	version string // of the API that the client speaks
	query   url.Values
}

// before says whether the client speaks an API older than version.
func (r *request) before(version string) bool { return versions.LessThan(r.version, version) }

// when guards routes whose backend is missing: they answer 501.
func when(served bool, what string, routes []route) []route {
	if served {
		return routes
	}
	for i := range routes {
		routes[i].handle = func(http.ResponseWriter, *request) error { return notServed(what) }
	}
	return routes
}

type versionKey struct{}

// ServeHTTP takes the version off the path, checks it, and routes the rest.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.setHeaders(w.Header())
	version, r := splitVersion(r)
	if err := checkVersion(version); err != nil {
		writeError(w, err)
		return
	}
	r = joinLinkName(r)
	s.mux.ServeHTTP(w, r.WithContext(context.WithValue(s.operations.mark(r), versionKey{}, version)))
}

func (s *server) setHeaders(h http.Header) {
	h.Set("Api-Version", MaxVersion)
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", runtime.GOOS)
	h.Set("Server", "nacre/"+s.opts.Version+" ("+runtime.GOOS+")")
}

// splitVersion returns the version that the path asks for and the request
// without it. A path without a version asks for the newest.
func splitVersion(r *http.Request) (string, *http.Request) {
	version, path, ok := cutVersion(r.URL.Path)
	if !ok {
		return MaxVersion, r
	}
	plain := new(http.Request)
	*plain = *r
	plain.URL = new(url.URL)
	*plain.URL = *r.URL
	plain.URL.Path = path
	plain.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, "/v"+version)
	return version, plain
}

// cutVersion splits /v1.54/rest into 1.54 and /rest.
func cutVersion(path string) (version, rest string, ok bool) {
	after, ok := strings.CutPrefix(path, "/v")
	slash := strings.IndexByte(after, '/')
	if !ok || slash < 0 {
		return "", "", false
	}
	for number := range strings.SplitSeq(after[:slash], ".") {
		if number == "" || strings.Trim(number, "0123456789") != "" {
			return "", "", false
		}
	}
	return after[:slash], after[slash:], true
}

// joinLinkName makes one segment of a name with a slash, which a container has
// by a link: parent/alias. Docker's client does not escape it.
func joinLinkName(r *http.Request) *http.Request {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/containers/")
	if !ok {
		return r
	}
	words := strings.SplitN(rest, "/", 3) // parent, alias, what to do with it
	switch {
	case len(words) < 2, len(words) == 2 && r.Method != http.MethodDelete:
		return r
	case words[1] == "attach" || words[1] == "checkpoints": // routes of a container with a word more
		return r
	}
	joined := new(http.Request)
	*joined = *r
	joined.URL = new(url.URL)
	*joined.URL = *r.URL
	joined.URL.RawPath = "/containers/" + words[0] + "%2F" + strings.Join(words[1:], "/")
	return joined
}

func checkVersion(version string) error {
	if versions.LessThan(version, MinVersion) {
		return invalid("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", version, MinVersion)
	}
	if versions.GreaterThan(version, MaxVersion) {
		return invalid("client version %s is too new. Maximum supported API version is %s", version, MaxVersion)
	}
	return nil
}

// adapt makes a http.Handler of a route. ServeMux lets a GET pattern match HEAD
// too; docker's API has HEAD only where it is spelled out.
func (s *server) adapt(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		if hr.Method == http.MethodHead && strings.HasPrefix(rt.pattern, "GET ") {
			writeError(w, errPageNotFound)
			return
		}
		defer s.recovered(w, hr)
		version, _ := hr.Context().Value(versionKey{}).(string)
		r := &request{Request: hr, version: version, query: hr.URL.Query()}
		if err := rt.handle(w, r); err != nil {
			writeError(w, err)
		}
	})
}

// recovered makes an answer of a panic: the shell must outlive its engine's faults.
func (s *server) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { // the server breaks the connection off
		panic(v)
	}
	s.opts.Log.Printf("panic in %s %s: %v\n%s", r.Method, r.URL.Path, v, debug.Stack())
	writeError(w, fmt.Errorf("internal error in %s %s: %v", r.Method, r.URL.Path, v))
}
