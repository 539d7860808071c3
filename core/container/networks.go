package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
)

// endpointRequest is what the network module must know of a container; keeper
// is the process that lives as long as the namespace.
func endpointRequest(r *record, netns string, keeper int) backend.EndpointRequest {
	return backend.EndpointRequest{
		ContainerID: r.ID, Name: r.Name, Hostname: r.Config.Hostname, NetNS: netns, Keeper: keeper,
		Config: r.Config, HostConfig: r.HostConfig, Networking: r.Networking,
	}
}

// keeperOf is the shim in the path of its namespace, /proc/<pid>/….
func keeperOf(netns string) int {
	rest, _ := strings.CutPrefix(netns, "/proc/")
	pid, _, _ := strings.Cut(rest, "/")
	n, _ := strconv.Atoi(pid) // not a shim's: none
	return n
}

// NetworkConnect adds a network to a container: at once where it runs, and in
// any case for its next starts.
func (m *Module) NetworkConnect(ctx context.Context, networkName, name string, settings *network.EndpointSettings) error {
	if settings == nil {
		settings = &network.EndpointSettings{}
	}
	return m.changeNetworks(ctx, name, func(l live) error {
		full, err := m.networks.NetworkName(ctx, networkName)
		if err != nil {
			return err
		}
		asked := askedNetworks(l.record)
		if _, there := asked[full]; there && l.state == nil {
			return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("endpoint with name %s already exists in network %s", l.Name, full))
		}
		if mode := l.HostConfig.NetworkMode; mode.IsHost() || mode.IsContainer() {
			return errdefs.ErrPermissionDenied.WithMessage("container sharing network namespace with another container or host cannot be connected to any other network")
		}
		asked[full] = settings
		planned, err := m.networks.Plan(ctx, l.HostConfig, &network.NetworkingConfig{EndpointsConfig: asked})
		if err != nil {
			return err
		}
		if l.state != nil {
			settings := planned.EndpointsConfig[full]
			if err := m.changeRunning(l, func(req backend.EndpointRequest) (backend.Endpoints, error) {
				return m.networks.Join(ctx, req, full, settings)
			}); err != nil {
				return err
			}
		}
		l.record.Networking = planned
		return m.saveSpec(ctx, l.record)
	})
}

// NetworkDisconnect takes a container out of a network. force does so where
// the container or its network has gone.
func (m *Module) NetworkDisconnect(ctx context.Context, networkName, name string, force bool) error {
	return m.changeNetworks(ctx, name, func(l live) error {
		if l.HostConfig.NetworkMode.IsHost() {
			return errdefs.ErrPermissionDenied.WithMessage("container cannot be disconnected from host network or connected to host network")
		}
		asked := askedNetworks(l.record)
		full, err := m.networks.NetworkName(ctx, networkName)
		if errdefs.IsNotFound(err) && force {
			full, err = networkName, nil
		}
		if err != nil {
			return err
		}
		_, there := asked[full]
		if !there && l.state == nil { // of one that runs, the network knows more: a connect may have been killed
			return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("container %s is not connected to network %s", l.ID, full))
		}
		if l.state != nil {
			err := m.changeRunning(l, func(req backend.EndpointRequest) (backend.Endpoints, error) { return m.networks.Leave(ctx, req, full) })
			if err != nil && !(force && there) {
				return err
			}
		}
		delete(asked, full) // without any left, the next start is without network too
		l.record.Networking = &network.NetworkingConfig{EndpointsConfig: asked}
		return m.saveSpec(ctx, l.record)
	})
}

// PortAdd publishes further ports of a container, and returns what was bound:
// nothing yet where it does not run.
func (m *Module) PortAdd(ctx context.Context, name string, ports network.PortMap) (bound network.PortMap, err error) {
	return bound, m.changeNetworks(ctx, name, func(l live) error {
		hc := withBindings(l.HostConfig)
		if l.state != nil {
			if err := m.changeRunning(l, func(req backend.EndpointRequest) (out backend.Endpoints, err error) {
				out, bound, err = m.networks.AddPorts(ctx, req, ports)
				return out, err
			}); err != nil {
				return err
			}
		}
		for port, bindings := range ports {
			hc.PortBindings[port] = append(slices.Clone(hc.PortBindings[port]), bindings...)
		}
		l.record.HostConfig = hc
		return m.saveSpec(ctx, l.record)
	})
}

// PortRemove takes published ports of a container back, and returns those that were bound.
func (m *Module) PortRemove(ctx context.Context, name string, ports network.PortMap) (gone network.PortMap, err error) {
	return gone, m.changeNetworks(ctx, name, func(l live) error {
		hc := withBindings(l.HostConfig)
		if l.state != nil {
			if err := m.changeRunning(l, func(req backend.EndpointRequest) (out backend.Endpoints, err error) {
				out, gone, err = m.networks.RemovePorts(ctx, req, ports)
				return out, err
			}); err != nil {
				return err
			}
		}
		if dropped := dropBindings(hc.PortBindings, ports, gone); !dropped && l.state == nil {
			return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("no such port is published for %s", l.Name))
		}
		l.record.HostConfig = hc
		return m.saveSpec(ctx, l.record)
	})
}

func withBindings(old *container.HostConfig) *container.HostConfig {
	hc := *old
	hc.PortBindings = maps.Clone(hc.PortBindings)
	if hc.PortBindings == nil {
		hc.PortBindings = network.PortMap{}
	}
	return &hc
}

// dropBindings removes the bindings that were named, and those whose host port
// had been left open and was one of gone.
func dropBindings(from, named, gone network.PortMap) (dropped bool) {
	for port, bindings := range from {
		kept := slices.DeleteFunc(slices.Clone(bindings), func(have network.PortBinding) bool {
			covers := func(b network.PortBinding) bool {
				return (!b.HostIP.IsValid() || b.HostIP == have.HostIP || !have.HostIP.IsValid() && b.HostIP.IsUnspecified()) &&
					(b.HostPort == "" || b.HostPort == have.HostPort)
			}
			chosen := func(b network.PortBinding) bool {
				b.HostPort = have.HostPort
				return (have.HostPort == "" || have.HostPort == "0" || strings.Contains(have.HostPort, "-")) && covers(b)
			}
			return slices.ContainsFunc(named[port], covers) || slices.ContainsFunc(gone[port], chosen)
		})
		dropped = dropped || len(kept) < len(bindings)
		if from[port] = kept; len(kept) == 0 {
			delete(from, port)
		}
	}
	return dropped
}

// changeNetworks does one change of a container under its lock.
func (m *Module) changeNetworks(ctx context.Context, name string, change func(live) error) error {
	id, err := m.resolve(ctx, name)
	if err != nil {
		return err
	}
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	l, err := m.lookLocked(ctx, id)
	if err != nil {
		return err
	}
	return change(l)
}

// changeRunning changes the network of a running container, and what it and
// inspect read about it.
func (m *Module) changeRunning(l live, change func(backend.EndpointRequest) (backend.Endpoints, error)) error {
	if l.state.Pid == 0 {
		return notRunning(l.record)
	}
	req := endpointRequest(l.record, fmt.Sprintf("/proc/%d/ns/net", l.state.Pid), l.state.ShimPid)
	if err := m.findLinks(m.background, l.record, &req, false); err != nil {
		return err
	}
	out, err := change(req)
	if err != nil {
		return err
	}
	dir := m.paths.Container(l.ID)
	return errors.Join(
		rewrite(filepath.Join(dir, hostsFile), out.Hosts), rewrite(filepath.Join(dir, resolvConfFile), out.ResolvConf),
		m.keepNetwork(l.ID, out.Settings),
	)
}

// rewrite changes a file that is bind-mounted into a container: in its place,
// for another file of that name would not be seen there.
func rewrite(path string, content []byte) error {
	if content == nil {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the image's own is used
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// askedNetworks are the networks of a container with what was asked of them.
func askedNetworks(r *record) map[string]*network.EndpointSettings {
	asked := map[string]*network.EndpointSettings{}
	if r.Networking != nil && r.Networking.EndpointsConfig != nil {
		maps.Copy(asked, r.Networking.EndpointsConfig)
	} else if !r.HostConfig.NetworkMode.IsContainer() {
		asked[string(r.HostConfig.NetworkMode)] = &network.EndpointSettings{}
	}
	return asked
}
