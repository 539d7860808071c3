package network

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
)

// withDefaults gives a request the name servers that the engine's
// configuration has for containers that name none.
func (n *Networks) withDefaults(req backend.EndpointRequest) (backend.EndpointRequest, error) {
	c, err := n.config.Load()
	if err != nil {
		return req, err
	}
	hc := container.HostConfig{}
	if req.HostConfig != nil {
		hc = *req.HostConfig
	}
	if len(hc.DNS) == 0 {
		hc.DNS = c.DNS
	}
	if len(hc.DNSSearch) == 0 {
		hc.DNSSearch = c.DNSSearch
	}
	if len(hc.DNSOptions) == 0 {
		hc.DNSOptions = c.DNSOptions
	}
	if len(c.HostGatewayIPs) > 0 {
		hc.ExtraHosts = nameGateways(hc.ExtraHosts, c.HostGatewayIPs)
	}
	req.HostConfig = &hc
	return req, nil
}

// nameGateways puts addresses in the place of the word host-gateway.
func nameGateways(extra []string, gateways []netip.Addr) []string {
	var named []string
	for _, e := range extra {
		name, value, ok := cutExtraHost(e)
		if !ok || value != hostGateway {
			named = append(named, e)
			continue
		}
		for _, ip := range gateways {
			named = append(named, name+"="+ip.String())
		}
	}
	return named
}

// defaultConfig is the default network as the configuration wants it. pools are
// those that it has now: they stay until no container is in it, see wantPools.
func defaultConfig(c config.Config, pools []pool) netConfig {
	options := map[string]string{}
	if c.MTU > 0 {
		options[optionMTU] = fmt.Sprint(c.MTU)
	}
	if c.BindingIP.IsValid() {
		options[optionBinding] = c.BindingIP.String()
	}
	for option, given := range map[string]*bool{optionICC: c.ICC, optionMasquerade: c.IPMasq} {
		if given != nil {
			options[option] = fmt.Sprint(*given)
		}
	}
	return netConfig{Options: options, IPv6: c.IPv6, Pools: pools}
}

// wantPools are the pools that the configuration asks of the default network. A
// pool without subnet stands for one of our choice.
func wantPools(c config.Config, networkID string) []pool {
	four := wantPool(c.BIP, c.FixedCIDR)
	if !c.IPv6 {
		return []pool{four}
	}
	six := wantPool(c.BIP6, c.FixedCIDRv6)
	if !six.Subnet.IsValid() {
		six = chosenPool(uniqueLocal(networkID))
	}
	return []pool{four, six}
}

// wantPool reads docker's bip, the bridge's address with its subnet, and
// fixed-cidr, the part of it that containers get; alone it is the subnet.
func wantPool(bridge, fixed netip.Prefix) pool {
	switch {
	case bridge.IsValid():
		return pool{Subnet: bridge.Masked(), Gateway: bridge.Addr(), Range: fixed, Chosen: true}
	case fixed.IsValid():
		return pool{Subnet: fixed, Gateway: fixed.Addr().Next(), Range: fixed, Chosen: true}
	}
	return pool{}
}

// has says whether a network's pools are those that are wanted.
func (r netRecord) has(want []pool) bool {
	if len(r.config.Pools) != len(want) {
		return false
	}
	for i, p := range r.config.Pools {
		if w := want[i]; w.Subnet.IsValid() && (p.Subnet != w.Subnet || p.Gateway != w.Gateway || p.Range != w.Range) {
			return false
		}
	}
	return true
}

// settleDefault gives the default network, which no container is in, the pools
// that the configuration wants. Those of our own choice evade what is in use.
func (n *Networks) settleDefault(ctx context.Context, rec netRecord, taken []occupant) (netRecord, error) {
	pools := slices.Clone(rec.want)
	for i, p := range pools {
		switch now := rec.v4(); {
		case p.Range.IsValid() && !(p.Subnet.Contains(p.Range.Addr()) && p.Range.Bits() >= p.Subnet.Bits()):
			return rec, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("configuration of network %s: fixed-cidr %s is not in bip's subnet %s", rec.name, p.Range, p.Subnet))
		case p.Subnet.IsValid():
			if err := refuseOverlap(p.Subnet, taken); err != nil {
				return rec, fmt.Errorf("network %s, as the configuration wants it: %w", rec.name, err)
			}
		case now.Subnet.IsValid() && overlap(now.Subnet, taken) == nil:
			pools[i] = now
		default:
			candidates, err := n.candidates(true)
			if err != nil {
				return rec, err
			}
			subnet, err := chooseSubnet(candidates, taken)
			if err != nil {
				return rec, err
			}
			pools[i] = chosenPool(subnet)
		}
	}
	if len(rec.config.Pools) > 0 && rec.has(pools) {
		return rec, nil
	}
	rec.config.Pools = pools
	return rec, n.recordPools(ctx, rec)
}

// withDefaultOptions are a new network's options, on top of those that the
// configuration has for all networks of the driver.
func (n *Networks) withDefaultOptions(req network.CreateRequest) (network.CreateRequest, error) {
	c, err := n.config.Load()
	if err != nil {
		return req, err
	}
	options := maps.Clone(c.DefaultNetworkOpts[cmp.Or(req.Driver, driverBridge)])
	if options != nil {
		maps.Copy(options, req.Options)
		req.Options = options
	}
	return req, nil
}

// candidates are the subnets that a new network may get, those of the
// configuration's pools, else of docker's; of those the first is left to the
// default network, which may not have been built yet.
func (n *Networks) candidates(forDefault bool) (iter.Seq[netip.Prefix], error) {
	c, err := n.config.Load()
	if err != nil {
		return nil, err
	}
	builtin := pools()
	if !forDefault {
		builtin = userPools()
	}
	return func(yield func(netip.Prefix) bool) {
		configured := false
		for subnet := range configuredSubnets(c, true) {
			if configured = true; !yield(subnet) {
				return
			}
		}
		for i := 0; !configured && i < len(builtin); i++ {
			if !yield(builtin[i]) {
				return
			}
		}
	}, nil
}

// configuredSubnets are those of the configuration's pools, of one family.
func configuredSubnets(c config.Config, is4 bool) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for _, p := range c.DefaultAddressPools {
			if p.Base.Addr().Is4() != is4 {
				continue
			}
			for subnet := range subnets(p) {
				if !yield(subnet) {
					return
				}
			}
		}
	}
}

// chooseIPv6 is the IPv6 subnet of a new network that names none.
func (n *Networks) chooseIPv6(networkID string, taken []occupant) (netip.Prefix, error) {
	c, err := n.config.Load()
	if err != nil {
		return netip.Prefix{}, err
	}
	for range configuredSubnets(c, false) {
		return chooseSubnet(configuredSubnets(c, false), taken)
	}
	return uniqueLocal(networkID), nil
}

// subnets are all subnets of a pool's size in its base, in order.
func subnets(p config.Pool) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for address := p.Base.Masked().Addr(); p.Base.Contains(address); {
			if !yield(netip.PrefixFrom(address, p.Size)) {
				return
			}
			next, ok := netip.AddrFromSlice(afterLast(netip.PrefixFrom(address, p.Size)))
			if !ok || !address.Less(next) {
				return
			}
			address = next
		}
	}
}
