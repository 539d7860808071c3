package image_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/tests/registry"
)

// breakingOff sends the first bytes of a blob to who asks first, and then
// nothing. It notes which ranges were asked for.
type breakingOff struct {
	registry *registry.Registry
	first    int64
	ignores  bool // ranges

	mu     sync.Mutex
	ranges []string
}

func (b *breakingOff) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	asked := req.Header.Get("Range")
	b.mu.Lock()
	b.ranges = append(b.ranges, asked)
	begun := len(b.ranges) > 1
	b.mu.Unlock()
	get, err := http.NewRequestWithContext(req.Context(), http.MethodGet, "http://"+b.registry.Addr+req.URL.Path, nil)
	if err != nil {
		panic(err)
	}
	if !b.ignores {
		get.Header.Set("Range", asked)
	}
	resp, err := http.DefaultClient.Do(get)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	for _, name := range []string{"Content-Length", "Content-Range", "Content-Type"} {
		w.Header().Set(name, resp.Header.Get(name))
	}
	w.WriteHeader(resp.StatusCode)
	if begun {
		io.Copy(w, resp.Body) // a client that has gone is no matter
		return
	}
	io.CopyN(w, resp.Body, b.first)
	w.(http.Flusher).Flush()
	<-req.Context().Done()
}

func (b *breakingOff) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.ranges...)
}

// bigImage has one layer of 8 MiB, and tells the registry behind a front by it.
func bigImage(t *testing.T) (*registry.Registry, registry.Layer) {
	r := startRegistry(t, registry.Options{})
	big, err := registry.Random(7, 8<<20)
	must(t, err)
	push(t, r, "library/demo", "latest", registry.New("amd64", big))
	return r, big
}

func (b *breakingOff) listen(t *testing.T, l registry.Layer) string {
	digest := digest.FromBytes(l.Blob).String()
	return inFront(t, b.registry, b.ServeHTTP, func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/blobs/"+digest) }) + "/library/demo"
}

// kept is the size of the only kept download; -1 without one.
func kept(t *testing.T, dir string) int64 {
	found, err := os.ReadDir(filepath.Join(dir, "data/downloads"))
	if err != nil || len(found) == 0 {
		return -1
	}
	info, err := found[0].Info()
	if err != nil {
		return -1
	}
	return info.Size()
}

// killInLayer kills a pulling process when it has the first bytes of the layer.
func killInLayer(t *testing.T, dir, name string, have int64) {
	cmd := puller(dir, name)
	must(t, cmd.Start())
	defer cmd.Wait() // killed
	defer cmd.Process.Kill()
	await(t, "the layer's first bytes", func() bool { return kept(t, dir) == have })
}

// A pull that is killed in the middle of a layer is continued where it stopped,
// whatever the registry makes of being asked for the rest.
func TestKilledPullIsContinued(t *testing.T) {
	const first = 3 << 20
	rest := fmt.Sprintf("bytes=%d-", first)
	for name, c := range map[string]struct {
		ignores bool
		damage  bool
		asked   []string
	}{
		"the rest is fetched":          {asked: []string{"", rest}},
		"the registry knows no ranges": {ignores: true, asked: []string{"", rest}},
		"what was kept is damaged":     {damage: true, asked: []string{"", rest, ""}},
		"damaged and no ranges":        {damage: true, ignores: true, asked: []string{"", rest, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r, layer := bigImage(t)
			front := &breakingOff{registry: r, first: first, ignores: c.ignores}
			name, dir := front.listen(t, layer), t.TempDir()
			killInLayer(t, dir, name, first)
			if c.damage {
				flip(t, dir, 1000)
			}
			e := openEngine(t, dir)
			lines, err := e.pull(name)
			if err != nil || count(lines, ": Pull complete") != 1 || count(lines, ": Retrying in 1 second") > 0 {
				t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
			}
			if got := front.asked(); strings.Join(got, ", ") != strings.Join(c.asked, ", ") {
				t.Errorf("asked for %q, want %q", got, c.asked)
			}
			if n := kept(t, dir); n >= 0 {
				t.Errorf("%d bytes are still kept", n)
			}
			collect(t, e, 0)
			noStaging(t, e)
		})
	}
}

func flip(t *testing.T, dir string, at int64) {
	found, err := filepath.Glob(filepath.Join(dir, "data/downloads/*"))
	must(t, err)
	f, err := os.OpenFile(found[0], os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b := []byte{0}
	_, err = f.ReadAt(b, at)
	must(t, err)
	b[0]++
	_, err = f.WriteAt(b, at)
	must(t, err)
}

// Another attempt of the same pull begins where the connection was silent.
func TestAttemptContinues(t *testing.T) {
	r, layer := bigImage(t)
	front := &breakingOff{registry: r, first: 2 << 20}
	_, err := newEngine(t, func(o *image.Options) {
		o.Limits = image.Limits{Idle: 2 * time.Second, Delay: 10 * time.Millisecond}
	}).pull(front.listen(t, layer))
	must(t, err)
	if got := front.asked(); len(got) < 2 || got[1] != fmt.Sprintf("bytes=%d-", 2<<20) {
		t.Errorf("asked for %q", got)
	}
}

// The process was killed when everything had come, and before it was a layer.
func TestNothingIsLeftToFetch(t *testing.T) {
	r, layer := bigImage(t)
	front := &breakingOff{registry: r}
	name, dir := front.listen(t, layer), t.TempDir()
	must(t, os.MkdirAll(dir+"/data/downloads", 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "data/downloads", "sha256-"+digest.FromBytes(layer.Blob).Encoded()), layer.Blob, 0o600))
	_, err := openEngine(t, dir).pull(name)
	must(t, err)
	if got := front.asked(); len(got) > 0 {
		t.Errorf("asked for %q", got)
	}
}

// What nobody continues is removed after an hour; what somebody writes to is not.
func TestKeptDownloadsAreCollected(t *testing.T) {
	r, layer := bigImage(t)
	front := &breakingOff{registry: r, first: 3 << 20}
	name, dir := front.listen(t, layer), t.TempDir()
	killInLayer(t, dir, name, 3<<20)
	e := openEngine(t, dir)
	collect(t, e, 0)
	if kept(t, dir) < 0 {
		t.Fatal("a young one was removed")
	}
	found, err := filepath.Glob(filepath.Join(dir, "data/downloads/*"))
	must(t, err)
	old := time.Now().Add(-2 * time.Hour)
	must(t, os.Chtimes(found[0], old, old))
	if pending, err := e.Pending(context.Background()); !pending || err != nil {
		t.Errorf("nothing pends (%v)", err)
	}
	collect(t, e, 0)
	if n := kept(t, dir); n >= 0 {
		t.Errorf("%d bytes are still kept", n)
	}
	if pending, err := e.Pending(context.Background()); pending || err != nil {
		t.Errorf("something pends (%v)", err)
	}
	list, err := e.List(context.Background(), backend.ImageList{All: true})
	if err != nil || len(list) > 0 {
		t.Errorf("images %v (%v)", list, err)
	}
}
