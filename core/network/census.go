package network

import (
	"net/netip"
	"slices"
	"time"
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
		exists, err := e.exists(ifs)
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

// exists asks the kernel whether an endpoint's interface is there; where it has
// no end on the host, whether its namespace is.
func (e *endpoint) exists(ifs ifaces) (bool, error) {
	if e.veth == "" {
		return sandboxExists(e.sandbox)
	}
	return ifs.exists(e.veth)
}

// present are the endpoints of a network whose address a kernel still answers for.
func (c *census) present(network string) []endpoint {
	all := slices.Concat(c.alive, c.released)
	return slices.DeleteFunc(all, func(e endpoint) bool { return e.network != network })
}

// of are the living endpoints of a container.
func (c *census) of(container string) (list []*endpoint) {
	for i := range c.alive {
		if c.alive[i].container == container {
			list = append(list, &c.alive[i])
		}
	}
	return list
}

// withdrawn are the ports that nobody uses any more.
func (c *census) withdrawn() []publication { return portsOf(slices.Concat(c.released, c.dead)) }

// published are the ports of the living.
func (c *census) published() []publication { return portsOf(c.alive) }

func portsOf(endpoints []endpoint) (ports []publication) {
	for _, e := range endpoints {
		ports = append(ports, e.ports...)
	}
	return ports
}

// allocatePorts chooses the host's ports. Where a container is in the way,
// it gets a moment to prove itself dead.
func (c *census) allocatePorts(requests []portRequest, ep *endpoint, ifs ifaces) error {
	deadline := time.Now().Add(dyingPatience)
	before := ep.ports
	for {
		ep.ports = slices.Clone(before)
		err := newPortTable(c.alive).allocate(requests, ep)
		owner := ownerInTheWay(err)
		if owner == nil || owner.id == ep.id || time.Now().After(deadline) {
			return err
		}
		exists, lookErr := owner.exists(ifs)
		if lookErr != nil {
			return lookErr
		}
		if exists {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		id := owner.id
		c.dead = append(c.dead, *owner)
		c.alive = slices.DeleteFunc(slices.Clone(c.alive), func(e endpoint) bool { return e.id == id }) // callers hold pointers into it
	}
}

// usedAddresses are those of a network that nobody may get.
func (c *census) usedAddresses(r netRecord) map[netip.Addr]string {
	used := map[netip.Addr]string{}
	for _, p := range r.config.Pools {
		used[p.Gateway] = "the gateway"
		for name, a := range p.Aux {
			used[a] = "the auxiliary address " + name
		}
	}
	for _, e := range c.present(r.name) {
		used[e.address], used[e.address6] = "container "+e.name, "container "+e.name
	}
	return used
}

// makeWay frees addresses that a container asks for and that one of the ended
// still has, its own earlier self as a rule, whose interface the kernel is
// about to take down: a container must not lose its address to that.
func (c *census) makeWay(w wanted, network string) error {
	var rest []endpoint
	for _, e := range c.released {
		holds := e.network == network && (w.ip4.IsValid() && e.address == w.ip4 || w.ip6.IsValid() && e.address6 == w.ip6)
		if !holds || e.veth == "" {
			rest = append(rest, e)
			continue
		}
		if err := deleteLink(e.veth); err != nil {
			return err
		}
		c.dead = append(c.dead, e)
	}
	c.released = rest
	return nil
}
