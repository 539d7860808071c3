package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// portRequest is one `-p`: a container's port, and the host's ports that may
// lead to it. A range of several takes the first free one.
type portRequest struct {
	container network.Port
	hostIP    netip.Addr        // zero: all addresses of the families that the container has
	ports     network.PortRange // zero: any
}

// expand gives a request without an address those that it stands for: all of
// the host's, or the one that the network was made with.
func (r portRequest) expand(ep *endpoint, binding netip.Addr) ([]netip.Addr, error) {
	if !r.hostIP.IsValid() {
		switch {
		case binding.IsValid():
			r.hostIP = binding
		case ep.address.IsValid() && ep.address6.IsValid():
			return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
		case ep.address6.IsValid():
			r.hostIP = netip.IPv6Unspecified()
		default:
			r.hostIP = netip.IPv4Unspecified()
		}
	}
	if !ep.addressFor(r.hostIP).IsValid() {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("cannot publish port %s on %s: network %s gives the container no address of that family", r.container, r.hostIP, ep.network))
	}
	return []netip.Addr{r.hostIP}, nil
}

// portRequests reads what was asked for at create, in a fixed order. Errors
// are errdefs.ErrInvalidArgument and errdefs.ErrNotImplemented.
func portRequests(config *container.Config, host *container.HostConfig) ([]portRequest, error) {
	var requests []portRequest
	for port, bindings := range host.PortBindings {
		if !slices.Contains([]network.IPProtocol{network.TCP, network.UDP, network.SCTP}, port.Proto()) {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid port %s: the protocol must be tcp, udp or sctp", port))
		}
		if len(bindings) == 0 && host.PublishAllPorts {
			bindings = []network.PortBinding{{}}
		}
		for _, b := range bindings {
			r := portRequest{container: port, hostIP: b.HostIP.Unmap()}
			if r.hostIP == netip.IPv6Loopback() {
				return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("cannot publish port %s on [::1]: the kernel forwards nothing from there\nhint: use 127.0.0.1", port))
			}
			if b.HostPort != "" && b.HostPort != "0" {
				var err error
				if r.ports, err = network.ParsePortRange(b.HostPort); err != nil {
					return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid port specification: %q", b.HostPort))
				}
			}
			requests = append(requests, r)
		}
	}
	if host.PublishAllPorts && config != nil {
		for port := range config.ExposedPorts {
			if _, bound := host.PortBindings[port]; !bound {
				requests = append(requests, portRequest{container: port})
			}
		}
	}
	slices.SortFunc(requests, comparePortRequests)
	return requests, nil
}

// comparePortRequests puts fixed ports first, so that no random choice takes them.
func comparePortRequests(a, b portRequest) int {
	if a.ports.IsZero() != b.ports.IsZero() {
		if b.ports.IsZero() {
			return -1
		}
		return 1
	}
	if c := strings.Compare(string(a.container.Proto()), string(b.container.Proto())); c != 0 {
		return c
	}
	if c := int(a.container.Num()) - int(b.container.Num()); c != 0 {
		return c
	}
	if c := a.hostIP.Compare(b.hostIP); c != 0 {
		return c
	}
	return int(a.ports.Start()) - int(b.ports.Start())
}

// portTable knows who has published what.
type portTable struct {
	taken []takenPort
}

type takenPort struct {
	publication
	owner *endpoint
}

func newPortTable(alive []endpoint) *portTable {
	t := &portTable{}
	for i := range alive {
		for _, p := range alive[i].ports {
			t.taken = append(t.taken, takenPort{p, &alive[i]})
		}
	}
	return t
}

// owner returns who stands in the way, nil for nobody.
func (t *portTable) owner(proto network.IPProtocol, ip netip.Addr, port uint16) *endpoint {
	for _, p := range t.taken {
		if p.proto == proto && p.hostPort == port && p.hostIP.Is4() == ip.Is4() && (p.hostIP == ip || p.hostIP.IsUnspecified() || ip.IsUnspecified()) {
			return p.owner
		}
	}
	return nil
}

// allocate finds a host port for every request of ep and stores them in it.
func (t *portTable) allocate(requests []portRequest, ep *endpoint) error {
	for _, r := range requests {
		ips, err := r.expand(ep, ep.binding)
		if err != nil {
			return err
		}
		port, err := t.choose(r, ips)
		if err != nil {
			return fmt.Errorf("failed to set up container networking: driver failed programming external connectivity on endpoint %s (%s): %w", ep.name, ep.id, err)
		}
		for _, ip := range ips {
			p := publication{proto: r.container.Proto(), hostIP: ip, hostPort: port, containerPort: r.container.Num(), target: ep.addressFor(ip)}
			ep.ports = append(ep.ports, p)
			t.taken = append(t.taken, takenPort{p, ep})
		}
	}
	return nil
}

// choose returns the first port of the request's range that nobody has on any
// of the addresses; for a range of one, why it is not free.
func (t *portTable) choose(r portRequest, ips []netip.Addr) (uint16, error) {
	if r.ports.IsZero() {
		return t.chooseAny(r.container.Proto(), ips)
	}
	first, last := r.ports.Start(), r.ports.End()
	for port := int(first); port <= int(last); port++ {
		err := t.probeAll(r.container.Proto(), ips, uint16(port))
		if err == nil {
			return uint16(port), nil
		}
		if first == last || !errdefs.IsConflict(err) {
			return 0, err
		}
	}
	return 0, errdefs.ErrConflict.WithMessage(fmt.Sprintf("Bind for %s:%d-%d failed: all ports are allocated", ips[0], first, last))
}

// chooseAny returns a free port where any will do: above those that the kernel
// gives out while there are some. No process holds a published port, so a
// program that got it by chance would be cut off. It begins anywhere, because
// other engines of this machine choose in the same way and cannot be asked.
func (t *portTable) chooseAny(proto network.IPProtocol, ips []netip.Addr) (uint16, error) {
	first, last := ephemeralPorts()
	for _, bounds := range [][2]int{{int(last) + 1, 65535}, {int(first), int(last)}} {
		n := bounds[1] - bounds[0] + 1
		if n <= 0 {
			continue
		}
		start := rand.IntN(n)
		for i := range n {
			port := uint16(bounds[0] + (start+i)%n)
			if err := t.probeAll(proto, ips, port); err == nil || !errdefs.IsConflict(err) {
				return port, err
			}
		}
	}
	return 0, errdefs.ErrConflict.WithMessage(fmt.Sprintf("Bind for %s failed: all ports from %d on are allocated", ips[0], first))
}

func (t *portTable) probeAll(proto network.IPProtocol, ips []netip.Addr, port uint16) error {
	for _, ip := range ips {
		if err := t.probe(proto, ip, port); err != nil {
			return err
		}
	}
	return nil
}

// probe fails with errdefs.ErrConflict when a container or a process of the
// host has the port.
func (t *portTable) probe(proto network.IPProtocol, ip netip.Addr, port uint16) error {
	if owner := t.owner(proto, ip, port); owner != nil {
		return portAllocatedError{ip: ip, port: port, owner: owner}
	}
	at := netip.AddrPortFrom(ip, port)
	switch err := tryBind(proto, at); {
	case errors.Is(err, unix.EADDRINUSE):
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("failed to bind host port %s/%s: address already in use", at, proto))
	case err != nil:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("failed to bind host port %s/%s: %s", at, proto, err))
	}
	return nil
}

// portAllocatedError says docker's words and who has the port.
type portAllocatedError struct {
	ip    netip.Addr
	port  uint16
	owner *endpoint
}

func (e portAllocatedError) Error() string {
	return fmt.Sprintf("Bind for %s failed: port is already allocated\nhint: container %s (%.12s) publishes it", netip.AddrPortFrom(e.ip, e.port), e.owner.name, e.owner.container)
}

func (portAllocatedError) Unwrap() error { return errdefs.ErrConflict }

// ownerInTheWay returns the container that a failed allocation met, if it was one.
func ownerInTheWay(err error) *endpoint {
	var taken portAllocatedError
	if errors.As(err, &taken) {
		return taken.owner
	}
	return nil
}

// tryBind finds out whether a process of the host has the port. SO_REUSEADDR
// overlooks connections that are only winding down, not listeners.
func tryBind(proto network.IPProtocol, at netip.AddrPort) error {
	kind, protocol, family := unix.SOCK_STREAM, 0, unix.AF_INET
	switch proto {
	case network.UDP:
		kind = unix.SOCK_DGRAM
	case network.SCTP:
		protocol = unix.IPPROTO_SCTP
	}
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil // a kernel without SCTP sockets forwards it all the same
	}
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if kind == unix.SOCK_STREAM {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	err = unix.Bind(fd, socketAddress(at))
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}

func socketAddress(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
}

// ephemeralPorts is the range that the kernel gives out by itself.
func ephemeralPorts() (first, last uint16) {
	raw, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(raw), &first, &last)
	}
	if err != nil || first == 0 || last < first {
		return 32768, 60999
	}
	return first, last
}

// forgetFlows makes the kernel forget the UDP flows towards newly published
// ports: it would go on sending them to the container that had the port
// before, for as long as the peer does not pause.
func forgetFlows(ports []publication) error {
	for family, is4 := range map[netlink.InetFamily]bool{unix.AF_INET: true, unix.AF_INET6: false} {
		var filters []netlink.CustomConntrackFilter
		for _, p := range ports {
			if p.proto != network.UDP || p.hostIP.Is4() != is4 {
				continue
			}
			f := &netlink.ConntrackFilter{}
			if err := errors.Join(f.AddProtocol(unix.IPPROTO_UDP), f.AddPort(netlink.ConntrackOrigDstPort, p.hostPort)); err != nil {
				return fmt.Errorf("forget the flows to port %d/udp: %w", p.hostPort, err)
			}
			filters = append(filters, f)
		}
		if filters == nil {
			continue
		}
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, filters...)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) {
			continue // a kernel without nf_conntrack_netlink: the flows end by themselves after a pause
		}
		if err != nil {
			return fmt.Errorf("forget the flows to published UDP ports: %w", err)
		}
	}
	return nil
}
