package container

import (
	"testing"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// TestWaitThatComesLate: a container may end after it was looked up and before
// its shim is asked. Its exit code is written down by then, and the answer.
func TestWaitThatComesLate(t *testing.T) {
	b := newBench(t)
	m := b.open()
	b.create(m, "web", nil, "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done")
	b.must(m.Start(t.Context(), "web", ""))
	b.eventually("the container is ready", func() bool { out, _ := b.logs(m, "web", allLogs); return out == "ready\n" })
	seen, err := m.lookUp(t.Context(), "web")
	b.must(err)
	if seen.state == nil {
		t.Fatal("the container does not run")
	}
	b.must(m.Stop(t.Context(), "web", backend.ContainerStop{}))
	b.must(m.awaitDeath(t.Context(), seen.ID))
	ended, err := m.waitEnd(t.Context(), seen, (*shimapi.Client).Wait)
	b.must(err)
	if r := b.result(ended); r.StatusCode != 7 || r.Err != nil {
		t.Errorf("the late wait says %+v, want 7", r)
	}
}
