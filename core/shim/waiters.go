//go:build cgo

package shim

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// waiters are those who want to hear of the container's end: of the next end
// of its init, or of the last one.
type waiters struct {
	mu         sync.Mutex
	next, last []chan *shimapi.Exit
	over       *shimapi.Exit // set by answerLast: who comes later hears it at once
}

func (w *waiters) add(next bool) <-chan *shimapi.Exit {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := make(chan *shimapi.Exit, 1)
	switch {
	case w.over != nil:
		ch <- w.over
	case next:
		w.next = append(w.next, ch)
	default:
		w.last = append(w.last, ch)
	}
	return ch
}

func (w *waiters) answerNext(exit *shimapi.Exit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tell(w.next, exit)
	w.next = nil
}

func (w *waiters) answerLast(exit *shimapi.Exit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = exit
	tell(w.last, exit)
	w.last = nil
}

func tell(channels []chan *shimapi.Exit, exit *shimapi.Exit) {
	copied := *exit // a restart that fails changes it later
	for _, ch := range channels {
		ch <- &copied
	}
}

// emit appends an event of this container; the log fills in the time.
func (c *container) emit(action events.Action, extra map[string]string) {
	if c.events == nil {
		return
	}
	attributes := maps.Clone(c.start.Labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["image"], attributes["name"] = c.start.Image, shortName(*c.name.Load())
	maps.Copy(attributes, extra)
	message := events.Message{
		Type: events.ContainerEventType, Action: action,
		Actor: events.Actor{ID: c.bind.ID, Attributes: attributes},
	}
	if err := c.events.Append(message); err != nil {
		warnf("%v", err)
	}
}

func (c *container) emitDie(exit *shimapi.Exit) {
	c.emit(events.ActionDie, map[string]string{
		"exitCode":     strconv.Itoa(exit.ExitCode),
		"execDuration": strconv.Itoa(int(exit.FinishedAt.Sub(exit.StartedAt).Seconds())),
	})
}

// warnf writes to the shim's log; nothing that can be warned of may stop it.
func warnf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().UTC().Format(time.RFC3339Nano), fmt.Sprintf(format, args...))
}
