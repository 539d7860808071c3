//go:build cgo

package shim

import (
	"context"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Docker's measures of a health check, where the user gives none.
const (
	probeEvery      = 30 * time.Second
	probeStartEvery = 5 * time.Second
	probeTimeout    = 30 * time.Second
	probeRetries    = 3
	probesKept      = 5
)

// health is the container's health check: what is known, and the monitor that
// finds out. The monitor lives from the start to the end of each run, but for
// the time that the container is paused; between two probes it is one timer.
// All of it changes under the container's mu.
type health struct {
	plan   *shimapi.Health // nil: none was asked for
	status shimapi.HealthStatus
	streak int
	log    []shimapi.Probe
	cancel context.CancelFunc // of the monitor; nil: none runs
}

// planHealth completes what the start asked for.
func planHealth(asked *shimapi.Health) *shimapi.Health {
	if asked == nil {
		return nil
	}
	plan := *asked
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&plan.Interval, probeEvery}, {&plan.StartInterval, probeStartEvery}, {&plan.Timeout, probeTimeout}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if plan.Retries <= 0 {
		plan.Retries = probeRetries
	}
	return &plan
}

// beginHealth starts the monitor of a run. The caller holds mu; fresh says
// that a new run begins, not one that was paused goes on.
func (c *container) beginHealth(fresh bool) {
	h := &c.health
	if h.plan == nil || h.cancel != nil {
		return
	}
	if fresh {
		h.status, h.streak, h.log = shimapi.HealthStarting, 0, nil
	}
	c.publishHealth()
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go c.monitor(ctx, *h.plan, c.state.StartedAt)
}

// endHealth stops the monitor. What is not watched counts as unhealthy, as in
// docker. The caller holds mu.
func (c *container) endHealth() {
	h := &c.health
	if h.cancel == nil {
		return
	}
	h.cancel()
	h.cancel, h.status = nil, shimapi.HealthUnhealthy
	c.publishHealth()
}

// publishHealth puts the health into the state, which the caller saves, and
// the results into their file. The caller holds mu.
func (c *container) publishHealth() {
	h := &c.health
	c.state.Health = &shimapi.HealthState{Status: h.status, FailingStreak: h.streak}
	kept := shimapi.HealthLog{HealthState: *c.state.Health, Log: h.log}
	if err := writeJSON(filepath.Join(c.bind.StateDir, shimapi.HealthFile), kept); err != nil {
		warnf("save the container's health: %v", err)
	}
}

// monitor probes until the context ends.
func (c *container) monitor(ctx context.Context, plan shimapi.Health, started time.Time) {
	timer := time.NewTimer(c.probePause(plan, started))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		probe := c.probe(ctx, plan)
		if ctx.Err() != nil {
			return
		}
		c.judge(ctx, probe, plan, started)
		debug.FreeOSMemory() // a start of a process takes memory that waiting does not
		timer.Reset(c.probePause(plan, started))
	}
}

// probePause: a container that starts is asked more often.
func (c *container) probePause(plan shimapi.Health, started time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.health.status == shimapi.HealthStarting && time.Since(started) < plan.StartPeriod {
		return plan.StartInterval
	}
	return plan.Interval
}

// judge draws the conclusion from a probe. Failures of a container that still
// starts do not count during its start period.
func (c *container) judge(ctx context.Context, probe shimapi.Probe, plan shimapi.Health, started time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil { // the run has ended meanwhile
		return
	}
	h := &c.health
	before := h.status
	if h.log = append(h.log, probe); len(h.log) > probesKept {
		h.log = h.log[len(h.log)-probesKept:]
	}
	switch {
	case probe.ExitCode == 0:
		h.status, h.streak = shimapi.HealthHealthy, 0
	case before == shimapi.HealthStarting && probe.Start.Sub(started) < plan.StartPeriod:
	default:
		if h.streak++; h.streak >= plan.Retries {
			h.status = shimapi.HealthUnhealthy
		}
	}
	c.publishHealth()
	if err := c.saveState(); err != nil {
		warnf("%v", err)
	}
	if h.status != before {
		c.emit(events.Action(string(events.ActionHealthStatus)+": "+string(h.status)), nil)
	}
}
