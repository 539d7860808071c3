//go:build cgo

package shim

import (
	"sync"
	"time"
)

// ring is docker's mode=non-blocking: the container goes on when the log is
// slow, and what does not fit into the buffer is lost.
type ring struct {
	to    logSink
	limit int64 // bytes
	done  chan struct{}

	mu     sync.Mutex
	wake   sync.Cond
	queue  []batch
	size   int64
	closed bool
}

// batch is one write.
type batch struct {
	stream   string
	messages [][]byte
	now      time.Time
	size     int64
}

func newRing(to logSink, limit int64) *ring {
	r := &ring{to: to, limit: limit, done: make(chan struct{})}
	r.wake.L = &r.mu
	go r.drain()
	return r
}

func (r *ring) write(stream string, messages [][]byte, now time.Time) error {
	b := batch{stream: stream, messages: messages, now: now}
	for _, m := range messages {
		b.size += int64(len(m))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.queue) > 0 && r.size+b.size > r.limit {
		return nil
	}
	r.queue = append(r.queue, b)
	r.size += b.size
	r.wake.Signal()
	return nil
}

// drain passes on what is queued until the ring is closed and empty.
func (r *ring) drain() {
	defer close(r.done)
	for {
		r.mu.Lock()
		for len(r.queue) == 0 && !r.closed {
			r.wake.Wait()
		}
		if len(r.queue) == 0 {
			r.mu.Unlock()
			return
		}
		b := r.queue[0]
		r.queue = r.queue[1:]
		r.size -= b.size
		r.mu.Unlock()
		if err := r.to.write(b.stream, b.messages, b.now); err != nil {
			warnf("%v", err)
		}
	}
}

// close writes what is left, and takes no more.
func (r *ring) close() {
	r.mu.Lock()
	r.closed = true
	r.wake.Signal()
	r.mu.Unlock()
	<-r.done
	r.to.close()
}
