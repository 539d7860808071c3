package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// Connect joins a container to the network that its host configuration names.
// It is called before every start, with a namespace that has only lo; a
// restart within the namespace needs no other. Errors: errdefs.ErrNotFound for
// an unknown network, errdefs.ErrConflict for a port that is taken,
// errdefs.ErrInvalidArgument and errdefs.ErrNotImplemented for what cannot be.
func (n *Networks) Connect(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error) {
	mode := req.HostConfig.NetworkMode
	switch {
	case mode == "" || mode == network.NetworkDefault || mode == network.NetworkBridge:
		return n.connectBridge(ctx, req)
	case mode.IsHost():
		return n.connectHost(ctx, req)
	case mode.IsNone():
		return n.connectNone(ctx, req)
	case mode.IsContainer():
		// The other container's namespace, hosts and resolv.conf are shared as they are.
		return backend.Endpoints{Settings: &container.NetworkSettings{Ports: network.PortMap{}, Networks: map[string]*network.EndpointSettings{}}}, nil
	}
	return backend.Endpoints{}, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("network %s not found", mode))
}

// Disconnect takes back the ports of a container that has ended, and its
// address once the kernel has removed its interface. It must not be called
// for a container that may be starting again at this moment. It may be
// forgotten: the next Connect notices what is dead, but until then the host's
// ports lead nowhere.
func (n *Networks) Disconnect(ctx context.Context, containerID string) error {
	held, err := n.held(ctx, containerID)
	if err != nil || len(held) == 0 {
		return err
	}
	unlock, err := n.lock()
	if err != nil {
		return err
	}
	defer unlock()
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return err
	}
	c := &census{}
	for _, e := range recorded {
		if e.container == containerID {
			c.released = append(c.released, e)
		} else if !e.released {
			c.alive = append(c.alive, e)
		}
	}
	if err := n.withdraw(ctx, c); err != nil {
		return err
	}
	return n.recordEndpoint(ctx, nil, c.released, nil)
}

func (n *Networks) connectHost(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return backend.Endpoints{}, err
	}
	out := backend.Endpoints{Settings: plainSettings(nets[network.NetworkHost], req)}
	var gateway netip.Addr
	if s := nets[network.NetworkBridge].subnet; s.IsValid() {
		gateway = s.Addr().Next()
	}
	if out.Hosts, err = hostHostsWith(req.HostConfig.ExtraHosts, gateway); err != nil {
		return backend.Endpoints{}, err
	}
	out.ResolvConf, err = containerResolvConf(req.HostConfig, false)
	return out, err
}

func (n *Networks) connectNone(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return backend.Endpoints{}, err
	}
	out := backend.Endpoints{Settings: plainSettings(nets[network.NetworkNone], req)}
	if out.Hosts, err = containerHosts(req, nil, netip.Addr{}); err != nil {
		return backend.Endpoints{}, err
	}
	out.ResolvConf, err = containerResolvConf(req.HostConfig, true)
	return out, err
}

func (n *Networks) connectBridge(ctx context.Context, req backend.EndpointRequest) (out backend.Endpoints, err error) {
	want, err := requestedEndpoint(req)
	if err != nil {
		return out, err
	}
	// Whatever needs no lock comes first.
	if out.ResolvConf, err = containerResolvConf(req.HostConfig, true); err != nil {
		return out, err
	}
	netns, err := unix.Open(req.NetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return out, fmt.Errorf("open the network namespace of container %s: %w", req.Name, err)
	}
	defer unix.Close(netns)

	r, err := n.ready(ctx)
	if err != nil {
		return out, err
	}
	want.id = newID()
	linked := startVeth(want.veth(), r.bridge, netns)
	defer linked() // before netns is closed, in any case
	j, err := n.join(ctx, want, r, linked, netns)
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			n.undo(context.WithoutCancel(ctx), j.endpoint)
		}
	}()
	if err := <-j.configured; err != nil {
		return out, err
	}
	if out.Hosts, err = containerHosts(req, j.endpoint, r.bridge.gateway); err != nil {
		return out, err
	}
	out.Settings = bridgeSettings(r.record, req, j.endpoint, r.bridge)
	return out, nil
}

// ready is the bridge network with its interface in order.
type ready struct {
	record netRecord
	bridge bridge
}

// ready looks whether the bridge is in order, and builds it where it is not.
func (n *Networks) ready(ctx context.Context) (ready, error) {
	ifs, err := openIfaces()
	if err != nil {
		return ready{}, err
	}
	defer ifs.close()
	nets, err := n.networks(ctx)
	if err != nil {
		return ready{}, err
	}
	r := ready{record: nets[network.NetworkBridge]}
	var ok bool
	if r.bridge, ok, err = n.lookAtBridge(r.record, ifs); ok || err != nil {
		return r, err
	}
	unlock, err := n.lock()
	if err != nil {
		return ready{}, err
	}
	defer unlock()
	if nets, err = n.networks(ctx); err != nil { // another may have built it meanwhile
		return ready{}, err
	}
	r.record = nets[network.NetworkBridge]
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return ready{}, err
	}
	c, err := takeCensus(recorded, ifs, "")
	if err != nil {
		return ready{}, err
	}
	r.bridge, err = n.ensureBridge(ctx, r.record, ifs, c.present())
	r.record.subnet = r.bridge.subnet
	return r, err
}

// joined is an endpoint on the bridge. Its container's side is configured at
// the same time as rules and records are written: wait for configured.
type joined struct {
	endpoint   *endpoint
	configured <-chan error
}

// wanted is what a request asks of the bridge.
type wanted struct {
	id              string // of the endpoint
	container, name string
	mac             net.HardwareAddr // nil: derived from the address
	ports           []portRequest
}

// veth is the name of the host's end.
func (w wanted) veth() string { return "veth" + w.id[:11] }

func requestedEndpoint(req backend.EndpointRequest) (wanted, error) {
	ports, err := portRequests(req.Config, req.HostConfig)
	if err != nil {
		return wanted{}, err
	}
	w := wanted{container: req.ContainerID, name: req.Name, ports: ports}
	if len(req.HostConfig.Links) > 0 {
		return wanted{}, errdefs.ErrNotImplemented.WithMessage("links between containers are not supported yet")
	}
	settings := requestedSettings(req)
	if settings == nil {
		return w, nil
	}
	if ipam := settings.IPAMConfig; ipam != nil && (ipam.IPv4Address.IsValid() || ipam.IPv6Address.IsValid()) {
		return wanted{}, errdefs.ErrInvalidArgument.WithMessage("invalid config for network bridge: user specified IP address is supported on user defined networks only")
	}
	if len(settings.Aliases) > 0 {
		return wanted{}, errdefs.ErrInvalidArgument.WithMessage("network-scoped alias is supported only for containers in user defined networks")
	}
	w.mac = net.HardwareAddr(settings.MacAddress)
	return w, nil
}

// requestedSettings returns what was given for the bridge at create, nil for nothing.
func requestedSettings(req backend.EndpointRequest) *network.EndpointSettings {
	if req.Networking == nil {
		return nil
	}
	for _, name := range []string{network.NetworkBridge, network.NetworkDefault} {
		if s := req.Networking.EndpointsConfig[name]; s != nil {
			return s
		}
	}
	return nil
}

// join does what needs the lock: an address, the ports, and the records of
// them. The interface, whose making takes the longest, may still be under way;
// it exists before the record does, so that a record without interface always
// means a dead container.
func (n *Networks) join(ctx context.Context, want wanted, r ready, linked func() error, netns int) (*joined, error) {
	unlock, err := n.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	ifs, err := openIfaces()
	if err != nil {
		return nil, err
	}
	defer ifs.close()
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	c, err := takeCensus(recorded, ifs, want.container)
	if err != nil {
		return nil, err
	}
	ep, err := newEndpoint(want, r.bridge, c.present())
	if err != nil {
		return nil, err
	}
	if err := c.allocatePorts(want.ports, ep, ifs); err != nil {
		return nil, err
	}
	if err := linked(); err != nil {
		return nil, err
	}
	configured := configure(ep, n.bridge, r.bridge, netns)
	if err = n.publish(r.bridge.subnet, c, ep); err == nil {
		err = forgetFlows(ep.ports)
	}
	if err == nil {
		err = n.recordEndpoint(ctx, c.dead, c.released, ep)
	}
	if err != nil {
		<-configured // netns is the caller's
		return nil, err
	}
	return &joined{ep, configured}, nil
}

// undo withdraws an endpoint whose container will not start; its interface
// goes with the namespace.
func (n *Networks) undo(ctx context.Context, ep *endpoint) {
	// An error here changes nothing for the caller: the next Connect sweeps.
	_ = n.Disconnect(ctx, ep.container)
}
