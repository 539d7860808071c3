package container

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Docker's ways to say what a health check runs: the first word of its test.
const (
	healthNone  = "NONE"
	healthCmd   = "CMD"
	healthShell = "CMD-SHELL"
)

// defaultShell runs CMD-SHELL checks of images that name no shell.
var defaultShell = []string{"/bin/sh", "-c"}

// healthCheck is what the shim shall run, with the rights and the environment
// of the container's own process; nil when there is nothing to check.
func healthCheck(c *container.Config, process *specs.Process) *shimapi.Health {
	h := c.Healthcheck
	if h == nil || len(h.Test) < 2 {
		return nil
	}
	var args []string
	switch h.Test[0] {
	case healthCmd:
		args = h.Test[1:]
	case healthShell:
		shell := c.Shell
		if len(shell) == 0 {
			shell = defaultShell
		}
		args = append(slices.Clone(shell), h.Test[1])
	default:
		return nil
	}
	probe := *process
	probe.Args, probe.Terminal, probe.ConsoleSize = args, false, nil
	return &shimapi.Health{
		Process: &probe, Interval: h.Interval, Timeout: h.Timeout,
		StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries,
	}
}

// checkHealth refuses measures that docker refuses.
func checkHealth(h *container.HealthConfig) error {
	if h == nil {
		return nil
	}
	for _, m := range []struct {
		name  string
		value time.Duration
	}{{"Interval", h.Interval}, {"Timeout", h.Timeout}, {"StartPeriod", h.StartPeriod}, {"StartInterval", h.StartInterval}} {
		if m.value != 0 && m.value < container.MinimumDuration {
			return invalid("%s in Healthcheck cannot be less than %s", m.name, container.MinimumDuration)
		}
	}
	if h.Retries < 0 {
		return invalid("Retries in Healthcheck cannot be negative")
	}
	if len(h.Test) > 0 && !slices.Contains([]string{healthNone, healthCmd, healthShell}, h.Test[0]) {
		return invalid("unknown type %q of Healthcheck: it is NONE, CMD or CMD-SHELL", h.Test[0])
	}
	return nil
}

// healthOf is a container's health for inspect, with the last results. One
// that has ended keeps them.
func (m *Module) healthOf(l live) *container.Health {
	if l.state != nil && l.state.Health == nil {
		return nil
	}
	if h := l.Config.Healthcheck; h == nil || len(h.Test) == 0 || h.Test[0] == healthNone {
		return nil
	}
	kept, err := readJSON[shimapi.HealthLog](filepath.Join(m.paths.Container(l.ID), shimapi.HealthFile))
	if err != nil { // never started
		return nil
	}
	res := &container.Health{Status: container.HealthStatus(kept.Status), FailingStreak: kept.FailingStreak, Log: []*container.HealthcheckResult{}}
	for _, p := range kept.Log {
		res.Log = append(res.Log, &container.HealthcheckResult{Start: p.Start, End: p.End, ExitCode: p.ExitCode, Output: p.Output})
	}
	return res
}

// healthStatus is a container's health for lists, filters and the status text.
func healthStatus(l live) container.HealthStatus {
	if l.state == nil || l.state.Health == nil {
		return container.NoHealthcheck
	}
	return container.HealthStatus(l.state.Health.Status)
}

// healthText is what stands in brackets in the status.
func healthText(l live) string {
	switch s := healthStatus(l); s {
	case container.NoHealthcheck:
		return ""
	case container.Starting:
		return " (health: starting)"
	default:
		return " (" + string(s) + ")"
	}
}
