package image_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"go.podman.io/storage/pkg/reexec"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/tests/registry"
)

func TestMain(m *testing.M) {
	if reexec.Init() { // this program as the helper that unpacks layers
		return
	}
	if job := os.Getenv(envPull); job != "" {
		os.Exit(pullAndExit(job))
	}
	if dir := os.Getenv(envLoad); dir != "" {
		os.Exit(loadAndExit(dir))
	}
	os.Exit(m.Run())
}

// engine is an image store on roots of its own.
type engine struct {
	*image.Service
	store  *store.Store
	events *eventLog
}

func newEngine(t *testing.T, options ...func(*image.Options)) *engine {
	t.Helper()
	return openEngine(t, t.TempDir(), options...)
}

func openEngine(t *testing.T, dir string, options ...func(*image.Options)) *engine {
	t.Helper()
	st, err := store.Open(context.Background(), store.Paths{Data: dir + "/data", Exec: dir + "/run"})
	must(t, err)
	t.Cleanup(func() { st.Close() })
	log := &eventLog{}
	opts := image.Options{Store: st, Events: log}
	for _, change := range options {
		change(&opts)
	}
	service, err := image.New(context.Background(), opts)
	must(t, err)
	return &engine{Service: service, store: st, events: log}
}

type eventLog struct {
	mu  sync.Mutex
	all []string
}

func (l *eventLog) Append(list ...events.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range list {
		l.all = append(l.all, fmt.Sprintf("%s %s %s", m.Action, m.Actor.ID, m.Actor.Attributes["name"]))
	}
	return nil
}

// bar tells a bar from a layer's plain status, which has an empty one.
func bar(m jsonstream.Message) bool {
	return m.Progress != nil && *m.Progress != jsonstream.Progress{}
}

// pull pulls and returns the progress as lines `id: status`, bars left out.
func (e *engine) pull(name string, change ...func(*backend.Pull)) (lines []string, err error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, err
	}
	req := backend.Pull{Ref: reference.TagNameOnly(ref), Progress: func(m jsonstream.Message) {
		if bar(m) {
			return
		}
		line := m.Status
		if m.ID != "" {
			line = m.ID + ": " + line
		}
		lines = append(lines, line)
	}}
	for _, c := range change {
		c(&req)
	}
	err = e.Pull(context.Background(), req)
	return lines, err
}

func startRegistry(t *testing.T, opts registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.StartWith(t.TempDir(), opts)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// small is an image of n little layers; the salt makes the top one differ.
func small(t *testing.T, n int, salt string) registry.Image {
	t.Helper()
	img := registry.New("amd64")
	for i := range n {
		content := fmt.Sprintf("layer %d", i)
		if i == n-1 {
			content += salt
		}
		l, err := registry.Pack(registry.Dir("etc", 0o755), registry.Text(fmt.Sprintf("etc/file%d", i), content))
		must(t, err)
		img.Add(l, fmt.Sprintf("COPY file%d", i))
	}
	img.Config.Config.Cmd = []string{"sh"}
	return img
}

func push(t *testing.T, r *registry.Registry, name, tag string, img registry.Image) string {
	t.Helper()
	d, err := registry.Push(context.Background(), r.Addr, name, tag, img)
	must(t, err)
	return d.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func count(lines []string, suffix string) int {
	n := 0
	for _, l := range lines {
		if strings.HasSuffix(l, suffix) {
			n++
		}
	}
	return n
}
