package container

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
)

// List gives the containers that are asked for, the newest first.
func (m *Module) List(ctx context.Context, opts backend.ContainerList) ([]container.Summary, error) {
	match, err := m.listFilter(ctx, opts)
	if err != nil {
		return nil, err
	}
	records, err := m.listed(ctx, match.onlyRunning, opts.Size)
	if err != nil {
		return nil, err
	}
	summaries := []container.Summary{}
	named := m.imageNames(ctx)
	for _, r := range records {
		if opts.Limit > 0 && len(summaries) == opts.Limit {
			break
		}
		l, err := m.look(ctx, r)
		if errdefs.IsNotFound(err) { // it removed itself
			continue
		}
		if err != nil {
			return nil, err
		}
		if !match.matches(l) {
			continue
		}
		s, err := m.summary(l, opts.Size)
		if err != nil {
			return nil, err
		}
		if s.Image, err = named(l.record); err != nil {
			return nil, err
		}
		summaries = append(summaries, s)
	}
	return summaries, nil
}

// imageNames gives a function that tells what to show as a container's image:
// what was asked for at its creation, or the id when that means another image
// by now, or none. Each name is looked up once.
func (m *Module) imageNames(ctx context.Context) func(*record) (string, error) {
	ids := map[string]string{}
	return func(r *record) (string, error) {
		if r.Image == r.ImageID {
			return r.Image, nil
		}
		id, known := ids[r.Image]
		if !known {
			var err error
			if id, err = m.images.ID(ctx, r.Image); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err) {
				return "", err
			}
			ids[r.Image] = id
		}
		if id != r.ImageID {
			return r.ImageID, nil
		}
		return r.Image, nil
	}
}

// listed reads the records of a list, the newest first. With sizes they are
// whole: only then their layers are known.
func (m *Module) listed(ctx context.Context, onlyRunning, sizes bool) ([]*record, error) {
	where, cache := `WHERE status <> 'removing'`, &m.listAll
	if onlyRunning {
		where, cache = `WHERE status = 'running'`, &m.listRunning
	}
	if sizes {
		return m.query(ctx, where+` ORDER BY created DESC`)
	}
	kept, err := cache.Get(ctx, m.store, func() ([]*record, error) { return m.queryBrief(ctx, where) })
	if err != nil {
		return nil, err
	}
	records := make([]*record, len(kept))
	for i, r := range kept { // looking at a container changes its record
		own := *r
		records[i] = &own
	}
	return records, nil
}

func (m *Module) summary(l live, size bool) (container.Summary, error) {
	settings := m.network(l)
	s := container.Summary{
		ID: l.ID, Names: []string{"/" + l.Name}, Image: l.Image, ImageID: l.ImageID, Command: commandLine(l.Config),
		Created: l.Created.Unix(), Ports: ports(l, settings), Labels: l.Config.Labels, State: l.now,
		Status: statusText(l, time.Now()), NetworkSettings: &container.NetworkSettingsSummary{Networks: settings.Networks},
		Mounts: mountPoints(l.Mounts),
	}
	s.Health = &container.HealthSummary{Status: healthStatus(l)}
	if l.state != nil && l.state.Health != nil {
		s.Health.FailingStreak = l.state.Health.FailingStreak
	}
	s.HostConfig.NetworkMode = string(l.HostConfig.NetworkMode)
	s.HostConfig.Annotations = l.HostConfig.Annotations
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	if size {
		rw, err := m.writableSize(l.record)
		if err != nil {
			return s, err
		}
		root, err := m.imageSize(l.record)
		if err != nil {
			return s, err
		}
		s.SizeRw, s.SizeRootFs = rw, rw+root
	}
	return s, nil
}

// commandLine is docker's one-line form of path and arguments.
func commandLine(c *container.Config) string {
	words := slices.Concat(c.Entrypoint, c.Cmd)
	if len(words) == 0 {
		return ""
	}
	line := words[0]
	for _, w := range words[1:] {
		if strings.Contains(w, " ") {
			w = "'" + w + "'"
		}
		line += " " + w
	}
	return line
}

// statusText is the STATUS column.
func statusText(l live, now time.Time) string {
	up := func() string { return units.HumanDuration(now.Sub(l.StartedAt)) }
	switch l.now {
	case running:
		return "Up " + up() + healthText(l)
	case paused:
		return "Up " + up() + " (Paused)"
	case restarting:
		return fmt.Sprintf("Restarting (%d) %s ago", l.state.ExitCode, units.HumanDuration(now.Sub(l.state.FinishedAt)))
	case removing:
		return "Removal In Progress"
	case dead:
		return "Dead"
	case exited:
		return fmt.Sprintf("Exited (%d) %s ago", l.ExitCode, units.HumanDuration(now.Sub(l.FinishedAt)))
	}
	return "Created"
}

// ports lists what a running container has published and exposed.
func ports(l live, settings *container.NetworkSettings) []container.PortSummary {
	list := []container.PortSummary{}
	if l.state == nil {
		return list
	}
	for port, bindings := range settings.Ports {
		if len(bindings) == 0 {
			list = append(list, container.PortSummary{PrivatePort: port.Num(), Type: string(port.Proto())})
		}
		for _, b := range bindings {
			public, err := strconv.ParseUint(b.HostPort, 10, 16)
			if err != nil {
				continue
			}
			list = append(list, container.PortSummary{
				IP: b.HostIP, PrivatePort: port.Num(), PublicPort: uint16(public), Type: string(port.Proto()),
			})
		}
	}
	slices.SortFunc(list, func(a, b container.PortSummary) int {
		if a.PrivatePort != b.PrivatePort {
			return int(a.PrivatePort) - int(b.PrivatePort)
		}
		return int(a.PublicPort) - int(b.PublicPort)
	})
	return list
}

func mountPoints(mounts []mountPoint) []container.MountPoint {
	points := make([]container.MountPoint, 0, len(mounts))
	for _, p := range mounts {
		if !p.Unlisted {
			points = append(points, p.MountPoint)
		}
	}
	return points
}

// idleNetwork is what is known of the networks of a container that does not run.
func idleNetwork(r *record) *container.NetworkSettings {
	s := &container.NetworkSettings{Ports: network.PortMap{}, Networks: map[string]*network.EndpointSettings{}}
	if r.HostConfig.NetworkMode.IsContainer() {
		return s
	}
	if r.Networking == nil || r.Networking.EndpointsConfig == nil {
		s.Networks[string(r.HostConfig.NetworkMode)] = &network.EndpointSettings{}
		return s
	}
	for name, endpoint := range r.Networking.EndpointsConfig {
		if endpoint == nil {
			endpoint = &network.EndpointSettings{}
		}
		if name == network.NetworkDefault {
			name = network.NetworkBridge
		}
		s.Networks[name] = endpoint.Copy()
	}
	return s
}

// writableSize is what the container has written, in bytes.
func (m *Module) writableSize(r *record) (int64, error) {
	return diskUsage(filepath.Join(m.paths.Container(r.ID), upperDir))
}

func (m *Module) imageSize(r *record) (int64, error) {
	var total int64
	for _, dir := range m.lowerDirs(r) {
		n, err := diskUsage(dir)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
