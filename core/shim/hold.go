//go:build cgo

package shim

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
	"github.com/nacre-sh/nacre/core/shim/sweep"
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

func (h *hold) cancelled() bool {
	select {
	case <-h.over:
		return h.release.Cancel != ""
	default:
		return false
	}
}

// launchPatience is how long a launch may take after the one who asked for it
// is gone and its network is joined.
const launchPatience = 5 * time.Second

// watchStarter cancels a held start when whoever asked for it is gone: nobody
// else knows how far its network has come. One that is not held any more may
// come to its end, but hangs no longer.
func (c *container) watchStarter(conn *net.UnixConn, held bool) {
	_, _ = io.Copy(io.Discard, conn) // ends with the answer, too
	if !held || !c.hold.end(shimapi.Release{Cancel: "start: who asked for it is gone"}) {
		select {
		case <-c.launched():
			return
		case <-time.After(launchPatience):
		}
	}
	c.breakLaunch()
}

// launched is closed when no launch is under way.
func (c *container) launched() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.launching == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return c.launching
}

// breakPause is how often a launch that is to end is looked after.
const breakPause = 50 * time.Millisecond

// breakLaunch ends a launch that nobody wants any more, and that may hang: on
// its way to the command the container's process opens and enters what the
// image, a volume or an earlier run has put in its way.
func (c *container) breakLaunch() {
	c.mu.Lock()
	launching, group := c.launching, c.state.CgroupPath
	c.mu.Unlock()
	for launching != nil {
		if err := sweep.Kill(group, c.bind.ID); err != nil {
			warnf("end a launch: %v", err)
		}
		select {
		case <-launching:
			return
		case <-time.After(breakPause):
		}
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
