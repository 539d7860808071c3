package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bridge is the default network's interface, ready for use.
type bridge struct {
	index   int
	mtu     int
	subnet  netip.Prefix
	gateway netip.Addr
}

// ensureBridge returns the bridge and builds or repairs it where something is
// missing (first use, reboot, removed by hand). The present endpoints pin the
// subnet, and join a bridge that had to be made again.
func (n *Networks) ensureBridge(ctx context.Context, rec netRecord, ifs ifaces, present []endpoint) (bridge, error) {
	if b, ok, err := n.lookAtBridge(rec, ifs); ok || err != nil {
		return b, err
	}
	subnet := rec.subnet
	release, err := lockSubnets()
	if err != nil {
		return bridge{}, err
	}
	defer release()
	if len(present) == 0 {
		occupied, err := occupiedPrefixes(n.bridge)
		if err != nil {
			return bridge{}, err
		}
		if !subnet.IsValid() || overlapsAny(subnet, occupied) {
			if subnet, err = chooseSubnet(occupied); err != nil {
				return bridge{}, err
			}
			if err := n.recordSubnet(ctx, subnet); err != nil {
				return bridge{}, err
			}
		}
	}
	if err := n.buildBridge(subnet); err != nil {
		return bridge{}, fmt.Errorf("set up bridge %s: %w", n.bridge, err)
	}
	if err := rejoin(n.bridge, present); err != nil {
		return bridge{}, err
	}
	rec.subnet = subnet
	b, ok, err := n.lookAtBridge(rec, ifs)
	if err == nil && !ok {
		err = fmt.Errorf("bridge %s is not as it was set up: another program changes it: %w", n.bridge, errdefs.ErrUnavailable)
	}
	return b, err
}

// lookAtBridge is the cheap check that every start pays for: five ioctls and two small files.
func (n *Networks) lookAtBridge(rec netRecord, ifs ifaces) (b bridge, ok bool, err error) {
	if !rec.subnet.IsValid() {
		return bridge{}, false, nil
	}
	b = bridge{subnet: rec.subnet, gateway: rec.subnet.Addr().Next()}
	if b.index, err = ifs.index(n.bridge); err != nil || b.index == 0 {
		return bridge{}, false, err
	}
	up, err := ifs.flag(n.bridge, unix.IFF_UP)
	if err != nil || !up {
		return bridge{}, false, err
	}
	address, err := ifs.address(n.bridge)
	if err != nil || address != netip.PrefixFrom(b.gateway, rec.subnet.Bits()) {
		return bridge{}, false, err
	}
	if b.mtu, err = ifs.mtu(n.bridge); err != nil {
		return bridge{}, false, err
	}
	for _, s := range n.sysctls() {
		if !s.isSet() {
			return bridge{}, false, nil
		}
	}
	return b, true, nil
}

// rejoin puts running containers back on a bridge that was removed under them.
func rejoin(name string, present []endpoint) error {
	for _, e := range present {
		link, err := netlink.LinkByName(e.veth)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue // it has died meanwhile
		}
		if err != nil {
			return fmt.Errorf("look at interface %s: %w", e.veth, err)
		}
		if link.Attrs().MasterIndex != 0 {
			continue
		}
		br, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetMaster(link, br)
		}
		if err != nil {
			return fmt.Errorf("join container %s to the bridge %s again: %w", e.name, name, err)
		}
	}
	return nil
}

type sysctl struct{ path, value string }

func (s sysctl) isSet() bool {
	value, err := os.ReadFile(s.path)
	return err == nil && strings.TrimSpace(string(value)) == s.value
}

// sysctls are what the kernel must allow: forwarding between the bridge and
// the host's other interfaces, and packets from 127.0.0.1 leaving over the
// bridge, for ports published on loopback (the rules drop the reverse).
func (n *Networks) sysctls() []sysctl {
	return []sysctl{
		{"/proc/sys/net/ipv4/ip_forward", "1"},
		{filepath.Join("/proc/sys/net/ipv4/conf", n.bridge, "route_localnet"), "1"},
	}
}

// buildBridge makes what is missing and leaves what is there. Its hardware
// address is fixed: otherwise it changes with every container that joins, and
// the neighbours' caches go stale.
func (n *Networks) buildBridge(subnet netip.Prefix) error {
	gateway := subnet.Addr().Next()
	link, err := netlink.LinkByName(n.bridge)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		mtu, err := uplinkMTU()
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr, attrs.MTU = n.bridge, macOf(gateway), mtu
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return fmt.Errorf("create it: %w", err)
		}
		link, err = netlink.LinkByName(n.bridge)
		if err != nil {
			return fmt.Errorf("find it again: %w", err)
		}
	} else if err != nil {
		return fmt.Errorf("look for it: %w", err)
	}
	if err := setOnlyAddress(link, netip.PrefixFrom(gateway, subnet.Bits())); err != nil {
		return err
	}
	ipv6 := filepath.Join("/proc/sys/net/ipv6/conf", n.bridge, "disable_ipv6")
	if err := os.WriteFile(ipv6, []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, s := range n.sysctls() {
		if s.isSet() {
			continue // /proc/sys may be read-only
		}
		if err := os.WriteFile(s.path, []byte(s.value), 0); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	return nil
}

func setOnlyAddress(link netlink.Link, want netip.Prefix) error {
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list its addresses: %w", err)
	}
	for _, a := range addrs {
		if a.IPNet.String() == want.String() {
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove address %s: %w", a.IPNet, err)
		}
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(want)}); err != nil {
		return fmt.Errorf("add address %s: %w", want, err)
	}
	return nil
}

// uplinkMTU is the MTU of the interface that leads to the world, so that
// containers do not send what it has to break up; 1500 without one.
func uplinkMTU() (int, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return 0, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() || r.LinkIndex == 0 {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			return 0, fmt.Errorf("look at the interface of the default route: %w", err)
		}
		return link.Attrs().MTU, nil
	}
	return 1500, nil
}

// macOf is docker's hardware address for an IPv4 address: 02:42 and its four bytes.
func macOf(ip netip.Addr) net.HardwareAddr {
	b := ip.As4()
	return net.HardwareAddr{0x02, 0x42, b[0], b[1], b[2], b[3]}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
