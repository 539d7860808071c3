package network

import (
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"
)

// allocate gives an endpoint its addresses in a network: those that were asked
// for, or the lowest free ones.
func (w wanted) allocate(r netRecord, c *census) (*endpoint, error) {
	ep := &endpoint{id: w.id, network: r.name, container: w.container, name: w.name, mac: w.mac, ifname: w.ifname, sandbox: w.sandbox, extra: w.extra, binding: r.binding()}
	if r.isBridge() {
		ep.veth = w.veth()
	}
	used := c.usedAddresses(r)
	for _, family := range []struct {
		pool pool
		want netip.Addr
		into *netip.Addr
	}{{r.v4(), w.ip4, &ep.address}, {r.v6(), w.ip6, &ep.address6}} {
		if !family.pool.Subnet.IsValid() {
			if family.want.IsValid() {
				return nil, noSubnetFor(family.want)
			}
			continue
		}
		address, err := family.pool.take(r.name, family.want, used)
		if err != nil {
			return nil, err
		}
		*family.into = address
	}
	if ep.mac == nil {
		ep.mac = randomMAC()
		if ep.address.IsValid() {
			ep.mac = macOf(ep.address)
		}
	}
	return ep, nil
}

// take returns the wanted address, or the lowest free one.
func (p pool) take(network string, want netip.Addr, used map[netip.Addr]string) (netip.Addr, error) {
	if want.IsValid() {
		switch owner, taken := used[want]; {
		case !p.Subnet.IsValid():
			return want, noSubnetFor(want)
		case p.Chosen:
			return want, errdefs.ErrInvalidArgument.WithMessage("user specified IP address is supported only when connecting to networks with user configured subnets")
		case !p.Subnet.Contains(want):
			return want, noSubnetFor(want)
		case taken:
			return want, errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("Address already in use\nhint: %s has %s in network %s", owner, want, network))
		}
		return want, nil
	}
	within := p.Subnet
	if p.Range.IsValid() {
		within = p.Range
	}
	address := within.Masked().Addr()
	if address == p.Subnet.Masked().Addr() {
		address = address.Next() // the subnet's own name
	}
	for ; within.Contains(address); address = address.Next() {
		if _, taken := used[address]; taken {
			continue
		}
		if address.Is4() && p.Subnet.Bits() < 31 && !p.Subnet.Contains(address.Next()) {
			break // the broadcast address
		}
		return address, nil
	}
	return netip.Addr{}, errdefs.ErrResourceExhausted.WithMessage(fmt.Sprintf("no available %s addresses on this network's address pools: %s (%s)", familyName(within), network, within))
}

func familyName(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

func noSubnetFor(ip netip.Addr) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid endpoint settings: no configured subnet or ip-range contain the IP address %s", ip))
}
