package container

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Trace hears how long each step took. It is called from several goroutines.
type Trace func(step string, took time.Duration)

// NewTrace writes one line per step, with the time since the trace began.
func NewTrace(w io.Writer) Trace {
	began := time.Now()
	var mu sync.Mutex
	return func(step string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%9.3f ms  %8.3f ms  %s\n", ms(time.Since(began)), ms(took), step)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// span measures until the returned function is called.
func (t Trace) span(step string) func() {
	if t == nil {
		return func() {}
	}
	began := time.Now()
	return func() { t(step, time.Since(began)) }
}

// step marks a moment.
func (t Trace) step(step string) {
	if t != nil {
		t(step, 0)
	}
}
