package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// Connect joins a container to its networks: those that it was given, or the
// one that its host configuration names. It is called before every start, with
// a namespace that has only lo; a restart within the namespace needs no other.
// Errors: errdefs.ErrNotFound for an unknown network, errdefs.ErrConflict for
// a port that is taken, errdefs.ErrInvalidArgument and
// errdefs.ErrNotImplemented for what cannot be.
func (n *Networks) Connect(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error) {
	req, err := n.withDefaults(req)
	if err != nil {
		return backend.Endpoints{}, err
	}
	_, none := requestedNetworks(req)[network.NetworkNone]
	switch mode := req.HostConfig.NetworkMode; {
	case mode.IsHost():
		return n.connectHost(ctx, req)
	case none:
		return n.connectNone(ctx, req)
	case mode.IsContainer():
		// The other container's namespace, hosts and resolv.conf are shared as they are.
		return backend.Endpoints{Settings: &container.NetworkSettings{Ports: network.PortMap{}, Networks: map[string]*network.EndpointSettings{}}}, nil
	}
	return n.connectAll(ctx, req)
}

// Disconnect takes back the ports of a container that has ended, and its
// addresses once the kernel has removed its interfaces. It must not be called
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
	if err := n.withdraw(ctx, c.withdrawn(), c.published()); err != nil {
		return err
	}
	if err := n.record(ctx, change{released: c.released}); err != nil {
		return err
	}
	nets, err := n.networks(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range c.released {
		if !e.released {
			errs = append(errs, n.tell(nets[e.network], events.ActionDisconnect, containerID))
		}
	}
	return errors.Join(errs...)
}

func (n *Networks) connectHost(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return backend.Endpoints{}, err
	}
	out := backend.Endpoints{Settings: plainSettings(nets[network.NetworkHost], req)}
	if out.Hosts, err = hostHostsWith(req.HostConfig.ExtraHosts, nets[network.NetworkBridge].v4().Gateway); err != nil {
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
	if out.Hosts, err = containerHosts(req, netip.Addr{}, nil); err != nil {
		return backend.Endpoints{}, err
	}
	out.ResolvConf, err = containerResolvConf(req.HostConfig, true)
	return out, err
}

// connectAll joins everything that lies in the container's own namespace.
func (n *Networks) connectAll(ctx context.Context, req backend.EndpointRequest) (out backend.Endpoints, err error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return out, err
	}
	list, err := n.attachments(nets, req)
	if err != nil {
		return out, err
	}
	netns, err := unix.Open(req.NetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return out, fmt.Errorf("open the network namespace of container %s: %w", req.Name, err)
	}
	defer unix.Close(netns)
	s, err := n.joinAll(ctx, list, joinOptions{netns: netns, path: req.NetNS, starting: req.ContainerID})
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			n.undo(context.WithoutCancel(ctx), req.ContainerID)
		}
	}()
	if out, err = n.files(ctx, req, s); err != nil {
		return out, err
	}
	if err := s.configured(); err != nil {
		return out, err
	}
	return out, s.tellAll(n, events.ActionConnect)
}

// joinOptions say where the interfaces go.
type joinOptions struct {
	netns    int
	path     string // of netns
	starting string // the container whose earlier endpoints are to be forgotten; empty: it runs
}

// sandbox is a container's namespace with the networks that it is in.
type sandbox struct {
	nets      map[string]netRecord
	joined    []*attachment // now
	endpoints []*endpoint   // all, the joined ones too
	netns     int
}

// joinAll makes the interfaces, and gives them addresses, ports and records.
// The containers' side may still be under way: ask configured.
func (n *Networks) joinAll(ctx context.Context, list []*attachment, o joinOptions) (*sandbox, error) {
	sandbox, err := sandboxOf(o.path, o.netns)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.rec.isBridge() {
			if err := n.ready(ctx, a); err != nil {
				return nil, err
			}
			a.linked = startVeth(a.want, a.bridge, a.rec.icc(), o.netns)
		} else {
			a.want.sandbox = sandbox
			a.linked = n.startSublink(a.rec, a.want, o.netns)
		}
		defer a.linked() // before netns is closed, in any case
	}
	return n.joinLocked(ctx, list, o)
}

// ready looks whether an attachment's bridge is in order, and builds it where it is not.
func (n *Networks) ready(ctx context.Context, a *attachment) error {
	ifs, err := openIfaces()
	if err != nil {
		return err
	}
	defer ifs.close()
	var ok bool
	if a.bridge, ok, err = n.lookAtBridge(a.rec, ifs); ok || err != nil {
		return err
	}
	unlock, err := n.lock()
	if err != nil {
		return err
	}
	defer unlock()
	nets, err := n.networks(ctx) // another may have built it meanwhile, or removed it
	if err != nil {
		return err
	}
	if a.rec, err = findNetwork(nets, a.rec.name); err != nil {
		return err
	}
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return err
	}
	c, err := takeCensus(recorded, ifs, "")
	if err != nil {
		return err
	}
	a.bridge, a.rec, err = n.ensureBridge(ctx, a.rec, ifs, c.present(a.rec.name))
	return err
}

// joinLocked does what needs the lock: addresses, ports, and the records of
// them. The interfaces, whose making takes the longest, may still be under way;
// they exist before the records do, so that a record without interface always
// means a dead container.
func (n *Networks) joinLocked(ctx context.Context, list []*attachment, o joinOptions) (*sandbox, error) {
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
	nets, err := n.networks(ctx) // as they are now that nobody else changes them
	if err != nil {
		return nil, err
	}
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	c, err := takeCensus(recorded, ifs, o.starting)
	if err != nil {
		return nil, err
	}
	s := &sandbox{nets: nets, joined: list, netns: o.netns}
	if o.starting == "" {
		s.endpoints = c.of(list[0].want.container)
	}
	added, ports, err := allocateAll(list, nets, c, ifs)
	if err != nil {
		return nil, err
	}
	s.endpoints = append(s.endpoints, added...)
	return s, n.commit(ctx, s, c, added, ports)
}

// allocateAll chooses addresses and ports.
func allocateAll(list []*attachment, nets map[string]netRecord, c *census, ifs ifaces) (added []*endpoint, ports []publication, err error) {
	for _, a := range list {
		if now, ok := nets[a.rec.name]; !ok || now.id != a.rec.id {
			return nil, nil, networkNotFound(a.rec.name)
		}
		if err := c.makeWay(a.want, a.rec.name); err != nil {
			return nil, nil, err
		}
		if a.endpoint, err = a.want.allocate(a.rec, c); err != nil {
			return nil, nil, err
		}
		if err := c.allocatePorts(a.want.ports, a.endpoint, ifs); err != nil {
			return nil, nil, err
		}
		added, ports = append(added, a.endpoint), append(ports, a.endpoint.ports...)
	}
	return added, ports, nil
}

// commit waits for the interfaces, lets them be configured, and writes rules and records.
func (n *Networks) commit(ctx context.Context, s *sandbox, c *census, added []*endpoint, ports []publication) error {
	for _, a := range s.joined {
		if err := a.linked(); err != nil {
			return err
		}
	}
	for _, a := range s.joined {
		a.configured = configure(a, s.netns)
	}
	err := n.publish(s.nets, c.withdrawn(), ports, c.published())
	if err == nil {
		err = forgetFlows(ports)
	}
	if err == nil {
		err = n.record(ctx, change{dead: c.dead, released: c.released, added: added})
	}
	if err != nil {
		_ = s.configured() // netns is the caller's; the first error is the one to tell
	}
	return err
}

// configured waits for the container's side.
func (s *sandbox) configured() error {
	var errs []error
	for _, a := range s.joined {
		errs = append(errs, <-a.configured)
	}
	return errors.Join(errs...)
}

func (s *sandbox) tellAll(n *Networks, action events.Action) error {
	var errs []error
	for _, a := range s.joined {
		errs = append(errs, n.tell(a.rec, action, a.want.container))
	}
	return errors.Join(errs...)
}

// inUserNetwork says whether the container has names to ask for.
func (s *sandbox) inUserNetwork() bool {
	return slices.ContainsFunc(s.endpoints, func(e *endpoint) bool { return e.network != network.NetworkBridge })
}

// undo withdraws the endpoints of a container that will not start; their
// interfaces go with the namespace.
func (n *Networks) undo(ctx context.Context, containerID string) {
	// An error here changes nothing for the caller: the next Connect sweeps.
	_ = n.Disconnect(ctx, containerID)
}
