package shimapi

import (
	"context"
	"testing"
	"time"
)

// However often a process is expected, one goroutine gets the kernel ready, as
// long as the last one that expects it said, and ends.
func TestExpectedOnce(t *testing.T) {
	type call struct {
		deadline time.Time
		end      chan struct{}
	}
	calls := make(chan call)
	w := &warmth{warm: func(ctx context.Context) {
		deadline, _ := ctx.Deadline()
		c := call{deadline, make(chan struct{})}
		calls <- c
		<-c.end
	}}
	w.last(time.Millisecond)
	first := <-calls
	w.last(20 * time.Millisecond)
	w.last(10 * time.Millisecond) // shorter than what is expected already
	close(first.end)
	second := <-calls
	if took := second.deadline.Sub(first.deadline); took < 10*time.Millisecond {
		t.Errorf("the second call ends %v after the first one", took)
	}
	close(second.end)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		on := w.on
		w.mu.Unlock()
		if !on {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
	w.last(time.Millisecond)
	close((<-calls).end) // and begins again
}
