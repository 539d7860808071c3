package network

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
)

// dyingPatience is how long a wanted port's owner may take to vanish: the
// kernel takes a namespace down some milliseconds after its last process.
const dyingPatience = 300 * time.Millisecond

// census sorts the recorded endpoints by what the kernel knows of them.
type census struct {
	alive    []endpoint
	released []endpoint // their container has ended, their interface is still there
	dead     []endpoint // their interface is gone
}

// takeCensus looks at every endpoint's interface. An earlier endpoint of the
// container that starts now counts as released.
func takeCensus(recorded []endpoint, ifs ifaces, starting string) (*census, error) {
	c := &census{}
	for _, e := range recorded {
		exists, err := ifs.exists(e.veth)
		switch {
		case err != nil:
			return nil, err
		case !exists:
			c.dead = append(c.dead, e)
		case e.released || e.container == starting:
			c.released = append(c.released, e)
		default:
			c.alive = append(c.alive, e)
		}
	}
	return c, nil
}

// present are the endpoints whose address a kernel still answers for.
func (c *census) present() []endpoint { return slices.Concat(c.alive, c.released) }

// withdrawn are the ports that nobody uses any more.
func (c *census) withdrawn() []publication {
	var ports []publication
	for _, e := range slices.Concat(c.released, c.dead) {
		ports = append(ports, e.ports...)
	}
	return ports
}

// allocatePorts chooses the host's ports. Where a container is in the way,
// it gets a moment to prove itself dead.
func (c *census) allocatePorts(requests []portRequest, ep *endpoint, ifs ifaces) error {
	deadline := time.Now().Add(dyingPatience)
	for {
		ep.ports = nil
		err := newPortTable(c.alive).allocate(requests, ep)
		owner := ownerInTheWay(err)
		if owner == nil || time.Now().After(deadline) {
			return err
		}
		exists, lookErr := ifs.exists(owner.veth)
		if lookErr != nil {
			return lookErr
		}
		if exists {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		id := owner.id
		c.dead = append(c.dead, *owner)
		c.alive = slices.DeleteFunc(c.alive, func(e endpoint) bool { return e.id == id })
	}
}

// newEndpoint gives the container the lowest free address of the subnet.
func newEndpoint(want wanted, b bridge, present []endpoint) (*endpoint, error) {
	used := map[netip.Addr]bool{b.gateway: true}
	for _, e := range present {
		used[e.address] = true
	}
	address := b.gateway.Next()
	for used[address] {
		address = address.Next()
	}
	if !b.subnet.Contains(address.Next()) { // the last one is the broadcast address
		return nil, errdefs.ErrResourceExhausted.WithMessage(fmt.Sprintf("no available IPv4 addresses on this network's address pools: %s (%s)", network.NetworkBridge, b.subnet))
	}
	ep := &endpoint{id: want.id, container: want.container, name: want.name, address: address, mac: want.mac, veth: want.veth()}
	if ep.mac == nil {
		ep.mac = macOf(address)
	}
	return ep, nil
}

// published are the ports of the living.
func (c *census) published() (ports []publication) {
	for _, e := range c.alive {
		ports = append(ports, e.ports...)
	}
	return ports
}
