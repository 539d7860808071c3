package mirror

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
)

// maxManifest is the size in bytes above which registries refuse manifests, too.
const maxManifest = 4 << 20

// gateway is the registry that the image library sees during one pull. It
// answers for one repository, below a random path, so that no other program on
// the machine can use it.
type gateway struct {
	secret  string
	repo    string // the repository at the sources: library/busybox
	sources []*source

	lookaside *url.URL // of the repository's signatures where they lie elsewhere

	exhausted atomic.Pointer[string] // what all sources said when none would serve

	listener net.Listener
	server   *http.Server
}

func openGateway(repo string, sources []*source) (*gateway, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the mirror gateway: %w", err)
	}
	g := &gateway{secret: strings.ToLower(rand.Text()), repo: repo, sources: sources, listener: l}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: DefaultLimits.Connect}
	go g.server.Serve(l)
	return g, nil
}

// host is the address of the gateway, prefix the path that stands for the registry.
func (g *gateway) host() string   { return g.listener.Addr().String() }
func (g *gateway) prefix() string { return g.host() + "/" + g.secret }

func (g *gateway) Close() error {
	err := g.server.Close()
	for _, s := range g.sources {
		s.client.CloseIdleConnections()
	}
	return err
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.WriteHeader(http.StatusOK)
		return
	}
	if r.Method == http.MethodGet && g.serveSignature(w, r) {
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/v2/"+g.secret+"/"+g.repo+"/")
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.NotFound(w, r)
		return
	}
	g.forward(w, r, rest)
}

// forward asks one source after the other until one gives a usable answer.
// When none does, the client gets the registry's own refusal ("not found",
// "denied"), or, when the registry itself could not be asked, what each source said.
func (g *gateway) forward(w http.ResponseWriter, r *http.Request, rest string) {
	var refusal *refused // the origin's own
	var faults []error
	for _, s := range g.sources {
		if !s.healthy() {
			faults = append(faults, fmt.Errorf("%s: failed before", s.label))
			continue
		}
		resp, err := g.ask(r.Context(), s, r.Method, rest, r.Header)
		if err == nil {
			g.deliver(w, r, s, rest, resp)
			return
		}
		if r.Context().Err() != nil {
			return
		}
		if ref, ok := errors.AsType[*refused](err); !ok {
			s.failed()
		} else if s.origin {
			refusal = ref
		}
		faults = append(faults, fmt.Errorf("%s: %w", s.label, explain(err)))
	}
	if refusal != nil {
		refusal.write(w)
		return
	}
	message := "no source answered: " + strings.ReplaceAll(errors.Join(faults...).Error(), "\n", "; ")
	g.exhausted.Store(&message)
	writeRefusal(w, http.StatusBadGateway, fmt.Sprintf(`{"errors":[{"code":"UNAVAILABLE","message":%s}]}`, strconv.Quote(message)))
}

// ask makes one request and sorts its answer: usable, refused by a registry, or a fault.
func (g *gateway) ask(ctx context.Context, s *source, method, rest string, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := s.do(ctx, method, g.repo+"/"+rest, header)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &body{resp.Body, cancel}
	switch {
	case isHTML(resp):
		resp.Body.Close()
		return nil, fmt.Errorf("answered with a web page (status %d), not as a registry", resp.StatusCode)
	case resp.StatusCode == http.StatusOK && method == http.MethodGet && strings.HasPrefix(rest, "manifests/"):
		return checkManifest(resp, strings.TrimPrefix(rest, "manifests/"))
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusPartialContent:
		return resp, nil
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
		return nil, newRefused(resp)
	}
	resp.Body.Close()
	return nil, fmt.Errorf("answered %s", resp.Status)
}

// checkManifest reads a manifest whole, so that a source that answers with
// something else, or with another manifest than the digest names, is passed
// over before the client has seen a byte of it.
func checkManifest(resp *http.Response, ref string) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest))
	resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	var form struct{ SchemaVersion int }
	if err := json.Unmarshal(body, &form); err != nil || form.SchemaVersion == 0 {
		return nil, errors.New("answered with something that is no manifest")
	}
	if want, err := digest.Parse(ref); err == nil && want.Algorithm().FromBytes(body) != want {
		return nil, fmt.Errorf("answered with another manifest than %s", want)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// deliver copies an answer to the client. A body that breaks off or stalls is
// continued from the next source at the byte where it stopped: blobs and
// manifests are named by what they contain, and the image library checks the
// digest of the whole.
func (g *gateway) deliver(w http.ResponseWriter, r *http.Request, s *source, rest string, resp *http.Response) {
	for _, name := range []string{"Content-Type", "Content-Length", "Docker-Content-Digest", "Content-Range", "Etag"} {
		if v := resp.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	if r.Method == http.MethodHead {
		resp.Body.Close()
		return
	}
	copied, err := s.copyBody(w, resp.Body)
	start, known := startOf(r.Header.Get("Range"), resp.StatusCode)
	byContent := strings.HasPrefix(rest, "blobs/") && known
	for _, next := range g.after(s) {
		if err == nil || r.Context().Err() != nil || !byContent {
			break
		}
		s.failed()
		var more int64
		more, err = g.resume(r.Context(), w, next, rest, start+copied)
		copied += more
		s = next
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client must not take the part for the whole
	}
}

// after lists the sources to go on with when s has failed: the others, then s once more.
func (g *gateway) after(s *source) []*source {
	var list []*source
	for _, other := range g.sources {
		if other != s && other.healthy() {
			list = append(list, other)
		}
	}
	return append(list, s)
}

// startOf is the byte of the blob with which an answer begins; it is not known
// for answers to requests for more than the end of a blob.
func startOf(asked string, status int) (int64, bool) {
	if asked == "" || status == http.StatusOK {
		return 0, true
	}
	from, isRange := strings.CutPrefix(asked, "bytes=")
	from, toEnd := strings.CutSuffix(from, "-")
	start, err := strconv.ParseInt(from, 10, 64)
	return start, isRange && toEnd && err == nil
}

func (g *gateway) resume(ctx context.Context, w io.Writer, s *source, rest string, offset int64) (int64, error) {
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-", offset)}}
	resp, err := g.ask(ctx, s, http.MethodGet, rest, header)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode == http.StatusPartialContent {
		return s.copyBody(w, resp.Body)
	}
	n, err := s.copyBody(&skipWriter{w, offset}, resp.Body) // the source knows no ranges
	return max(0, n-offset), err
}

// skipWriter passes on what comes after the first bytes.
type skipWriter struct {
	io.Writer
	skip int64
}

func (w *skipWriter) Write(p []byte) (int, error) {
	drop := min(w.skip, int64(len(p)))
	w.skip -= drop
	n, err := w.Writer.Write(p[drop:])
	return int(drop) + n, err
}

var errStalled = errors.New("no byte in time")

// copyBody copies until the end and closes the body; a body that is silent for
// the source's stall limit is cut off. Bytes count as served before the client has them.
func (s *source) copyBody(w io.Writer, content io.ReadCloser) (int64, error) {
	defer content.Close()
	var stalled atomic.Bool
	timer := time.AfterFunc(s.stall, func() {
		stalled.Store(true)
		if b, ok := content.(*body); ok {
			b.cancel()
		}
	})
	defer timer.Stop()
	n, err := io.Copy(w, watched{content, timer, s})
	if stalled.Load() {
		return n, errStalled
	}
	return n, err
}

// body ends its request when it is closed, or from another goroutine by cancel.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// watched pushes the alarm back and counts at every read that brings something.
type watched struct {
	io.Reader
	alarm *time.Timer
	from  *source
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.from.served.Add(int64(n))
	if n > 0 && err == nil {
		w.alarm.Reset(w.from.stall)
	}
	return n, err
}

// refused is a registry's own refusal, passed on as it came.
type refused struct {
	status int
	body   string
}

func newRefused(resp *http.Response) *refused {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		body = nil
	}
	return &refused{resp.StatusCode, string(body)}
}

func (e *refused) Error() string { return fmt.Sprintf("refused with status %d", e.status) }

func (e *refused) write(w http.ResponseWriter) { writeRefusal(w, e.status, e.body) }

func writeRefusal(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
