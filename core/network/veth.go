package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// containerInterface is the name of the container's end.
const containerInterface = "eth0"

// addVeth makes the pair: the host's end on the bridge and up, the peer in
// the container's namespace from its first moment.
func addVeth(ep *endpoint, b bridge, netns int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex, attrs.MTU, attrs.Flags = ep.veth, b.index, b.mtu, net.FlagUp
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerNamespace = containerInterface, ep.mac, netlink.NsFd(netns)
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("join container %s to the bridge: %w", ep.name, err)
	}
	return nil
}

// allowHairpin lets a container reach itself through its own published port:
// where the kernel filters bridged packets (bridge-nf-call-iptables), such a
// packet leaves the bridge by the port it came in at.
func allowHairpin(veth string) error {
	link, err := netlink.LinkByName(veth)
	if err == nil {
		err = netlink.LinkSetHairpin(link, true)
	}
	if err != nil {
		return fmt.Errorf("set hairpin mode of %s: %w", veth, err)
	}
	return nil
}

// configureContainer gives the container's end its address and the default route.
func configureContainer(netns int, address netip.Prefix, gateway netip.Addr) error {
	return inNetNS(netns, func() error {
		handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink in the container's namespace: %w", err)
		}
		defer handle.Close()
		link, err := handle.LinkByName(containerInterface)
		if err != nil {
			return fmt.Errorf("find %s in the container: %w", containerInterface, err)
		}
		if err := disableIPv6(containerInterface); err != nil {
			return err
		}
		if err := handle.AddrAdd(link, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
			return fmt.Errorf("set address %s in the container: %w", address, err)
		}
		if err := handle.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring up %s in the container: %w", containerInterface, err)
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()}
		if err := handle.RouteAdd(route); err != nil {
			return fmt.Errorf("set the default route in the container: %w", err)
		}
		return nil
	})
}

// disableIPv6 works in the calling thread's namespace: /proc/sys/net shows everyone his own.
func disableIPv6(ifname string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+ifname+"/disable_ipv6", []byte("1"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("disable IPv6 on %s: %w", ifname, err)
	}
	return nil
}

// inNetNS runs do in another network namespace, on a thread of its own that
// ends with it: no other goroutine can ever run there.
func inNetNS(netns int, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(netns, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the container's network namespace: %w", err)
			return
		}
		done <- do()
	}()
	return <-done
}
