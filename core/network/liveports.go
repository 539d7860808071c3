package network

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
)

// AddPorts publishes further ports of a running container, as `-p` would have
// at its creation. It returns the container's settings and what was bound,
// with the host's ports that were chosen.
func (n *Networks) AddPorts(ctx context.Context, req backend.EndpointRequest, ports network.PortMap) (backend.Endpoints, network.PortMap, error) {
	requests, err := portRequests(nil, &container.HostConfig{PortBindings: ports})
	if err != nil {
		return backend.Endpoints{}, nil, err
	}
	var before int
	var to *endpoint
	out, err := n.changePorts(ctx, req, func(s *sandbox, c *census, ifs ifaces) (withdrawn, added []publication, err error) {
		if to = portHeir(s.nets, nil, gatewaysFirst(s.endpoints)...); to == nil {
			return nil, nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf("cannot publish ports of container %s: it is in no network that is reached through the host", req.Name))
		}
		before = len(to.ports)
		to.binding = s.nets[to.network].binding()
		if err := c.allocatePorts(requests, to, ifs); err != nil {
			return nil, nil, err
		}
		return nil, to.ports[before:], allowHairpin(to.veth)
	})
	if err != nil {
		return out, nil, err
	}
	return out, portMap(to.ports[before:]), nil
}

// RemovePorts takes published ports of a running container back. A binding
// without address or host port stands for all of its container's port.
// It fails with errdefs.ErrNotFound for a port that is not published.
func (n *Networks) RemovePorts(ctx context.Context, req backend.EndpointRequest, ports network.PortMap) (backend.Endpoints, network.PortMap, error) {
	requests, err := portRequests(nil, &container.HostConfig{PortBindings: ports})
	if err != nil {
		return backend.Endpoints{}, nil, err
	}
	var gone []publication
	out, err := n.changePorts(ctx, req, func(s *sandbox, _ *census, _ ifaces) (withdrawn, added []publication, err error) {
		for _, r := range requests {
			found := takeOut(s.endpoints, r)
			if found == nil {
				return nil, nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("no public port '%s' published for %s", r, req.Name))
			}
			gone = append(gone, found...)
		}
		return gone, nil, nil
	})
	return out, portMap(gone), err
}

// takeOut removes from the endpoints the publications that a request means.
func takeOut(endpoints []*endpoint, r portRequest) (found []publication) {
	for _, e := range endpoints {
		e.ports = slices.DeleteFunc(e.ports, func(p publication) bool {
			means := p.proto == r.container.Proto() && p.containerPort == r.container.Num() &&
				(!r.hostIP.IsValid() || p.hostIP == r.hostIP) && (r.ports.IsZero() || p.hostPort >= r.ports.Start() && p.hostPort <= r.ports.End())
			if means {
				found = append(found, p)
			}
			return means
		})
	}
	return found
}

// String is the request as `-p` has it.
func (r portRequest) String() string {
	text := r.container.String()
	if !r.ports.IsZero() {
		host := fmt.Sprint(r.ports.Start())
		if r.ports.End() != r.ports.Start() {
			host += fmt.Sprint("-", r.ports.End())
		}
		text = host + ":" + text
	}
	return text
}

// gatewaysFirst puts the endpoints first that give the default routes.
func gatewaysFirst(endpoints []*endpoint) []*endpoint {
	sorted := slices.Clone(endpoints)
	rank := func(e *endpoint) int {
		switch {
		case e.extra.Default4:
			return 0
		case e.extra.Default6:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(sorted, func(a, b *endpoint) int { return rank(a) - rank(b) })
	return sorted
}

// changePorts does a change of a running container's ports under the lock:
// rules first, then records. Only the settings come back: names and files stay.
func (n *Networks) changePorts(ctx context.Context, req backend.EndpointRequest,
	decide func(*sandbox, *census, ifaces) (withdrawn, added []publication, err error)) (out backend.Endpoints, err error) {
	unlock, err := n.lock()
	if err != nil {
		return out, err
	}
	defer unlock()
	nets, err := n.networks(ctx)
	if err != nil {
		return out, err
	}
	ifs, err := openIfaces()
	if err != nil {
		return out, err
	}
	defer ifs.close()
	c, err := n.count(ctx)
	if err != nil {
		return out, err
	}
	s := &sandbox{nets: nets, endpoints: c.of(req.ContainerID)}
	withdrawn, added, err := decide(s, c, ifs)
	if err != nil {
		return out, err
	}
	if err := n.publish(nets, withdrawn, added, c.published()); err != nil {
		return out, err
	}
	if err := forgetFlows(added); err != nil {
		return out, err
	}
	if err := n.record(ctx, change{changed: s.endpoints}); err != nil {
		return out, err
	}
	return backend.Endpoints{Settings: s.settings(req)}, nil
}

// portMap is docker's form of publications.
func portMap(ports []publication) network.PortMap {
	m := network.PortMap{}
	for _, p := range ports {
		port, _ := network.PortFrom(p.containerPort, p.proto)
		m[port] = append(m[port], p.binding())
	}
	return m
}
