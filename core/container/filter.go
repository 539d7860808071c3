package container

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-connections/nat"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// matcher is a list request's filters, read. The words of refusals and what a
// key is compared with are docker 28's.
type matcher struct {
	args            filter.Args
	onlyRunning     bool // neither -a nor a filter that speaks of others
	ids             map[string]bool
	images          map[string]bool
	exitCodes       []int
	before, since   time.Time
	publish, expose []portRange
	networks        map[string]string                  // ids by name
	ports           func(live) []container.PortSummary // published and exposed
}

// listFilter reads the filters and refuses what docker refuses.
func (m *Module) listFilter(ctx context.Context, opts backend.ContainerList) (*matcher, error) {
	f := &matcher{args: opts.Filters, ports: func(l live) []container.PortSummary { return ports(l, m.network(l)) }}
	if err := f.args.Validate("ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label",
		"name", "network", "publish", "since", "status", "volume"); err != nil {
		return nil, err
	}
	if err := f.readValues(); err != nil {
		return nil, err
	}
	f.onlyRunning = !opts.All && opts.Limit <= 0 && !f.args.Has("status")
	if err := m.resolveOrder(ctx, f); err != nil {
		return nil, err
	}
	return f, errors.Join(m.resolveIDs(ctx, f), m.resolveAncestors(ctx, f), m.resolveNetworks(ctx, f))
}

// readValues checks the values that are no names of anything.
func (f *matcher) readValues() (err error) {
	for _, code := range f.args["exited"] {
		n, err := strconv.Atoi(code)
		if err != nil {
			return invalid("invalid filter 'exited=%s': %v", code, err)
		}
		f.exitCodes = append(f.exitCodes, n)
	}
	for _, s := range f.args["status"] {
		if err := container.ValidateContainerState(status(s)); err != nil {
			return invalid("invalid filter 'status=%s': %v", s, err)
		}
	}
	for _, h := range f.args["health"] {
		if err := container.ValidateHealthStatus(container.HealthStatus(h)); err != nil {
			return invalid("invalid filter 'health=%s': %v", h, err)
		}
	}
	if tasks := f.args["is-task"]; f.args.Has("is-task") {
		yes := slices.Contains(tasks, "true") || slices.Contains(tasks, "1")
		if no := slices.Contains(tasks, "false") || slices.Contains(tasks, "0"); yes == no {
			return invalid("invalid filter 'is-task=%s'", tasks)
		}
	}
	if f.publish, err = portRanges("publish", f.args["publish"]); err != nil {
		return err
	}
	f.expose, err = portRanges("expose", f.args["expose"])
	return err
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

// resolveIDs: the beginning of an id that several have means none of them.
func (m *Module) resolveIDs(ctx context.Context, f *matcher) error {
	if !f.args.Has("id") {
		return nil
	}
	f.ids = map[string]bool{}
	for _, prefix := range f.args["id"] {
		if prefix == "" || strings.Trim(prefix, "0123456789abcdef") != "" {
			continue
		}
		found, err := m.query(ctx, `WHERE id >= ?1 AND id < ?1 || 'g' AND name IS NOT NULL LIMIT 2`, prefix)
		if err != nil {
			return err
		}
		if len(found) == 1 {
			f.ids[found[0].ID] = true
		}
	}
	return nil
}

// resolveAncestors turns names of images into ids of these and of what was
// committed on top of them; an unknown image is nobody's ancestor.
func (m *Module) resolveAncestors(ctx context.Context, f *matcher) error {
	if !f.args.Has("ancestor") {
		return nil
	}
	f.images = map[string]bool{}
	for _, name := range f.args["ancestor"] {
		ids, err := m.images.Descendants(ctx, name)
		if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err) && !errdefs.IsConflict(err) {
			return err
		}
		for _, id := range ids {
			f.images[id] = true
		}
	}
	return nil
}

func (m *Module) resolveNetworks(ctx context.Context, f *matcher) (err error) {
	if f.args.Has("network") {
		f.networks, err = m.networks.IDs(ctx)
	}
	return err
}

func (f *matcher) matches(l live) bool {
	switch {
	case f.onlyRunning && l.state == nil,
		!f.before.IsZero() && !l.Created.Before(f.before) || !f.since.IsZero() && !l.Created.After(f.since),
		f.ids != nil && !f.ids[l.ID],
		f.images != nil && !f.images[l.ImageID],
		f.exitCodes != nil && (l.StartedAt.IsZero() || l.state != nil || !slices.Contains(f.exitCodes, l.ExitCode)):
		return false
	}
	return f.named(l.Name) &&
		f.args.Exact("status", string(l.now)) &&
		f.args.Exact("health", string(healthStatus(l))) &&
		f.args.Any("is-task", func(v string) bool { return v == "false" || v == "0" }) &&
		f.args.Labels(l.Config.Labels) &&
		f.args.Any("volume", func(v string) bool { return hasVolume(l.Mounts, v) }) &&
		f.args.Any("network", func(v string) bool { return f.hasNetwork(l.record, v) }) &&
		f.hasPort(l)
}

// named: docker's names are regular expressions, with and without the slash;
// one that is none matches nothing.
func (f *matcher) named(name string) bool {
	return f.args.Any("name", func(pattern string) bool {
		if pattern == name || pattern == "/"+name {
			return true
		}
		re, err := regexp.Compile(pattern)
		return err == nil && (re.MatchString("/"+name) || re.MatchString(name))
	})
}

// hasVolume looks for a place in the container, a volume's name, or a folder
// of the host.
func hasVolume(mounts []mountPoint, v string) bool {
	return slices.ContainsFunc(mounts, func(p mountPoint) bool {
		return v != "" && (p.Destination == v || p.Name == v || p.Name == "" && p.Source == v)
	})
}

// hasNetwork takes a network's name or the beginning of its id.
func (f *matcher) hasNetwork(r *record, v string) bool {
	for name := range idleNetwork(r).Networks {
		if name == v || strings.HasPrefix(f.networks[name], v) {
			return true
		}
	}
	return false
}

// hasPort is true when one of the container's ports is published or exposed as
// one of either filter says.
func (f *matcher) hasPort(l live) bool {
	if f.publish == nil && f.expose == nil {
		return true
	}
	return slices.ContainsFunc(f.ports(l), func(p container.PortSummary) bool {
		return inRanges(f.publish, p.PublicPort, p.Type) || inRanges(f.expose, p.PrivatePort, p.Type)
	})
}

// portRange is "80", "80/tcp" or "8000-8010/udp".
type portRange struct {
	first, last uint64
	proto       string
}

func portRanges(key string, values []string) (ranges []portRange, err error) {
	for _, v := range values {
		if strings.Contains(v, ":") {
			return nil, invalid("filter for '%s' should not contain ':': %s", key, v)
		}
		proto, ports := nat.SplitProtoPort(v)
		first, last, err := nat.ParsePortRange(ports)
		if err != nil {
			return nil, invalid("error while looking up for %s %s: %v", key, v, err)
		}
		ranges = append(ranges, portRange{first, last, proto})
	}
	return ranges, nil
}

func inRanges(ranges []portRange, port uint16, proto string) bool {
	return port != 0 && slices.ContainsFunc(ranges, func(r portRange) bool {
		return uint64(port) >= r.first && uint64(port) <= r.last && proto == r.proto
	})
}
