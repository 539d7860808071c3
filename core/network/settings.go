package network

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
)

// files is everything that follows from a container's endpoints: what inspect
// shows, its /etc/hosts and /etc/resolv.conf, and what the resolver knows.
func (n *Networks) files(ctx context.Context, req backend.EndpointRequest, s *sandbox) (out backend.Endpoints, err error) {
	out.Settings = s.settings(req)
	links, err := n.linkedHosts(ctx, req)
	if err != nil {
		return out, err
	}
	if out.Hosts, err = containerHosts(req, s.hostGateway(), links, s.endpoints...); err != nil {
		return out, err
	}
	if !s.inUserNetwork() {
		if out.ResolvConf, err = containerResolvConf(req.HostConfig, true); err != nil || s.joined != nil {
			return out, err // nobody has registered a container that starts
		}
		return out, n.unregister(ctx, req.ContainerID)
	}
	var upstream []netip.Addr
	if out.ResolvConf, upstream, err = embeddedResolvConf(req.HostConfig); err != nil {
		return out, err
	}
	return out, n.register(ctx, req, s, upstream)
}

// hostGateway is the host's address as the container sees it.
func (s *sandbox) hostGateway() netip.Addr {
	for _, e := range gatewaysFirst(s.endpoints) {
		if r := s.nets[e.network]; r.isBridge() && !r.config.Internal && r.v4().Gateway.IsValid() {
			return r.v4().Gateway
		}
	}
	return s.nets[network.NetworkBridge].v4().Gateway
}

// linkedHosts are the lines for the containers that one on the default network is linked to.
func (n *Networks) linkedHosts(ctx context.Context, req backend.EndpointRequest) ([]byte, error) {
	var b bytes.Buffer
	for _, l := range req.Links {
		endpoints, err := n.endpointsOf(ctx, l.ContainerID)
		if err != nil {
			return nil, err
		}
		for _, e := range endpoints {
			if e.network != network.NetworkBridge {
				continue
			}
			fmt.Fprintf(&b, "%s\t%s", e.address, l.Alias)
			for _, name := range []string{l.Hostname, l.Name} {
				if name != l.Alias {
					fmt.Fprintf(&b, " %s", name)
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.Bytes(), nil
}

// settings is what inspect shows of a container in networks.
func (s *sandbox) settings(req backend.EndpointRequest) *container.NetworkSettings {
	sum := sha256.Sum256([]byte(req.ContainerID))
	out := &container.NetworkSettings{
		SandboxID: hex.EncodeToString(sum[:]), SandboxKey: req.NetNS,
		Ports: network.PortMap{}, Networks: map[string]*network.EndpointSettings{},
	}
	given := requestedNetworks(req)
	for _, a := range s.joined {
		given[a.rec.name] = a.given
	}
	if req.Config != nil {
		for port := range req.Config.ExposedPorts {
			out.Ports[port] = nil
		}
	}
	for port := range req.HostConfig.PortBindings {
		out.Ports[port] = nil
	}
	for _, e := range s.endpoints {
		out.Networks[e.network] = e.settings(s.nets[e.network], given[e.network])
		for _, p := range e.ports {
			port, _ := network.PortFrom(p.containerPort, p.proto)
			out.Ports[port] = append(out.Ports[port], p.binding())
		}
	}
	return out
}

func (p publication) binding() network.PortBinding {
	return network.PortBinding{HostIP: p.hostIP, HostPort: strconv.Itoa(int(p.hostPort))}
}

// settings are an endpoint's, on top of what the user asked for.
func (e *endpoint) settings(r netRecord, given *network.EndpointSettings) *network.EndpointSettings {
	out := &network.EndpointSettings{}
	if given != nil {
		out = given.Copy()
	}
	out.NetworkID, out.EndpointID, out.MacAddress = r.id, e.id, network.HardwareAddr(e.mac)
	out.DNSNames = e.extra.Names
	if e.address.IsValid() {
		out.IPAddress, out.IPPrefixLen = e.address, r.v4().Subnet.Bits()
	}
	if e.address6.IsValid() {
		out.GlobalIPv6Address, out.GlobalIPv6PrefixLen = e.address6, r.v6().Subnet.Bits()
	}
	if !r.config.Internal {
		out.Gateway, out.IPv6Gateway = r.v4().Gateway, r.v6().Gateway
	}
	return out
}

// plainSettings joins a container to a network without addresses.
func plainSettings(r netRecord, req backend.EndpointRequest) *container.NetworkSettings {
	e := &network.EndpointSettings{}
	if given := requestedNetworks(req)[r.name]; given != nil {
		e = given.Copy()
	}
	e.NetworkID, e.EndpointID = r.id, newID()
	return &container.NetworkSettings{
		SandboxID: newID(), SandboxKey: req.NetNS,
		Ports:    network.PortMap{},
		Networks: map[string]*network.EndpointSettings{r.name: e},
	}
}
