package network

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/filter"
)

// NetworkList returns the networks that match, sorted by name: filters name,
// id, driver, type, scope, label, dangling.
func (n *Networks) NetworkList(ctx context.Context, filters filter.Args) ([]network.Summary, error) {
	if err := filters.Validate("name", "id", "driver", "type", "scope", "label", "label!", "dangling"); err != nil {
		return nil, err
	}
	for _, v := range filters["type"] {
		if v != "custom" && v != "builtin" {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid filter: 'type'='%s'", v))
		}
	}
	dangling, err := filters.Bool("dangling", false)
	if err != nil {
		return nil, err
	}
	nets, err := n.networks(ctx)
	if err != nil {
		return nil, err
	}
	c := &census{}
	if filters.Has("dangling") {
		if c, err = n.count(ctx); err != nil {
			return nil, err
		}
	}
	list := []network.Summary{}
	for _, name := range slices.Sorted(maps.Keys(nets)) {
		r := nets[name]
		unused := !r.predefined() && len(c.usersOf(name)) == 0 // the predefined networks never count as dangling
		if matches(filters, r) && (!filters.Has("dangling") || unused == dangling) {
			list = append(list, network.Summary{Network: n.describe(r)})
		}
	}
	return list, nil
}

func matches(f filter.Args, r netRecord) bool {
	kind := "custom"
	if r.predefined() {
		kind = "builtin"
	}
	return f.Any("name", func(v string) bool { return strings.Contains(r.name, v) }) &&
		f.Any("id", func(v string) bool { return strings.HasPrefix(r.id, v) }) &&
		f.Exact("driver", r.driver) && f.Exact("type", kind) && f.Exact("scope", "local") && f.Labels(r.config.Labels)
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
	c, err := n.count(ctx)
	if err != nil {
		return network.Inspect{}, err
	}
	for _, e := range c.alive {
		if e.network != r.name {
			continue
		}
		seen := network.EndpointResource{Name: e.name, EndpointID: e.id, MacAddress: network.HardwareAddr(e.mac)}
		if e.address.IsValid() {
			seen.IPv4Address = netip.PrefixFrom(e.address, r.v4().Subnet.Bits())
		}
		if e.address6.IsValid() {
			seen.IPv6Address = netip.PrefixFrom(e.address6, r.v6().Subnet.Bits())
		}
		out.Containers[e.container] = seen
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
		return netRecord{}, networkNotFound(name)
	}
	return netRecord{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("network %s is ambiguous (%d matches found on ID prefix)", name, len(found)))
}

func networkNotFound(name string) error {
	return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("network %s not found", name))
}

func (n *Networks) describe(r netRecord) network.Network {
	out := network.Network{
		Name: r.name, ID: r.id, Created: r.created, Scope: "local", Driver: r.driver,
		EnableIPv4: !r.config.NoIPv4, EnableIPv6: r.config.IPv6, Internal: r.config.Internal, Attachable: r.config.Attachable,
		ConfigOnly: r.config.ConfigOnly, ConfigFrom: network.ConfigReference{Network: r.config.ConfigFrom},
		IPAM:    network.IPAM{Driver: "default", Options: r.config.IPAMOptions, Config: []network.IPAMConfig{}},
		Options: map[string]string{}, Labels: map[string]string{},
	}
	if r.isDefault() {
		maps.Copy(out.Options, map[string]string{optionDefault: "true", optionICC: "true", optionMasquerade: "true", optionBinding: "0.0.0.0", optionName: n.bridge})
	}
	maps.Copy(out.Options, r.config.Options)
	maps.Copy(out.Labels, r.config.Labels)
	for _, p := range r.config.Pools {
		out.IPAM.Config = append(out.IPAM.Config, network.IPAMConfig{Subnet: p.Subnet, Gateway: p.Gateway, IPRange: p.Range, AuxAddress: p.Aux})
	}
	return out
}
