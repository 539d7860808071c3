package server

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/nacre-sh/nacre/core/network/resolver"
)

// names knows who is called what in which network.
type names struct {
	mu       sync.RWMutex
	networks map[string]*network           // by id
	known    map[string][]resolver.Network // by container
}

// network is the names of one network.
type network struct {
	name     string
	byName   map[string][]string         // name → containers
	byHost   map[netip.Addr]string       // address → its container's first name
	networks map[string]resolver.Network // container → its place
}

func newNames() *names {
	return &names{networks: map[string]*network{}, known: map[string][]resolver.Network{}}
}

// put adds a container, or changes what is known of it.
func (n *names) put(r resolver.Registration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop(r.Container)
	n.known[r.Container] = r.Networks
	for _, place := range r.Networks {
		net := n.networks[place.ID]
		if net == nil {
			net = &network{name: place.Name, byName: map[string][]string{}, byHost: map[netip.Addr]string{}, networks: map[string]resolver.Network{}}
			n.networks[place.ID] = net
		}
		net.networks[r.Container] = place
		for _, name := range place.Names {
			key := strings.ToLower(name)
			if !slices.Contains(net.byName[key], r.Container) {
				net.byName[key] = append(net.byName[key], r.Container)
			}
		}
		if len(place.Names) > 0 {
			for _, a := range place.Addresses {
				net.byHost[a] = place.Names[0]
			}
		}
	}
}

func (n *names) remove(container string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop(container)
}

func (n *names) drop(container string) {
	for _, place := range n.known[container] {
		net := n.networks[place.ID]
		delete(net.networks, container)
		for _, name := range place.Names {
			key := strings.ToLower(name)
			net.byName[key] = slices.DeleteFunc(net.byName[key], func(c string) bool { return c == container })
			if len(net.byName[key]) == 0 {
				delete(net.byName, key)
			}
		}
		for _, a := range place.Addresses {
			delete(net.byHost, a)
		}
		if len(net.networks) == 0 {
			delete(n.networks, place.ID)
		}
	}
	delete(n.known, container)
}

// addresses returns those of a name as one container sees it, in an order that
// changes from question to question, so that callers spread over them; ok is
// false for a name that none of its networks has.
func (n *names) addresses(container, name string) (found []netip.Addr, ok bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	name = strings.ToLower(name)
	for _, place := range n.known[container] {
		net := n.networks[place.ID]
		owners := net.owners(place, name)
		for _, owner := range owners {
			found = append(found, net.networks[owner].Addresses...)
		}
		if len(owners) > 0 {
			break // docker's: the first network that knows the name
		}
	}
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found, found != nil
}

// owners are the containers of a name: the asker's own link first, then names
// in the network, with or without the network's name behind.
func (net *network) owners(asker resolver.Network, name string) []string {
	for alias, target := range asker.Links {
		if strings.EqualFold(alias, name) {
			return net.byName[strings.ToLower(target)]
		}
	}
	if owners := net.byName[name]; owners != nil {
		return owners
	}
	if short, found := strings.CutSuffix(name, "."+strings.ToLower(net.name)); found {
		return net.byName[short]
	}
	return nil
}

// hostOf returns the name of an address as one container sees it, with its
// network's name behind, as docker answers.
func (n *names) hostOf(container string, address netip.Addr) (string, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, place := range n.known[container] {
		net := n.networks[place.ID]
		if name, ok := net.byHost[address]; ok {
			return name + "." + net.name, true
		}
	}
	return "", false
}
