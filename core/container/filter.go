package container

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// matcher is a list request's filters, read.
type matcher struct {
	args          filter.Args
	onlyRunning   bool // neither -a nor a filter that speaks of others
	ancestors     map[string]bool
	exitCodes     []int
	before, since time.Time
	ports         func(live) []container.PortSummary // published and exposed
}

// listFilter reads the filters and refuses what docker refuses.
func (m *Module) listFilter(ctx context.Context, opts backend.ContainerList) (*matcher, error) {
	f := &matcher{args: opts.Filters, ports: func(l live) []container.PortSummary { return ports(l, m.network(l)) }}
	if err := f.args.Validate("ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label",
		"label!", "name", "network", "publish", "since", "status", "volume"); err != nil {
		return nil, err
	}
	for _, s := range f.args["status"] {
		if err := container.ValidateContainerState(status(s)); err != nil {
			return nil, err
		}
	}
	for _, h := range f.args["health"] {
		if err := container.ValidateHealthStatus(container.HealthStatus(h)); err != nil {
			return nil, err
		}
	}
	for _, code := range f.args["exited"] {
		n, err := strconv.Atoi(code)
		if err != nil {
			return nil, invalid("invalid filter 'exited=%s': %v", code, err)
		}
		f.exitCodes = append(f.exitCodes, n)
	}
	f.onlyRunning = !opts.All && opts.Limit <= 0 && !f.args.Has("status") && !f.args.Has("exited") &&
		!f.args.Has("before") && !f.args.Has("since")
	if err := m.resolveOrder(ctx, f); err != nil {
		return nil, err
	}
	return f, m.resolveAncestors(ctx, f)
}

func (m *Module) resolveOrder(ctx context.Context, f *matcher) error {
	for _, bound := range []struct {
		key  string
		into *time.Time
	}{{"before", &f.before}, {"since", &f.since}} {
		for _, name := range f.args[bound.key] {
			r, err := m.find(ctx, name)
			if err != nil {
				return err
			}
			*bound.into = r.Created
		}
	}
	return nil
}

// resolveAncestors turns names of images into ids; an unknown image matches
// containers that were made from that very name.
func (m *Module) resolveAncestors(ctx context.Context, f *matcher) error {
	if !f.args.Has("ancestor") {
		return nil
	}
	f.ancestors = map[string]bool{}
	for _, name := range f.args["ancestor"] {
		f.ancestors[name] = true
		root, err := m.images.Rootfs(ctx, name, nil)
		switch {
		case err == nil:
			f.ancestors[root.ImageID] = true
		case !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err):
			return err
		}
	}
	return nil
}

func (f *matcher) matches(l live) (bool, error) {
	if f.onlyRunning && l.state == nil {
		return false, nil
	}
	if !f.before.IsZero() && !l.Created.Before(f.before) || !f.since.IsZero() && !l.Created.After(f.since) {
		return false, nil
	}
	if f.ancestors != nil && !f.ancestors[l.ImageID] && !f.ancestors[l.Image] {
		return false, nil
	}
	if f.exitCodes != nil && (l.StartedAt.IsZero() || l.state != nil || !slices.Contains(f.exitCodes, l.ExitCode)) {
		return false, nil
	}
	named, err := f.matchesPattern("name", "/"+l.Name, l.Name)
	if err != nil || !named {
		return false, err
	}
	identified, err := f.matchesPattern("id", l.ID)
	if err != nil || !identified {
		return false, err
	}
	return f.args.Exact("status", string(l.now)) &&
		f.args.Exact("health", string(healthStatus(l))) &&
		f.args.Exact("isolation", string(container.IsolationDefault)) &&
		f.args.Any("is-task", func(v string) bool { return v == "false" || v == "0" }) &&
		f.args.Labels(l.Config.Labels) &&
		f.args.Any("volume", func(v string) bool { return hasVolume(l.Mounts, v) }) &&
		f.args.Any("network", func(v string) bool { return hasNetwork(l.record, v) }) &&
		f.args.Any("publish", func(v string) bool { return publishes(f.ports(l), v) }) &&
		f.args.Any("expose", func(v string) bool { return exposes(l.Config.ExposedPorts, v) }), nil
}

// matchesPattern: docker's names and ids are regular expressions.
func (f *matcher) matchesPattern(key string, values ...string) (bool, error) {
	for _, pattern := range f.args[key] {
		if slices.Contains(values, pattern) {
			return true, nil
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return false, invalid("invalid filter '%s=%s': %v", key, pattern, err)
		}
		if slices.ContainsFunc(values, re.MatchString) {
			return true, nil
		}
	}
	return !f.args.Has(key), nil
}

func hasVolume(mounts []mountPoint, v string) bool {
	return slices.ContainsFunc(mounts, func(p mountPoint) bool { return p.Destination == v || p.Name == v || p.Source == v })
}

func hasNetwork(r *record, v string) bool {
	_, ok := idleNetwork(r).Networks[v]
	return ok
}

// portRange reads "80", "80/tcp", "8000-8010/udp".
func portRange(v string) (first, last uint16, proto string) {
	ports, proto, ok := strings.Cut(v, "/")
	if !ok {
		proto = string(network.TCP)
	}
	from, to, isRange := strings.Cut(ports, "-")
	if !isRange {
		to = from
	}
	a, _ := strconv.ParseUint(from, 10, 16)
	b, _ := strconv.ParseUint(to, 10, 16)
	return uint16(a), uint16(b), proto
}

func inRange(port uint16, is network.IPProtocol, v string) bool {
	first, last, proto := portRange(v)
	return port >= first && port <= last && string(is) == proto
}

// publishes looks for a port of the host; a stopped container has none.
func publishes(ports []container.PortSummary, v string) bool {
	return slices.ContainsFunc(ports, func(p container.PortSummary) bool {
		return p.PublicPort != 0 && inRange(p.PublicPort, network.IPProtocol(p.Type), v)
	})
}

func exposes(ports network.PortSet, v string) bool {
	for port := range ports {
		if inRange(port.Num(), port.Proto(), v) {
			return true
		}
	}
	return false
}
