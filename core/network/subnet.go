package network

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
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

// userPools are those for networks that users make: the first is left to the
// default bridge, which may not have been built yet.
func userPools() []netip.Prefix { return pools()[1:] }

// chooseSubnet returns the first candidate that overlaps nothing in use.
func chooseSubnet(candidates iter.Seq[netip.Prefix], taken []occupant) (netip.Prefix, error) {
	for p := range candidates {
		if overlap(p, taken) == nil {
			return p, nil
		}
	}
	return netip.Prefix{}, errdefs.ErrResourceExhausted.WithMessage("all predefined address pools have been fully subnetted\nhint: choose one with --subnet")
}

// uniqueLocal is a /64 of RFC 4193 that belongs to one network.
func uniqueLocal(networkID string) netip.Prefix {
	sum := sha256.Sum256([]byte(networkID))
	address := [16]byte{0: 0xfd}
	copy(address[1:8], sum[:])
	return netip.PrefixFrom(netip.AddrFrom16(address), 64)
}

// occupant is a part of the address space that is in use on this host.
type occupant struct {
	prefix     netip.Prefix
	what       string
	nameServer bool
	network    bool // one of ours
}

// overlap returns who is in a prefix's way, nil for nobody.
func overlap(p netip.Prefix, taken []occupant) *occupant {
	for i := range taken {
		if p.Overlaps(taken[i].prefix) {
			return &taken[i]
		}
	}
	return nil
}

// refuseOverlap says in docker's words, and by name, who has a wanted subnet.
// A name server does not: it may be meant to be a container.
func refuseOverlap(p netip.Prefix, taken []occupant) error {
	for _, o := range taken {
		if !o.nameServer && p.Overlaps(o.prefix) {
			return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("invalid pool request: Pool overlaps with other one on this address space\nhint: %s overlaps %s %s", p, o.what, o.prefix))
		}
	}
	return nil
}

// occupied is what is in use but by one network itself: on the host, and by
// the other networks, whose interfaces may not be there now.
func (n *Networks) occupied(ctx context.Context, except netRecord) ([]occupant, error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return nil, err
	}
	var own []string
	var taken []occupant
	for _, r := range nets {
		if r.id == except.id {
			own = append(own, n.interfaceOf(r))
			continue
		}
		if r.config.ConfigOnly {
			continue // it asks for subnets, and has none
		}
		for _, p := range r.config.Pools {
			taken = append(taken, occupant{prefix: p.Subnet, what: "network " + r.name + ",", network: true})
		}
	}
	host, err := hostPrefixes(own)
	return append(taken, host...), err
}

// hostPrefixes are the host's addresses, routes (of all tables) and name
// servers, but those of the named interfaces.
func hostPrefixes(except []string) ([]occupant, error) {
	own := map[int]bool{}
	for _, name := range except {
		link, err := netlink.LinkByName(name)
		if err == nil {
			own[link.Attrs().Index] = true
		} else if !errors.As(err, new(netlink.LinkNotFoundError)) {
			return nil, fmt.Errorf("look at interface %s: %w", name, err)
		}
	}
	var found []occupant
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, family) })
		if err != nil {
			return nil, fmt.Errorf("list the host's addresses: %w", err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.IPNet.String()); err == nil && !own[a.LinkIndex] && !everywhere(p.Addr()) {
				found = append(found, occupant{prefix: p.Masked(), what: "an address of the host,"})
			}
		}
		routes, err := whole(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("list the host's routes: %w", err)
		}
		for _, r := range routes {
			if r.Dst == nil || own[r.LinkIndex] {
				continue
			}
			// Only routes to the whole world are shorter than /4; every pool overlaps them.
			if p, err := netip.ParsePrefix(r.Dst.String()); err == nil && p.Bits() >= 4 && !everywhere(p.Addr()) {
				found = append(found, occupant{prefix: p, what: "a route of the host,"})
			}
		}
	}
	if conf, err := os.ReadFile(hostResolvConf); err == nil {
		for _, server := range parseResolvConf(conf).servers {
			found = append(found, occupant{prefix: netip.PrefixFrom(server.WithZone(""), server.BitLen()), what: "a name server,", nameServer: true})
		}
	}
	return found, nil
}

// whole makes a list of the kernel's anew when something changed while it was
// made, as on a host where many interfaces come and go. After some times what
// there is has to do.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 20 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, nil
}

// everywhere are addresses that every interface has: of the link, and multicast.
func everywhere(a netip.Addr) bool { return a.Is6() && (a.IsLinkLocalUnicast() || a.IsMulticast()) }

// lockSubnets keeps engines with different roots from choosing the same
// subnet at the same moment: the choice becomes visible as a route of the
// host before the next one looks. /run is only a handle that all share.
func lockSubnets() (release func(), err error) {
	return flock("/run", os.O_RDONLY)
}
