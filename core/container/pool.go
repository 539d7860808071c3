package container

import (
	"context"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	// spareFor is how long a shim that was made ready for a start that did not
	// come is kept.
	spareFor = 10 * time.Second
	// refillAfter lets the start that took a warm shim pass before another is made.
	refillAfter = 150 * time.Millisecond
)

// pool keeps idle shims. A shim takes some milliseconds to get ready, so it is
// spawned before it is needed: by the creation of a container, and by Warm.
type pool struct {
	find func() (string, error) // the shim's program

	mu     sync.Mutex
	idle   []*spawning
	target int
	closed bool
}

// spawning is a shim that may not be there yet.
type spawning struct {
	ready chan struct{}
	shim  *shimapi.Idle
	err   error
}

func newPool(find func() (string, error)) *pool { return &pool{find: find} }

// Early is a shim on its way before there is a module that could use it. One
// that nobody uses ends with this process.
type Early struct{ shim *spawning }

// SpawnEarly spawns a shim for a program that is still putting itself together
// and will start a container as soon as it can.
func SpawnEarly(find func() (string, error)) *Early { return &Early{newPool(find).spawn()} }

// adopt takes an early shim in.
func (p *pool) adopt(e *Early) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, e.shim)
	time.AfterFunc(spareFor, p.trim)
}

func (p *pool) spawn() *spawning {
	s := &spawning{ready: make(chan struct{})}
	go func() {
		defer close(s.ready)
		binary, err := p.find()
		if err != nil {
			s.err = err
			return
		}
		s.shim, s.err = shimapi.Spawn(context.Background(), binary)
	}()
	return s
}

// get waits for the shim; nil when it failed or died.
func (s *spawning) get() (*shimapi.Idle, error) {
	<-s.ready
	if s.err != nil || s.shim.Alive() {
		return s.shim, s.err
	}
	return nil, nil
}

func (s *spawning) release() {
	go func() {
		if shim, err := s.get(); err == nil && shim != nil {
			shim.Release()
		}
	}()
}

// prepare makes sure that the next take does not wait, and that the kernel will
// be quick about the start that follows.
func (p *pool) prepare() {
	shimapi.ExpectProcess(shimapi.Soon)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) > 0 {
		return
	}
	p.idle = append(p.idle, p.spawn())
	if p.target == 0 {
		time.AfterFunc(spareFor, p.trim)
	}
}

// take hands out a shim, a waiting one if there is one.
func (p *pool) take() (*shimapi.Idle, error) {
	for {
		s := p.pop()
		shim, err := s.get()
		if err != nil {
			return nil, err
		}
		if shim != nil {
			return shim, nil
		}
	}
}

func (p *pool) pop() *spawning {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return p.spawn()
	}
	s := p.idle[0]
	p.idle = p.idle[1:]
	if p.target > 0 {
		time.AfterFunc(refillAfter, p.refill)
	}
	return s
}

func (p *pool) warm(n int) {
	p.mu.Lock()
	p.target = n
	p.mu.Unlock()
	p.refill()
}

func (p *pool) refill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && len(p.idle) < p.target {
		p.idle = append(p.idle, p.spawn())
	}
}

// trim lets spare shims go.
func (p *pool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > p.target {
		p.idle[0].release()
		p.idle = p.idle[1:]
	}
}

func (p *pool) close() {
	p.mu.Lock()
	spare := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, s := range spare {
		if shim, err := s.get(); err == nil && shim != nil {
			shim.Release()
		}
	}
}
