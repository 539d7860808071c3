package network

import (
	"errors"
	"fmt"
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
	hostIP    netip.Addr
	ports     network.PortRange // zero: any
}

// portRequests reads what was asked for at create, in a fixed order. Errors
// are errdefs.ErrInvalidArgument and errdefs.ErrNotImplemented.
func portRequests(config *container.Config, host *container.HostConfig) ([]portRequest, error) {
	var requests []portRequest
	for port, bindings := range host.PortBindings {
		if port.Proto() != network.TCP && port.Proto() != network.UDP {
			return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("cannot publish port %s: protocols other than tcp and udp are not supported", port))
		}
		if len(bindings) == 0 && host.PublishAllPorts {
			bindings = []network.PortBinding{{}}
		}
		for _, b := range bindings {
			r := portRequest{container: port, hostIP: b.HostIP}
			if !r.hostIP.IsValid() {
				r.hostIP = netip.IPv4Unspecified()
			}
			if r.hostIP = r.hostIP.Unmap(); !r.hostIP.Is4() {
				return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("cannot publish port %s on %s: IPv6 is not supported yet", port, r.hostIP))
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
				requests = append(requests, portRequest{container: port, hostIP: netip.IPv4Unspecified()})
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
		if p.proto == proto && p.hostPort == port && (p.hostIP == ip || p.hostIP.IsUnspecified() || ip.IsUnspecified()) {
			return p.owner
		}
	}
	return nil
}

// allocate finds a host port for every request of ep and stores them in it.
func (t *portTable) allocate(requests []portRequest, ep *endpoint) error {
	for _, r := range requests {
		port, err := t.choose(r, ep)
		if err != nil {
			return fmt.Errorf("failed to set up container networking: driver failed programming external connectivity on endpoint %s (%s): %w", ep.name, ep.id, err)
		}
		p := publication{proto: r.container.Proto(), hostIP: r.hostIP, hostPort: port, containerPort: r.container.Num(), target: ep.address}
		ep.ports = append(ep.ports, p)
		t.taken = append(t.taken, takenPort{p, ep})
	}
	return nil
}

// choose returns the first port of the request's range that nobody has; for
// a range of one, why it is not free.
func (t *portTable) choose(r portRequest, ep *endpoint) (uint16, error) {
	first, last := r.ports.Start(), r.ports.End()
	if r.ports.IsZero() {
		first, last = ephemeralPorts()
	}
	for port := int(first); port <= int(last); port++ {
		err := t.probe(r, uint16(port))
		if err == nil {
			return uint16(port), nil
		}
		if first == last || !errdefs.IsConflict(err) {
			return 0, err
		}
	}
	return 0, errdefs.ErrConflict.WithMessage(fmt.Sprintf("Bind for %s:%d-%d failed: all ports are allocated", r.hostIP, first, last))
}

// probe fails with errdefs.ErrConflict when a container or a process of the
// host has the port.
func (t *portTable) probe(r portRequest, port uint16) error {
	proto := r.container.Proto()
	if owner := t.owner(proto, r.hostIP, port); owner != nil {
		return portAllocatedError{ip: r.hostIP, port: port, owner: owner}
	}
	switch err := tryBind(proto, r.hostIP, port); {
	case errors.Is(err, unix.EADDRINUSE):
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("failed to bind host port %s:%d/%s: address already in use", r.hostIP, port, proto))
	case err != nil:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("failed to bind host port %s:%d/%s: %s", r.hostIP, port, proto, err))
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
	return fmt.Sprintf("Bind for %s:%d failed: port is already allocated\nhint: container %s (%.12s) publishes it", e.ip, e.port, e.owner.name, e.owner.container)
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
func tryBind(proto network.IPProtocol, ip netip.Addr, port uint16) error {
	kind := unix.SOCK_STREAM
	if proto == network.UDP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if kind == unix.SOCK_STREAM {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(port), Addr: ip.As4()})
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}

// ephemeralPorts is the range that the kernel gives out by itself, where docker too looks for random ports.
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
	var filters []netlink.CustomConntrackFilter
	for _, p := range ports {
		if p.proto != network.UDP {
			continue
		}
		f := &netlink.ConntrackFilter{}
		if err := errors.Join(f.AddProtocol(unix.IPPROTO_UDP), f.AddPort(netlink.ConntrackOrigDstPort, p.hostPort)); err != nil {
			return fmt.Errorf("forget the flows to port %d/udp: %w", p.hostPort, err)
		}
		filters = append(filters, f)
	}
	if filters == nil {
		return nil
	}
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filters...)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil // a kernel without nf_conntrack_netlink: the flows end by themselves after a pause
	}
	if err != nil {
		return fmt.Errorf("forget the flows to published UDP ports: %w", err)
	}
	return nil
}
