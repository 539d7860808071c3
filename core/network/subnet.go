package network

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
)

// pools are docker's default address pools: 172.17.0.0/16 to 172.31.0.0/16,
// then 192.168.0.0/20 to 192.168.240.0/20.
func pools() []netip.Prefix {
	var all []netip.Prefix
	for b := 17; b <= 31; b++ {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(b), 0, 0}), 16))
	}
	for c := 0; c <= 240; c += 16 {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(c), 0}), 20))
	}
	return all
}

// chooseSubnet returns the first pool that overlaps nothing in use.
func chooseSubnet(occupied []netip.Prefix) (netip.Prefix, error) {
	for _, p := range pools() {
		if !overlapsAny(p, occupied) {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network: %w", errdefs.ErrResourceExhausted)
}

func overlapsAny(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if p.Overlaps(o) {
			return true
		}
	}
	return false
}

// occupiedPrefixes are the host's addresses, routes (of all tables) and name
// servers, but those of the named interface.
func occupiedPrefixes(except string) ([]netip.Prefix, error) {
	own := 0
	if link, err := netlink.LinkByName(except); err == nil {
		own = link.Attrs().Index
	}
	var found []netip.Prefix
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	for _, a := range addrs {
		if a.LinkIndex == own {
			continue
		}
		if p, err := netip.ParsePrefix(a.IPNet.String()); err == nil {
			found = append(found, p.Masked())
		}
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil || r.LinkIndex == own && own != 0 {
			continue
		}
		// Only routes to the whole world are shorter than /4; every pool overlaps them.
		if p, err := netip.ParsePrefix(r.Dst.String()); err == nil && p.Bits() >= 4 {
			found = append(found, p)
		}
	}
	if conf, err := os.ReadFile(hostResolvConf); err == nil {
		for _, server := range parseResolvConf(conf).servers {
			if server.Is4() {
				found = append(found, netip.PrefixFrom(server, 32))
			}
		}
	}
	return found, nil
}

// lockSubnets keeps engines with different roots from choosing the same
// subnet at the same moment: the choice becomes visible as a route of the
// host before the next one looks. /run is only a handle that all share.
func lockSubnets() (release func(), err error) {
	return flock("/run", os.O_RDONLY)
}
