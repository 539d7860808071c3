package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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

// bridge is a network's interface, ready for use.
type bridge struct {
	name   string
	index  int
	mtu    int
	v4, v6 pool // zero: none of that family
}

// ensureBridge returns a network's bridge and builds or repairs it where
// something is missing (first use, reboot, removed by hand). The network's
// present endpoints pin the subnet, and join a bridge that had to be made
// again. It returns the record too: the default bridge's subnet is chosen here.
func (n *Networks) ensureBridge(ctx context.Context, rec netRecord, ifs ifaces, present []endpoint) (bridge, netRecord, error) {
	if len(present) > 0 {
		rec.want = nil // what is in use stays as it is
	}
	if b, ok, err := n.lookAtBridge(rec, ifs); ok || err != nil {
		return b, rec, err
	}
	release, err := lockSubnets()
	if err != nil {
		return bridge{}, rec, err
	}
	defer release()
	if len(present) == 0 {
		if rec, err = n.checkSubnets(ctx, rec); err != nil {
			return bridge{}, rec, err
		}
	}
	name := n.interfaceOf(rec)
	if err := n.buildBridge(rec); err != nil {
		return bridge{}, rec, fmt.Errorf("set up bridge %s: %w", name, err)
	}
	if err := rejoin(name, present); err != nil {
		return bridge{}, rec, err
	}
	b, ok, err := n.lookAtBridge(rec, ifs)
	if err == nil && !ok {
		err = fmt.Errorf("bridge %s is not as it was set up: another program changes it: %w", name, errdefs.ErrUnavailable)
	}
	return b, rec, err
}

// checkSubnets makes sure that a network's subnets are not in use elsewhere on
// the host. The default bridge evades, another network's cannot change.
func (n *Networks) checkSubnets(ctx context.Context, rec netRecord) (netRecord, error) {
	taken, err := n.occupied(ctx, rec)
	if err != nil {
		return rec, err
	}
	if !rec.isDefault() {
		for _, p := range rec.config.Pools {
			if err := refuseOverlap(p.Subnet, taken); err != nil {
				return rec, fmt.Errorf("network %s: %w", rec.name, err)
			}
		}
		return rec, nil
	}
	return n.settleDefault(ctx, rec, taken)
}

// lookAtBridge is the cheap check that every start pays for: five ioctls and two small files.
func (n *Networks) lookAtBridge(rec netRecord, ifs ifaces) (b bridge, ok bool, err error) {
	b = bridge{name: n.interfaceOf(rec), v4: rec.v4(), v6: rec.v6()}
	if len(rec.config.Pools) == 0 || rec.want != nil && !rec.has(rec.want) {
		return bridge{}, false, nil
	}
	if b.index, err = ifs.index(b.name); err != nil || b.index == 0 {
		return bridge{}, false, err
	}
	up, err := ifs.flag(b.name, unix.IFF_UP)
	if err != nil || !up {
		return bridge{}, false, err
	}
	if b.v4.Gateway.IsValid() {
		address, err := ifs.address(b.name)
		if err != nil || address != netip.PrefixFrom(b.v4.Gateway, b.v4.Subnet.Bits()) {
			return bridge{}, false, err
		}
	}
	if b.v6.Gateway.IsValid() {
		if has, err := hasAddress6(b.name, b.v6.Gateway); !has || err != nil {
			return bridge{}, false, err
		}
	}
	if b.mtu, err = ifs.mtu(b.name); err != nil {
		return bridge{}, false, err
	}
	for _, s := range n.sysctls(rec) {
		if !s.isSet() {
			return bridge{}, false, nil
		}
	}
	return b, true, nil
}

// hasAddress6 looks for an address in the kernel's list, whose lines are the
// address in hex, index, prefix length, scope, flags and the interface's name.
func hasAddress6(ifname string, address netip.Addr) (bool, error) {
	list, err := os.ReadFile("/proc/net/if_inet6")
	if err != nil {
		return false, fmt.Errorf("look at interface %s: %w", ifname, err)
	}
	want := hex.EncodeToString(address.AsSlice())
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); len(f) == 6 && f[0] == want && f[5] == ifname {
			return true, nil
		}
	}
	return false, nil
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

func (s sysctl) set() error {
	if s.isSet() {
		return nil // /proc/sys may be read-only
	}
	return os.WriteFile(s.path, []byte(s.value), 0)
}

const (
	forwarding4 = "/proc/sys/net/ipv4/ip_forward"
	forwarding6 = "/proc/sys/net/ipv6/conf/all/forwarding"
)

// sysctls are what the kernel must allow: forwarding between the bridge and
// the host's other interfaces, and packets from 127.0.0.1 leaving over the
// bridge, for ports published on loopback (the rules drop the reverse).
func (n *Networks) sysctls(rec netRecord) []sysctl {
	if rec.config.Internal {
		return nil
	}
	var list []sysctl
	if rec.v4().Subnet.IsValid() {
		list = append(list, sysctl{forwarding4, "1"}, sysctl{filepath.Join("/proc/sys/net/ipv4/conf", n.interfaceOf(rec), "route_localnet"), "1"})
	}
	if rec.v6().Subnet.IsValid() {
		list = append(list, sysctl{forwarding6, "1"})
	}
	return list
}

// buildBridge makes what is missing and leaves what is there. Its hardware
// address is fixed: otherwise it changes with every container that joins, and
// the neighbours' caches go stale.
func (n *Networks) buildBridge(rec netRecord) error {
	name := n.interfaceOf(rec)
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		link, err = addBridge(rec, name)
	}
	if err != nil {
		return err
	}
	if link.Type() != "bridge" {
		return fmt.Errorf("there is an interface of that name that is no bridge: %w", errdefs.ErrConflict)
	}
	for _, family := range []struct {
		pool pool
		id   int
	}{{rec.v4(), netlink.FAMILY_V4}, {rec.v6(), netlink.FAMILY_V6}} {
		if err := setOnlyAddress(link, family.pool, family.id); err != nil {
			return err
		}
	}
	if rec.v6().Subnet.IsValid() && !rec.config.Internal {
		if err := keepRouterAdvertisements(); err != nil {
			return err
		}
	}
	for _, s := range n.sysctls(rec) {
		if err := s.set(); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	return nil
}

func addBridge(rec netRecord, name string) (netlink.Link, error) {
	mtu, err := rec.mtu(), error(nil)
	if mtu == 0 {
		if mtu, err = uplinkMTU(); err != nil {
			return nil, err
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = name, mtu, randomMAC()
	if gateway := rec.v4().Gateway; gateway.IsValid() {
		attrs.HardwareAddr = macOf(gateway)
	}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return nil, fmt.Errorf("create it: %w", err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find it again: %w", err)
	}
	return link, setIPv6(name, rec.v6().Subnet.IsValid())
}

// setIPv6 switches IPv6 of an interface in the calling thread's namespace:
// /proc/sys/net shows everyone his own.
func setIPv6(ifname string, on bool) error {
	value := "1"
	if on {
		value = "0"
	}
	err := os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", ifname, "disable_ipv6"), []byte(value), 0)
	if errors.Is(err, fs.ErrNotExist) && !on {
		return nil // a kernel without IPv6
	}
	if err != nil {
		return fmt.Errorf("switch IPv6 on %s: %w", ifname, err)
	}
	return nil
}

// keepRouterAdvertisements lets interfaces that live on router advertisements
// go on doing so: a host that forwards IPv6 ignores them otherwise, and would
// lose its way out.
func keepRouterAdvertisements() error {
	if (sysctl{forwarding6, "1"}).isSet() {
		return nil
	}
	all, err := filepath.Glob("/proc/sys/net/ipv6/conf/*/accept_ra")
	if err != nil {
		return err
	}
	for _, path := range all {
		if !(sysctl{path, "1"}).isSet() {
			continue
		}
		if err := os.WriteFile(path, []byte("2"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// setOnlyAddress makes the gateway's the interface's only address of its
// family, but for the link's own.
func setOnlyAddress(link netlink.Link, p pool, family int) error {
	want := netip.PrefixFrom(p.Gateway, p.Subnet.Bits())
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(link, family) })
	if err != nil {
		return fmt.Errorf("list its addresses: %w", err)
	}
	for _, a := range addrs {
		if a.IPNet.String() == want.String() || a.Scope == int(netlink.SCOPE_LINK) {
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove address %s: %w", a.IPNet, err)
		}
	}
	if !p.Gateway.IsValid() {
		return nil
	}
	address := &netlink.Addr{IPNet: ipNet(want)}
	if family == netlink.FAMILY_V6 {
		address.Flags = unix.IFA_F_NODAD // nobody else is on a bridge that we have just made
		if err := setIPv6(link.Attrs().Name, true); err != nil {
			return err
		}
	}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("add address %s: %w", want, err)
	}
	return nil
}

// uplinkMTU is the MTU of the interface that leads to the world, so that
// containers do not send what it has to break up; 1500 without one.
func uplinkMTU() (int, error) {
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
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

// randomMAC is for interfaces without an IPv4 address to derive one from.
func randomMAC() net.HardwareAddr {
	mac := net.HardwareAddr{0x02, 0x42, 0, 0, 0, 0}
	rand.Read(mac[2:]) // never fails
	return mac
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
