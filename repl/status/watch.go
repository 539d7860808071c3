package status

import (
	"context"
	"sync"
	"time"
)

// Watch finds out what takes time, beside the prompt: the last known values are
// shown at once, and when new ones differ the prompt is drawn again.
type Watch struct {
	ask     func(context.Context, *Info) // fills in what is slow
	changed func()
	timeout time.Duration

	mu      sync.Mutex
	slow    Info
	running bool
	again   bool
}

// NewWatch returns a watch. ask may take up to two seconds and fills in the
// fields that it knows; changed is called, from another goroutine, when they
// have become others.
func NewWatch(ask func(context.Context, *Info), changed func()) *Watch {
	return &Watch{ask: ask, changed: changed, timeout: 10 * time.Second}
}

// Known returns the values that were found last.
func (w *Watch) Known() Info {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slow
}

// Refresh finds the values out again. Calls while it does so are one more.
func (w *Watch) Refresh(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		w.again = true
		return
	}
	w.running = true
	go w.run(ctx)
}

func (w *Watch) run(ctx context.Context) {
	for {
		var found Info
		limited, cancel := context.WithTimeout(ctx, w.timeout)
		w.ask(limited, &found)
		cancel()
		w.mu.Lock()
		news := found != w.slow
		w.slow = found
		again := w.again
		w.again = false
		if !again {
			w.running = false
		}
		w.mu.Unlock()
		if news {
			w.changed()
		}
		if !again || ctx.Err() != nil {
			return
		}
	}
}
