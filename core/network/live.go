package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// Join adds a network to a running container. The request's NetNS is that of
// its processes. Errors as those of Connect, and errdefs.ErrPermissionDenied
// when it is in the network already.
func (n *Networks) Join(ctx context.Context, req backend.EndpointRequest, name string, given *network.EndpointSettings) (backend.Endpoints, error) {
	req, err := n.withDefaults(req)
	if err != nil {
		return backend.Endpoints{}, err
	}
	nets, err := n.networks(ctx)
	if err != nil {
		return backend.Endpoints{}, err
	}
	rec, err := findNetwork(nets, name)
	if err != nil {
		return backend.Endpoints{}, err
	}
	if given == nil {
		given = &network.EndpointSettings{}
	}
	a, err := newAttachment(rec, req, given)
	if err != nil {
		return backend.Endpoints{}, err
	}
	c, err := n.count(ctx)
	if err != nil {
		return backend.Endpoints{}, err
	}
	present := c.of(req.ContainerID)
	used := map[string]bool{}
	for _, e := range present {
		if e.network == rec.name {
			if _, whole := requestedNetworks(req)[rec.name]; whole {
				return backend.Endpoints{}, alreadyThere(req.Name, rec.name)
			}
			return n.joinAgain(ctx, req, name, given)
		}
		used[e.ifname] = true
	}
	if a.want.ifname == "" {
		a.want.ifname = freeIfname(prefixOf(rec), used)
	}
	a.takeGateway(present)
	netns, err := unix.Open(req.NetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return backend.Endpoints{}, fmt.Errorf("open the network namespace of container %s: %w", req.Name, err)
	}
	defer unix.Close(netns)
	if err := dropOrphan(a.want.ifname, rec, netns); err != nil {
		return backend.Endpoints{}, err
	}
	return n.joinRunning(ctx, req, a, netns)
}

// joinAgain finishes what a killed Join has begun: the network knows the
// container, but the container's record, which is written last, not the network.
func (n *Networks) joinAgain(ctx context.Context, req backend.EndpointRequest, name string, given *network.EndpointSettings) (backend.Endpoints, error) {
	if _, err := n.Leave(ctx, req, name); err != nil {
		return backend.Endpoints{}, err
	}
	return n.Join(ctx, req, name, given)
}

// dropOrphan removes the interface that a killed Join has left under a free
// name. Nobody else joins the container meanwhile: the caller has its lock.
// What the container has made itself under the name stays, and is in the way.
func dropOrphan(ifname string, rec netRecord, netns int) error {
	var found netlink.Link
	err := inNetNS(netns, func() (err error) {
		found, err = netlink.LinkByName(ifname)
		if err == nil && !rec.isBridge() && found.Type() == rec.driver {
			return netlink.LinkDel(found)
		}
		return err
	})
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at interface %s of the container: %w", ifname, err)
	}
	if !rec.isBridge() || found.Type() != "veth" {
		return nil
	}
	peer, err := netlink.LinkByIndex(found.Attrs().ParentIndex)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the other end of interface %s of the container: %w", ifname, err)
	}
	if at := peer.Attrs(); peer.Type() == "veth" && strings.HasPrefix(at.Name, "veth") && at.MasterIndex != 0 && at.ParentIndex == found.Attrs().Index {
		return deleteLink(at.Name)
	}
	return nil
}

// takeGateway gives the container its way out through the new network where it
// has none of that family.
func (a *attachment) takeGateway(present []*endpoint) {
	if a.rec.config.Internal {
		return
	}
	has := func(chosen func(*endpoint) bool) bool { return slices.ContainsFunc(present, chosen) }
	a.want.extra.Default4 = !has(func(e *endpoint) bool { return e.extra.Default4 }) && (a.rec.isDefault() || a.rec.v4().Gateway.IsValid())
	a.want.extra.Default6 = !has(func(e *endpoint) bool { return e.extra.Default6 }) && a.rec.v6().Gateway.IsValid()
}

func (n *Networks) joinRunning(ctx context.Context, req backend.EndpointRequest, a *attachment, netns int) (out backend.Endpoints, err error) {
	s, err := n.joinAll(ctx, []*attachment{a}, joinOptions{netns: netns, path: req.NetNS})
	if err == nil {
		err = s.configured()
	}
	if err == nil {
		out, err = n.files(ctx, req, s)
	}
	if err != nil { // the namespace lives on, so the interface does not go by itself
		ctx = context.WithoutCancel(ctx)
		made := &endpoint{id: a.want.id, ifname: a.want.ifname}
		if a.rec.isBridge() {
			made.veth = a.want.veth()
		}
		return out, errors.Join(err, n.forget(ctx, []*endpoint{made}, nil), removeInterface(made, netns))
	}
	return out, n.tell(a.rec, events.ActionConnect, req.ContainerID)
}

func alreadyThere(container, network string) error {
	return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("endpoint with name %s already exists in network %s", container, network))
}

// Leave takes a running container out of a network. Its published ports and
// its way out move to another network that it is in. It fails with
// errdefs.ErrPermissionDenied when it is not in the network.
func (n *Networks) Leave(ctx context.Context, req backend.EndpointRequest, name string) (out backend.Endpoints, err error) {
	if req, err = n.withDefaults(req); err != nil {
		return out, err
	}
	netns, err := unix.Open(req.NetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return out, fmt.Errorf("open the network namespace of container %s: %w", req.Name, err)
	}
	defer unix.Close(netns)
	unlock, err := n.lock()
	if err != nil {
		return out, err
	}
	defer unlock()
	nets, err := n.networks(ctx)
	if err != nil {
		return out, err
	}
	rec, err := findNetwork(nets, name)
	if err != nil {
		return out, err
	}
	c, err := n.count(ctx)
	if err != nil {
		return out, err
	}
	leaving, stay := c.leaving(req.ContainerID, rec.name)
	if leaving == nil {
		if _, asked := requestedNetworks(req)[rec.name]; !asked {
			return out, NotConnected(req.ContainerID, rec.name)
		}
		return n.files(ctx, req, &sandbox{nets: nets, endpoints: stay, netns: netns}) // a killed Leave has done the rest
	}
	if err := removeInterface(leaving, netns); err != nil {
		return out, err
	}
	if err := n.handOver(nets, leaving, stay, c, netns); err != nil {
		return out, err
	}
	if err := n.forget(ctx, []*endpoint{leaving}, stay); err != nil {
		return out, err
	}
	if out, err = n.files(ctx, req, &sandbox{nets: nets, endpoints: stay, netns: netns}); err != nil {
		return out, err
	}
	return out, n.tell(rec, events.ActionDisconnect, req.ContainerID)
}

// Refresh tells anew what a running container knows of others, after a change of its links.
func (n *Networks) Refresh(ctx context.Context, req backend.EndpointRequest) (out backend.Endpoints, err error) {
	if req, err = n.withDefaults(req); err != nil {
		return out, err
	}
	unlock, err := n.lock()
	if err != nil {
		return out, err
	}
	defer unlock()
	nets, err := n.networks(ctx)
	if err != nil {
		return out, err
	}
	c, err := n.count(ctx)
	if err != nil {
		return out, err
	}
	return n.files(ctx, req, &sandbox{nets: nets, endpoints: c.of(req.ContainerID)})
}

// leaving is a container's endpoint in a network, nil for none, and its others.
// A Leave that was killed leaves one without interface behind.
func (c *census) leaving(container, network string) (leaving *endpoint, stay []*endpoint) {
	for _, e := range c.of(container) {
		if e.network == network {
			leaving = e
		} else {
			stay = append(stay, e)
		}
	}
	for i := range c.dead {
		if e := &c.dead[i]; leaving == nil && e.container == container && e.network == network && !e.released {
			leaving = e
		}
	}
	return leaving, stay
}

// NotConnected is docker's answer where a container is not in a network.
func NotConnected(container, network string) error {
	return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("container %s is not connected to network %s", container, network))
}

// removeInterface takes an endpoint's interface away: a pair by the host's end, another from inside.
func removeInterface(e *endpoint, netns int) error {
	if e.veth != "" {
		return deleteLink(e.veth)
	}
	return inNetNS(netns, func() error { return deleteLink(e.ifname) })
}

// handOver gives the ports and default routes of a leaving endpoint to the one
// that is to have them now, if there is one.
func (n *Networks) handOver(nets map[string]netRecord, leaving *endpoint, stay []*endpoint, c *census, netns int) error {
	heir4 := heir(nets, stay, leaving.extra.Default4, true)
	heir6 := heir(nets, stay, leaving.extra.Default6, false)
	if heir4 != nil {
		heir4.extra.Default4 = true
	}
	if heir6 != nil {
		heir6.extra.Default6 = true
	}
	var withdrawn, added []publication
	withdrawn = leaving.ports
	if to := portHeir(nets, stay, heir4, heir6); to != nil {
		for _, p := range leaving.ports {
			if p.target = to.addressFor(p.hostIP); p.target.IsValid() {
				to.ports, added = append(to.ports, p), append(added, p)
			}
		}
	}
	leaving.ports = nil
	if len(withdrawn) > 0 {
		if err := n.publish(nets, withdrawn, added, c.published()); err != nil {
			return err
		}
	}
	for _, e := range []*endpoint{heir4, heir6} {
		if e == nil {
			continue
		}
		err := inNetNS(netns, func() error { return routeThrough(e, nets[e.network]) })
		if err != nil {
			return err
		}
	}
	return nil
}

// heir is the endpoint that gives the default route of a family once another has left.
func heir(nets map[string]netRecord, stay []*endpoint, vacant, is4 bool) *endpoint {
	if !vacant {
		return nil
	}
	var best *endpoint
	for _, e := range stay {
		r := nets[e.network]
		if r.config.Internal || !r.pool(is4).Gateway.IsValid() {
			continue
		}
		if best == nil || e.extra.Priority > best.extra.Priority || e.extra.Priority == best.extra.Priority && e.network < best.network {
			best = e
		}
	}
	return best
}

// portHeir is the endpoint that ports move to: it must be reached through the host.
func portHeir(nets map[string]netRecord, stay []*endpoint, heirs ...*endpoint) *endpoint {
	for _, e := range append(heirs, stay...) {
		if e != nil && nets[e.network].isBridge() && !nets[e.network].config.Internal {
			return e
		}
	}
	return nil
}

func routeThrough(e *endpoint, rec netRecord) error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink in the container's namespace: %w", err)
	}
	defer handle.Close()
	link, err := handle.LinkByName(e.ifname)
	if err != nil {
		return fmt.Errorf("find %s in the container: %w", e.ifname, err)
	}
	return setDefaultRoutes(handle, link, e, rec)
}

// forget removes records of endpoints, and writes down what others got of them.
func (n *Networks) forget(ctx context.Context, gone, changed []*endpoint) error {
	var dead []endpoint
	for _, e := range gone {
		dead = append(dead, *e)
	}
	return n.record(ctx, change{dead: dead, changed: changed})
}

// endpointsOf are a running container's endpoints.
func (n *Networks) endpointsOf(ctx context.Context, container string) ([]*endpoint, error) {
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	var own []*endpoint
	for i := range recorded {
		if e := &recorded[i]; e.container == container && !e.released {
			own = append(own, e)
		}
	}
	return own, nil
}
