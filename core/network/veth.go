package network

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/thread"
)

// startVeth begins to make the pair: the host's end on the bridge and up, the
// peer in the container's namespace from its first moment. The answer waits
// for the outcome.
func startVeth(w wanted, b bridge, icc bool, netns int) func() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex, attrs.MTU, attrs.Flags = w.veth(), b.index, b.mtu, net.FlagUp
	// One queue is what a pair needs; the kernel's default, one per possible
	// processor, costs a file in sysfs each.
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace, veth.PeerMTU = w.ifname, netlink.NsFd(netns), uint32(b.mtu)
	return inBackground(func() error {
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("join the container to the bridge %s: %w", b.name, err)
		}
		if icc {
			return nil
		}
		return setPort(w.veth(), "isolation", netlink.LinkSetIsolated)
	})
}

// inBackground begins work and returns what waits for its outcome.
func inBackground(work func() error) func() error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	return sync.OnceValue(func() error { return <-done })
}

// configure sets up both ends of an attachment's interface, in the background.
func configure(a *attachment, netns int) <-chan error {
	done := make(chan error, 1)
	go func() { done <- configureBoth(a, netns) }()
	return done
}

func configureBoth(a *attachment, netns int) error {
	ep := a.endpoint
	if a.rec.isBridge() && len(ep.ports) > 0 {
		if err := allowHairpin(ep.veth); err != nil {
			return err
		}
	}
	err := inNetNS(netns, func() error { return configureContainer(ep, a.rec) })
	if err != nil || !a.rec.isBridge() {
		return err
	}
	if err := awaitRunning(ep.veth, netlink.LinkByName); err != nil {
		return err
	}
	return awaitRunning(a.bridge.name, netlink.LinkByName)
}

// runningPatience is far more than the kernel needs, also on a busy machine.
const runningPatience = 10 * time.Second

// awaitRunning waits until packets pass an interface that has just been brought
// up. The kernel's link watch does that in its own time, and until then the
// bridge drops what comes: a lost ARP request costs the first connection a
// second. To be asked about an interface makes it do so at once (Linux 6.8).
func awaitRunning(name string, ask func(string) (netlink.Link, error)) error {
	ifs, err := openIfaces()
	if err != nil {
		return err
	}
	defer ifs.close()
	for deadline := time.Now().Add(runningPatience); ; time.Sleep(200 * time.Microsecond) {
		if running, err := ifs.flag(name, unix.IFF_RUNNING); running || err != nil {
			return err
		}
		link, err := ask(name)
		if err != nil {
			return fmt.Errorf("look at interface %s: %w", name, err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("interface %s stays %s: %w", name, link.Attrs().OperState, errdefs.ErrUnavailable)
		}
	}
}

// allowHairpin lets a container reach itself through its own published port:
// where the kernel filters bridged packets (bridge-nf-call-iptables), such a
// packet leaves the bridge by the port it came in at.
func allowHairpin(veth string) error { return setPort(veth, "hairpin mode", netlink.LinkSetHairpin) }

// setPort switches a property of a bridge's port on.
func setPort(veth, what string, set func(netlink.Link, bool) error) error {
	ifs, err := openIfaces()
	if err != nil {
		return err
	}
	defer ifs.close()
	index, err := ifs.index(veth)
	if err == nil {
		err = set(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: index}}, true)
	}
	if err != nil {
		return fmt.Errorf("set %s of %s: %w", what, veth, err)
	}
	return nil
}

// configureContainer gives the container's end its addresses and routes; the
// calling thread is in its namespace.
func configureContainer(ep *endpoint, rec netRecord) error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink in the container's namespace: %w", err)
	}
	defer handle.Close()
	link, err := handle.LinkByName(ep.ifname)
	if err != nil {
		return fmt.Errorf("find %s in the container: %w", ep.ifname, err)
	}
	if err := setIPv6(ep.ifname, ep.address6.IsValid()); err != nil {
		return err
	}
	if rec.driver != driverIPvlan { // whose interfaces share their parent's
		if err := handle.LinkSetHardwareAddr(link, ep.mac); err != nil {
			return fmt.Errorf("set hardware address %s in the container: %w", ep.mac, err)
		}
	}
	for _, address := range []netip.Prefix{netip.PrefixFrom(ep.address, rec.v4().Subnet.Bits()), netip.PrefixFrom(ep.address6, rec.v6().Subnet.Bits())} {
		if !address.Addr().IsValid() {
			continue
		}
		a := &netlink.Addr{IPNet: ipNet(address)}
		if address.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD // nobody else gives out addresses here, and the container need not wait
		}
		if err := handle.AddrAdd(link, a); err != nil {
			return fmt.Errorf("set address %s in the container: %w", address, err)
		}
	}
	if err := handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s in the container: %w", ep.ifname, err)
	}
	if err := setDefaultRoutes(handle, link, ep, rec); err != nil {
		return err
	}
	if !rec.isBridge() {
		return nil // up when its parent is
	}
	return awaitRunning(ep.ifname, handle.LinkByName)
}

// setDefaultRoutes leads the container's way out through an endpoint, for the
// families that it was chosen for.
func setDefaultRoutes(handle *netlink.Handle, link netlink.Link, ep *endpoint, rec netRecord) error {
	for _, family := range []struct {
		chosen bool
		pool   pool
		all    string
	}{{ep.extra.Default4, rec.v4(), "0.0.0.0/0"}, {ep.extra.Default6, rec.v6(), "::/0"}} {
		if !family.chosen || !family.pool.Gateway.IsValid() {
			continue
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: family.pool.Gateway.AsSlice()}
		if rec.driver == driverIPvlan && rec.config.Options[optionIPMode] != "" && rec.config.Options[optionIPMode] != "l2" {
			route = &netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: ipNet(netip.MustParsePrefix(family.all))} // there is no neighbour to ask
		}
		if err := handle.RouteReplace(route); err != nil {
			return fmt.Errorf("set the default route in the container: %w", err)
		}
	}
	return nil
}

// inNetNS runs do in another network namespace and brings the thread back. A
// thread that does not come back is never used again.
func inNetNS(netns int, do func() error) error {
	return thread.InNetNS(func() error { return unix.Setns(netns, unix.CLONE_NEWNET) }, do)
}
