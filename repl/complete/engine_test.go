package complete

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// farEngine is an engine that answers what completion asks, over a real
// connection, and tells of changes.
type farEngine struct {
	server *httptest.Server
	quit   chan struct{}

	mu         sync.Mutex
	containers []Container
	images     []Image
	asked      map[string]int
	answers    map[string]any // further ones, by path
	watchers   []chan string
}

func newFarEngine(t testing.TB) *farEngine {
	f := &farEngine{asked: map[string]int{}, quit: make(chan struct{})}
	f.server = httptest.NewServer(f)
	t.Cleanup(func() {
		close(f.quit)
		f.server.Close()
	})
	return f
}

func (f *farEngine) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", f.server.Listener.Addr().String())
}

func (f *farEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked[r.URL.Path]++
	var answer any
	switch r.URL.Path {
	case "/events":
		happened := make(chan string, 100)
		f.watchers = append(f.watchers, happened)
		f.mu.Unlock()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			select {
			case m := <-happened:
				fmt.Fprintln(w, m)
				w.(http.Flusher).Flush()
			case <-f.quit:
				return
			case <-r.Context().Done():
				return
			}
		}
	case "/containers/json":
		answer = f.containers
	case "/images/json":
		answer = f.images
	case "/volumes":
		answer = map[string][]Named{"Volumes": {{Name: "data", Driver: "local"}, {Name: "cache", Driver: "local"}}}
	case "/networks":
		answer = []Named{{Name: "bridge", Driver: "bridge"}, {Name: "host", Driver: "host"}, {Name: "front", Driver: "bridge"}}
	case "/nacre/registry/repositories":
		answer = []string{"name", "nameless", "other"}
	case "/nacre/registry/tags":
		if r.URL.Query().Get("name") == "reg.example/name" {
			answer = []string{"1.0", "latest"}
		}
	default:
		answer = f.answers[r.URL.Path]
		if strings.HasPrefix(r.URL.Path, "/nacre/containers/anna/files") {
			answer = map[string][]file{
				"/": {{"etc", true}, {"bin", true}, {".hidden", false}}, "/etc": {{"passwd", false}, {"pam.d", true}}, "/bin": {{"sh", false}, {"busybox", false}},
			}[r.URL.Query().Get("path")]
		}
	}
	f.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

// change changes something and tells of it.
func (f *farEngine) change(what string, change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	for _, w := range f.watchers {
		w <- `{"Type":"` + what + `","Action":"create"}`
	}
}

func (f *farEngine) times(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}
