package complete

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/plugins"
)

// Image, Container and Named are what completion, colours and previews need to
// know of an engine's objects.
type Image struct {
	ID       string `json:"Id"`
	RepoTags []string
	Size     int64 // bytes
	Created  int64 // seconds since 1970
}

// Container is one container, running or not.
type Container struct {
	ID      string `json:"Id"`
	Names   []string
	Image   string
	ImageID string
	State   string
	Status  string
}

// Named is a volume or a network.
type Named struct {
	ID     string `json:"Id"`
	Name   string
	Driver string
}

// kinds of objects that are kept apart: an event makes one of them stale.
type kind int

const (
	images kind = iota
	containers
	volumes
	networks
	kinds
)

// engine keeps the objects of one engine. What it has is answered at once; the
// engine's events tell what has become stale, whoever changed it, and that is
// fetched again when it is next asked for.
type engine struct {
	http *http.Client
	inv  *plugins.Invocation

	mu       sync.Mutex
	fresh    [kinds]bool
	at       [kinds]time.Time
	loading  [kinds]chan struct{}
	watching bool
	watched  time.Time // the last attempt to watch
	images   []Image
	conts    []Container
	volumes  []Named
	networks []Named
	index    indexes
	folders  map[string][]file   // of images, by id and path
	named    []plugins.Candidate // the images by name
	namedAt  time.Time           // ages are told as of then
	took     [kinds]time.Duration
	again    [kinds]bool // a fetch for colours is to come
	changed  func()      // called after a list was fetched
}

const (
	// unwatched is how long a list counts without events that would tell of changes.
	unwatched = 2 * time.Second
	// fetchTime bounds one list; a remote engine may be far away.
	fetchTime = 10 * time.Second
	// idle is how long a connection waits for the next list.
	idle = 30 * time.Second
)

func newEngine(inv *plugins.Invocation, changed func()) *engine {
	return &engine{inv: inv, changed: changed, http: &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return inv.Dial(ctx) },
		IdleConnTimeout: idle, MaxIdleConns: 2,
	}}}
}

// get asks the engine; the answer is JSON.
func (e *engine) get(ctx context.Context, path string, query url.Values, answer any) error {
	u := "http://engine" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(bufio.NewReaderSize(resp.Body, 64<<10)).Decode(answer)
}

// need brings a list up to date and returns when it is, or when ctx ends: then
// what there is has to do.
func (e *engine) need(ctx context.Context, k kind) {
	done := e.start(k)
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// start fetches a list in the background if it is stale; the answer is closed
// at the end, nil when nothing is to be done.
func (e *engine) start(k kind) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current(k) {
		return nil
	}
	if e.loading[k] != nil {
		return e.loading[k]
	}
	done := make(chan struct{})
	e.loading[k] = done
	go e.load(k, done)
	return done
}

// calmly is start for what is nice to know: a list that takes long is fetched
// seldom, however often it changes.
func (e *engine) calmly(k kind) {
	const share = 20 // of the time may go into it
	e.mu.Lock()
	wait := share*e.took[k] - time.Since(e.at[k])
	late := wait > 0 && !e.current(k)
	if late && !e.again[k] {
		e.again[k] = true
		time.AfterFunc(wait, func() {
			e.mu.Lock()
			e.again[k] = false
			e.mu.Unlock()
			if e.changed != nil {
				e.changed() // who still wants to know will ask
			}
		})
	}
	e.mu.Unlock()
	if !late {
		e.start(k)
	}
}

func (e *engine) current(k kind) bool {
	return e.fresh[k] && (e.watching || time.Since(e.at[k]) < unwatched)
}

func (e *engine) load(k kind, done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	e.watch(ctx)
	e.mu.Lock()
	e.fresh[k] = true // an event during the request makes it stale again
	e.mu.Unlock()
	begun := time.Now()
	store, err := e.fetch(ctx, k)
	e.mu.Lock()
	e.took[k] = time.Since(begun)
	if err != nil {
		e.fresh[k] = false
	} else {
		store()
		e.at[k] = time.Now()
	}
	e.loading[k] = nil
	e.mu.Unlock()
	close(done)
	if err == nil && e.changed != nil {
		e.changed()
	}
}

func (e *engine) fetch(ctx context.Context, k kind) (store func(), err error) {
	switch k {
	case images:
		var list []Image
		err = e.get(ctx, "/images/json", nil, &list)
		named := imageCandidates(list)
		return func() {
			e.images, e.named, e.namedAt = list, named, time.Now()
			e.indexImages()
		}, err
	case containers:
		var list []Container
		err = e.get(ctx, "/containers/json", url.Values{"all": {"1"}}, &list)
		return func() { e.conts = list; e.indexContainers() }, err
	case volumes:
		var answer struct{ Volumes []Named }
		err = e.get(ctx, "/volumes", nil, &answer)
		return func() { e.volumes = answer.Volumes }, err
	default:
		var list []Named
		err = e.get(ctx, "/networks", nil, &list)
		return func() { e.networks = list }, err
	}
}

// The lists, as they are at the moment; nobody may change them.

func (e *engine) imageList() []Image {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.images
}

// imageNames lists the images by name. How old they are may be a minute late.
func (e *engine) imageNames() []plugins.Candidate {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.namedAt) > time.Minute {
		e.named, e.namedAt = imageCandidates(e.images), time.Now()
	}
	return e.named
}

func (e *engine) containerList() []Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conts
}

func (e *engine) namedList(k kind) []Named {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k == volumes {
		return e.volumes
	}
	return e.networks
}

// watch begins to follow the engine's events, unless it does already. It
// returns when the engine has begun to tell of them: what is fetched then is
// known to be stale when it is.
func (e *engine) watch(ctx context.Context) {
	e.mu.Lock()
	if e.watching || time.Since(e.watched) < unwatched {
		e.mu.Unlock()
		return
	}
	e.watched = time.Now()
	e.mu.Unlock()
	stream, cancel := context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, cancel)() // until it has begun
	req, err := http.NewRequestWithContext(stream, http.MethodGet, "http://engine/events", nil)
	if err != nil {
		cancel()
		return
	}
	resp, err := e.http.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		if err == nil {
			resp.Body.Close()
		}
		cancel()
		return
	}
	e.mu.Lock()
	e.watching = true
	e.fresh = [kinds]bool{} // what happened before is not known
	e.mu.Unlock()
	e.inv.Defer(cancel)
	go e.follow(resp, cancel)
}

// quiet are actions that change nothing in a list.
var quiet = []string{"attach", "detach", "exec_create", "exec_start", "exec_die", "exec_detach", "resize", "top", "copy", "export", "archive-path", "extract-to-dir", "push", "mount", "unmount"}

func (e *engine) follow(resp *http.Response, cancel context.CancelFunc) {
	defer cancel()
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var m struct{ Type, Action string }
		if dec.Decode(&m) != nil {
			break
		}
		if !slices.Contains(quiet, m.Action) {
			e.stale(m.Type)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watching, e.fresh = false, [kinds]bool{}
}

func (e *engine) stale(what string) {
	k, ok := map[string]kind{"image": images, "container": containers, "volume": volumes, "network": networks}[what]
	if !ok {
		return
	}
	e.mu.Lock()
	e.fresh[k] = false
	e.mu.Unlock()
	if e.changed != nil {
		e.changed()
	}
}

func (e *engine) close() {
	e.inv.End()
	e.http.CloseIdleConnections()
}
