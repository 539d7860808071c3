package network

import (
	"context"
	"net/netip"
	"os"
	"slices"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/network/resolver"
)

const dnsPort = 53

// register tells the resolver about a container in networks of users.
func (n *Networks) register(ctx context.Context, req backend.EndpointRequest, s *sandbox, upstream []netip.Addr) error {
	r := resolver.Registration{Container: req.ContainerID, Keeper: req.Keeper, NetNS: req.NetNS}
	if r.Keeper == 0 {
		r.Keeper = os.Getpid()
	}
	external := false
	for _, e := range s.endpoints {
		rec := s.nets[e.network]
		external = external || !rec.config.Internal
		if rec.isDefault() {
			continue // names are the business of users' networks
		}
		r.Networks = append(r.Networks, place(e, rec))
	}
	if external {
		for _, server := range upstream {
			r.Servers = append(r.Servers, resolver.Server{
				Address: netip.AddrPortFrom(server, dnsPort),
				// Loopback and link-local addresses mean something to the host only.
				Host: server.IsLoopback() || server.Zone() != "" || server.Is6() && !hasIPv6(s.endpoints),
			})
		}
	}
	return n.resolver.Register(ctx, r, s.netns)
}

func hasIPv6(endpoints []*endpoint) bool {
	return slices.ContainsFunc(endpoints, func(e *endpoint) bool { return e.extra.Default6 })
}

func place(e *endpoint, rec netRecord) resolver.Network {
	p := resolver.Network{ID: rec.id, Name: rec.name, Names: e.extra.Names, Links: e.extra.Links}
	for _, a := range []netip.Addr{e.address, e.address6} {
		if a.IsValid() {
			p.Addresses = append(p.Addresses, a)
		}
	}
	return p
}

// unregister takes out a container that is in no network of users any more.
func (n *Networks) unregister(ctx context.Context, container string) error {
	return n.resolver.Unregister(ctx, container)
}

// Mend starts the resolver again where it should run and does not. It is cheap
// when there is nothing to do.
func (n *Networks) Mend(ctx context.Context) error { return n.resolver.Revive(ctx) }

func (n *Networks) stopResolver(ctx context.Context) error { return n.resolver.Stop(ctx) }

// Rename tells those who ask for a running container by its name. It changes
// nothing else: the container's own files keep what it started with, as in docker.
func (n *Networks) Rename(ctx context.Context, containerID, name string) error {
	unlock, err := n.lock()
	if err != nil {
		return err
	}
	defer unlock()
	endpoints, err := n.endpointsOf(ctx, containerID)
	if err != nil || len(endpoints) == 0 {
		return err
	}
	old := endpoints[0].name
	for _, e := range endpoints {
		if i := slices.Index(e.extra.Names, old); i >= 0 {
			e.extra.Names[i] = name
		}
		e.name = name
	}
	if err := n.record(ctx, change{changed: endpoints}); err != nil {
		return err
	}
	return n.resolver.Rename(ctx, containerID, old, name)
}
