package network

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A macvlan or ipvlan network has no bridge: its containers' interfaces hang
// on one of the host's, the parent, and are neighbours of its neighbours.

var (
	macvlanModes = map[string]netlink.MacvlanMode{"": netlink.MACVLAN_MODE_BRIDGE, "bridge": netlink.MACVLAN_MODE_BRIDGE,
		"private": netlink.MACVLAN_MODE_PRIVATE, "vepa": netlink.MACVLAN_MODE_VEPA, "passthru": netlink.MACVLAN_MODE_PASSTHRU}
	ipvlanModes = map[string]netlink.IPVlanMode{"": netlink.IPVLAN_MODE_L2, "l2": netlink.IPVLAN_MODE_L2,
		"l3": netlink.IPVLAN_MODE_L3, "l3s": netlink.IPVLAN_MODE_L3S}
)

// startSublink begins to make a container's interface. The answer waits for the outcome.
func (n *Networks) startSublink(r netRecord, w wanted, netns int) func() error {
	return inBackground(func() error {
		parent, err := n.parent(r)
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex, attrs.Namespace, attrs.MTU = w.ifname, parent.Attrs().Index, netlink.NsFd(netns), r.mtu()
		var link netlink.Link = &netlink.Macvlan{LinkAttrs: attrs, Mode: macvlanModes[r.config.Options[optionMacMode]]}
		if r.driver == driverIPvlan {
			link = &netlink.IPVlan{LinkAttrs: attrs, Mode: ipvlanModes[r.config.Options[optionIPMode]]}
		}
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("join the container to network %s on %s: %w", r.name, parent.Attrs().Name, err)
		}
		return nil
	})
}

// ownParent is the name of the interface that a network without parent hangs
// on: a bridge with nothing else on it, because every kernel that runs
// containers has those; dummies are missing in some.
func ownParent(r netRecord) string { return "nacre-" + r.id[:9] }

// parent finds the interface that a network hangs on, and makes it where it is
// ours: one of its own for internal networks, eth0.10 for VLAN 10 of eth0.
func (n *Networks) parent(r netRecord) (netlink.Link, error) {
	name := r.config.Options[optionParent]
	if name == "" {
		name = ownParent(r)
	}
	link, err := netlink.LinkByName(name)
	if err == nil || !errors.As(err, new(netlink.LinkNotFoundError)) {
		return link, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	var add netlink.Link = &netlink.Bridge{LinkAttrs: attrs}
	if r.config.Options[optionParent] != "" {
		if add, err = vlanOf(attrs); err != nil {
			return nil, err
		}
	}
	if err := netlink.LinkAdd(add); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make interface %s for network %s: %w", name, r.name, err)
	}
	if link, err = netlink.LinkByName(name); err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return nil, fmt.Errorf("bring up interface %s for network %s: %w", name, r.name, err)
	}
	return link, nil
}

// vlanOf makes a VLAN's interface of a name like eth0.10.
func vlanOf(attrs netlink.LinkAttrs) (netlink.Link, error) {
	base, tag, _ := strings.Cut(attrs.Name, ".")
	id, err := strconv.Atoi(tag)
	if err != nil || id < 1 || id > 4094 {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid subinterface vlan name %s, example formatting is eth0.10\nhint: the host has no interface of that name", attrs.Name))
	}
	parent, err := netlink.LinkByName(base)
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("the requested parent interface %s was not found on the host", base))
	}
	attrs.ParentIndex = parent.Attrs().Index
	return &netlink.Vlan{LinkAttrs: attrs, VlanId: id}, nil
}

// removeParent takes the interface away that parent has made, once no network uses it.
func (n *Networks) removeParent(r netRecord, others map[string]netRecord) error {
	name := r.config.Options[optionParent]
	switch {
	case name == "":
		return deleteLink(ownParent(r))
	case !r.config.MadeParent:
		return nil
	}
	for _, o := range others {
		if o.id != r.id && o.config.Options[optionParent] == name {
			return nil
		}
	}
	return deleteLink(name)
}

// deleteLink removes an interface, if it is there.
func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}
