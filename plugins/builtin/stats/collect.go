package stats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// collector keeps a model up to date: it follows the engine's events, and the
// figures of every container that runs.
type collector struct {
	client client.APIClient
	model  *model
	all    bool            // also those that do not run
	only   map[string]bool // ids; nil: whatever there is

	failed chan error // the first one ends the view
	mu     sync.Mutex
	ends   map[string]context.CancelFunc // of the streams, by id
	wait   sync.WaitGroup
}

func newCollector(c client.APIClient, m *model, all bool) *collector {
	return &collector{client: c, model: m, all: all, failed: make(chan error, 1), ends: map[string]context.CancelFunc{}}
}

// begin subscribes to the events and then lists the containers, so that none is
// missed. An error of the list, or a name that is none, is returned.
func (c *collector) begin(ctx context.Context, names []string) error {
	if len(names) > 0 {
		c.only = map[string]bool{}
		for _, name := range names {
			found, err := c.client.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
			if err != nil {
				return err
			}
			c.only[found.Container.ID] = true
		}
	}
	filter := client.Filters{}.Add("type", string(events.ContainerEventType))
	stream := c.client.Events(ctx, client.EventsListOptions{Filters: filter})
	c.spawn(func() { c.watch(ctx, stream) })
	list, err := c.client.ContainerList(ctx, client.ContainerListOptions{All: c.all || c.only != nil})
	if err != nil {
		return err
	}
	for _, found := range list.Items {
		name := found.ID[:min(12, len(found.ID))]
		if len(found.Names) > 0 {
			name = found.Names[0]
		}
		c.meet(ctx, found.ID, name, found.State == container.StateRunning || found.State == container.StatePaused)
	}
	return nil
}

// spawn runs something beside the view. A panic must not leave the terminal as
// it is: it ends the view.
func (c *collector) spawn(f func()) {
	c.wait.Add(1)
	go func() {
		defer c.wait.Done()
		defer func() {
			if p := recover(); p != nil {
				c.fail(fmt.Errorf("stats: internal error: %v\n%s", p, debug.Stack()))
			}
		}()
		f()
	}()
}

func (c *collector) fail(err error) {
	select {
	case c.failed <- err:
	default: // one is enough
	}
}

// watch follows containers that come and go.
func (c *collector) watch(ctx context.Context, stream client.EventsResult) {
	for {
		select {
		case e := <-stream.Messages:
			c.event(ctx, e)
		case err := <-stream.Err:
			if ctx.Err() == nil {
				c.fail(gone(err))
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

// gone is the error of an engine that does not answer any more.
func gone(err error) error {
	if err == nil {
		err = errors.New("it has closed the connection")
	}
	return fmt.Errorf("stats: the engine is gone: %w", err)
}

func (c *collector) event(ctx context.Context, e events.Message) {
	id, name := e.Actor.ID, e.Actor.Attributes["name"]
	switch e.Action {
	case events.ActionStart:
		c.meet(ctx, id, name, true)
	case events.ActionCreate:
		if c.all {
			c.meet(ctx, id, name, false)
		}
	case events.ActionRename:
		c.model.update(id, func(s *series) { s.name = name })
	case events.ActionDie:
		c.leave(id, !c.all && c.only == nil)
	case events.ActionDestroy:
		c.leave(id, true)
	}
}

// meet makes a container known and follows it while it runs.
func (c *collector) meet(ctx context.Context, id, name string, running bool) {
	if c.only != nil && !c.only[id] {
		return
	}
	c.model.add(id, name, running)
	if !running {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends[id] != nil {
		return
	}
	ctx, end := context.WithCancel(ctx)
	c.ends[id] = end
	c.spawn(func() {
		defer end()
		c.follow(ctx, id)
	})
}

// leave stops following a container, and forgets it if it is to vanish.
func (c *collector) leave(id string, vanish bool) {
	c.mu.Lock()
	if end := c.ends[id]; end != nil {
		end()
		delete(c.ends, id)
	}
	c.mu.Unlock()
	if vanish {
		c.model.remove(id)
		return
	}
	c.model.update(id, func(s *series) { s.running, s.past = false, nil })
}

// follow reads a container's figures until it stops. A container that is gone
// before it could be asked is no failure: its event says so.
func (c *collector) follow(ctx context.Context, id string) {
	stream, err := c.client.ContainerStats(ctx, id, client.ContainerStatsOptions{Stream: true})
	if err != nil {
		return
	}
	defer stream.Body.Close()
	decoder := json.NewDecoder(stream.Body)
	for {
		var v container.StatsResponse
		if decoder.Decode(&v) != nil || ctx.Err() != nil {
			return
		}
		if v.Read.IsZero() { // docker's answer for a container that does not run
			continue
		}
		c.model.take(id, &v)
	}
}
