//go:build cgo

package shim

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// hold keeps a container's command from running until what the engine does
// beside the start, its network above all, is done.
type hold struct {
	once    sync.Once
	over    chan struct{} // closed when release is there
	release shimapi.Release
}

func newHold() *hold { return &hold{over: make(chan struct{})} }

// end lets the start go on, or cancels it; what comes first counts.
func (h *hold) end(r shimapi.Release) (first bool) {
	h.once.Do(func() {
		h.release, first = r, true
		close(h.over)
	})
	return first
}

// cancelWith cancels the start when whoever asked for it is gone: nobody else
// knows how far its network has come.
func (h *hold) cancelWith(conn *net.UnixConn) {
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, conn) // ends with the answer, too
		close(gone)
	}()
	select {
	case <-gone:
		h.end(shimapi.Release{Cancel: "start: who asked for it is gone"})
	case <-h.over:
	}
}

// release is the answer to Release.
func (c *container) release(r *shimapi.Release) error {
	if !c.hold.end(*r) {
		return conflict("container " + c.bind.ID + " is not held")
	}
	return nil
}

// awaitRelease waits before the first launch of a held container, and writes
// what could not be known before. Restarts by policy are not held.
func (c *container) awaitRelease() error {
	if !c.start.Held || c.released {
		return nil
	}
	<-c.hold.over
	c.released = true
	if why := c.hold.release.Cancel; why != "" {
		return errors.New(why)
	}
	return c.writeFiles(c.hold.release.Files)
}
