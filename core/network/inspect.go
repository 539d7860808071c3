package network

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// NetworkList returns the networks that match: filters name, id, driver,
// type, scope, label, dangling.
func (n *Networks) NetworkList(ctx context.Context, filters filter.Args) ([]network.Summary, error) {
	if err := filters.Validate("name", "id", "driver", "type", "scope", "label", "label!", "dangling"); err != nil {
		return nil, err
	}
	dangling, err := filters.Bool("dangling", false)
	if err != nil {
		return nil, err
	}
	nets, err := n.networks(ctx)
	if err != nil {
		return nil, err
	}
	list := []network.Summary{}
	for _, p := range predefined {
		r := nets[p.name]
		if matches(filters, r) && !dangling { // the predefined networks never count as dangling
			list = append(list, network.Summary{Network: n.describe(r)})
		}
	}
	return list, nil
}

func matches(f filter.Args, r netRecord) bool {
	return f.Any("name", func(v string) bool { return strings.Contains(r.name, v) }) &&
		f.Any("id", func(v string) bool { return strings.HasPrefix(r.id, v) }) &&
		f.Exact("driver", r.driver) && f.Exact("type", "builtin") && f.Exact("scope", "local") && f.Labels(nil)
}

// NetworkInspect finds a network by name, id or the beginning of an id.
func (n *Networks) NetworkInspect(ctx context.Context, name string) (network.Inspect, error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return network.Inspect{}, err
	}
	r, err := findNetwork(nets, name)
	if err != nil {
		return network.Inspect{}, err
	}
	out := network.Inspect{Network: n.describe(r), Containers: map[string]network.EndpointResource{}}
	if r.name != network.NetworkBridge {
		return out, nil
	}
	ifs, err := openIfaces()
	if err != nil {
		return network.Inspect{}, err
	}
	defer ifs.close()
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return network.Inspect{}, err
	}
	c, err := takeCensus(recorded, ifs, "")
	if err != nil {
		return network.Inspect{}, err
	}
	for _, e := range c.alive {
		out.Containers[e.container] = network.EndpointResource{
			Name: e.name, EndpointID: e.id, MacAddress: network.HardwareAddr(e.mac),
			IPv4Address: netip.PrefixFrom(e.address, r.subnet.Bits()),
		}
	}
	return out, nil
}

func findNetwork(nets map[string]netRecord, name string) (netRecord, error) {
	if r, ok := nets[name]; ok {
		return r, nil
	}
	var found []netRecord
	for _, r := range nets {
		if name != "" && strings.HasPrefix(r.id, name) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return netRecord{}, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("network %s not found", name))
	}
	return netRecord{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("network %s is ambiguous (%d matches found on ID prefix)", name, len(found)))
}

func (n *Networks) describe(r netRecord) network.Network {
	out := network.Network{
		Name: r.name, ID: r.id, Created: r.created, Scope: "local", Driver: r.driver, EnableIPv4: true,
		IPAM: network.IPAM{Driver: "default", Config: []network.IPAMConfig{}}, Options: map[string]string{}, Labels: map[string]string{},
	}
	if r.name == network.NetworkBridge {
		out.Options = map[string]string{
			"com.docker.network.bridge.default_bridge":       "true",
			"com.docker.network.bridge.enable_icc":           "true",
			"com.docker.network.bridge.enable_ip_masquerade": "true",
			"com.docker.network.bridge.host_binding_ipv4":    "0.0.0.0",
			"com.docker.network.bridge.name":                 n.bridge,
		}
		if r.subnet.IsValid() {
			out.IPAM.Config = []network.IPAMConfig{{Subnet: r.subnet, Gateway: r.subnet.Addr().Next()}}
		}
	}
	return out
}

// bridgeSettings is what inspect shows of a container on the bridge.
func bridgeSettings(r netRecord, req backend.EndpointRequest, ep *endpoint, b bridge) *container.NetworkSettings {
	s := plainSettings(r, req)
	e := s.Networks[r.name]
	e.EndpointID = ep.id
	e.Gateway, e.IPAddress, e.IPPrefixLen = b.gateway, ep.address, b.subnet.Bits()
	e.MacAddress = network.HardwareAddr(ep.mac)
	for port := range req.Config.ExposedPorts {
		s.Ports[port] = nil
	}
	for port := range req.HostConfig.PortBindings {
		s.Ports[port] = nil
	}
	for _, p := range ep.ports {
		port, _ := network.PortFrom(p.containerPort, p.proto)
		s.Ports[port] = append(s.Ports[port], network.PortBinding{HostIP: p.hostIP, HostPort: strconv.Itoa(int(p.hostPort))})
	}
	return s
}

// plainSettings joins a container to a network without addresses.
func plainSettings(r netRecord, req backend.EndpointRequest) *container.NetworkSettings {
	e := &network.EndpointSettings{}
	if given := requestedSettings(req); given != nil {
		e = given.Copy()
	}
	e.NetworkID, e.EndpointID = r.id, newID()
	return &container.NetworkSettings{
		SandboxID: newID(), SandboxKey: req.NetNS,
		Ports:    network.PortMap{},
		Networks: map[string]*network.EndpointSettings{r.name: e},
	}
}
