package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// containerInterface is the name of the container's end.
const containerInterface = "eth0"

// startVeth begins to make the pair: the host's end on the bridge and up, the
// peer in the container's namespace from its first moment. The answer waits
// for the outcome.
func startVeth(name string, b bridge, netns int) func() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex, attrs.MTU, attrs.Flags = name, b.index, b.mtu, net.FlagUp
	// One queue is what a pair needs; the kernel's default, one per possible
	// processor, costs a file in sysfs each.
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = containerInterface, netlink.NsFd(netns)
	done := make(chan error, 1)
	go func() { done <- netlink.LinkAdd(veth) }()
	return sync.OnceValue(func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("join the container to the bridge: %w", err)
		}
		return nil
	})
}

// configure sets up both ends of the pair, in the background.
func configure(ep *endpoint, bridge string, b bridge, netns int) <-chan error {
	done := make(chan error, 1)
	go func() {
		if len(ep.ports) > 0 {
			if err := allowHairpin(ep.veth); err != nil {
				done <- err
				return
			}
		}
		address := netip.PrefixFrom(ep.address, b.subnet.Bits())
		err := inNetNS(netns, func() error { return configureContainer(ep.mac, address, b.gateway) })
		if err == nil {
			err = awaitRunning(ep.veth, netlink.LinkByName)
		}
		if err == nil {
			err = awaitRunning(bridge, netlink.LinkByName)
		}
		done <- err
	}()
	return done
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
func allowHairpin(veth string) error {
	ifs, err := openIfaces()
	if err != nil {
		return err
	}
	defer ifs.close()
	index, err := ifs.index(veth)
	if err == nil {
		err = netlink.LinkSetHairpin(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: index}}, true)
	}
	if err != nil {
		return fmt.Errorf("set hairpin mode of %s: %w", veth, err)
	}
	return nil
}

// configureContainer gives the container's end its addresses and the default
// route; the calling thread is in its namespace.
func configureContainer(mac net.HardwareAddr, address netip.Prefix, gateway netip.Addr) error {
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
	if err := handle.LinkSetHardwareAddr(link, mac); err != nil {
		return fmt.Errorf("set hardware address %s in the container: %w", mac, err)
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
	return awaitRunning(containerInterface, handle.LinkByName)
}

// disableIPv6 works in the calling thread's namespace: /proc/sys/net shows everyone his own.
func disableIPv6(ifname string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+ifname+"/disable_ipv6", []byte("1"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("disable IPv6 on %s: %w", ifname, err)
	}
	return nil
}

// inNetNS runs do in another network namespace and brings the thread back. A
// thread that does not come back is never used again.
func inNetNS(netns int, do func() error) error {
	return elsewhere(func() error { return unix.Setns(netns, unix.CLONE_NEWNET) }, do)
}

// elsewhere works on one thread: it leaves the network namespace by calling
// leave, and returns to it after do. Ending the thread instead would not
// always work: Go cannot end the process's first thread, which would then keep
// the container's namespace alive for as long as this process lives.
func elsewhere(leave, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open the host's network namespace: %w", err)
			return
		}
		defer unix.Close(home)
		if err := leave(); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter the container's network namespace: %w", err)
			return
		}
		err = do()
		if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
			done <- errors.Join(err, fmt.Errorf("return to the host's network namespace: %w", back))
			return // still locked: the runtime ends the thread
		}
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}
