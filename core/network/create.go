package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NetworkCreate makes a network: its interface, its rules, its record. Errors:
// errdefs.ErrConflict when the name is taken, errdefs.ErrPermissionDenied when
// a subnet overlaps with what is in use, errdefs.ErrResourceExhausted when no
// pool is left, errdefs.ErrInvalidArgument, errdefs.ErrNotFound for a driver.
func (n *Networks) NetworkCreate(ctx context.Context, req network.CreateRequest) (network.CreateResponse, error) {
	req, err := n.withConfigOf(ctx, req)
	if err != nil {
		return network.CreateResponse{}, err
	}
	if req, err = n.withDefaultOptions(req); err != nil {
		return network.CreateResponse{}, err
	}
	r, err := newRecord(req)
	if err != nil {
		return network.CreateResponse{}, err
	}
	unlock, err := n.lock()
	if err != nil {
		return network.CreateResponse{}, err
	}
	defer unlock()
	nets, err := n.networks(ctx)
	if err != nil {
		return network.CreateResponse{}, err
	}
	if err := n.checkUnique(r, nets); err != nil {
		return network.CreateResponse{}, err
	}
	if r.config.ConfigOnly {
		if err := n.recordNetwork(ctx, r); err != nil {
			return network.CreateResponse{}, err
		}
		return network.CreateResponse{ID: r.id}, n.tell(r, events.ActionCreate, "")
	}
	release, err := lockSubnets()
	if err != nil {
		return network.CreateResponse{}, err
	}
	defer release()
	if r.config.Pools, err = n.choosePools(ctx, r); err != nil {
		return network.CreateResponse{}, err
	}
	if err := n.build(ctx, &r, nets); err != nil {
		return network.CreateResponse{}, err
	}
	return network.CreateResponse{ID: r.id}, n.tell(r, events.ActionCreate, "")
}

// newRecord reads a request and refuses what cannot be.
func newRecord(req network.CreateRequest) (netRecord, error) {
	r := netRecord{name: req.Name, id: newID(), driver: req.Driver, created: time.Now()}
	switch {
	case req.ConfigOnly:
		r.driver = driverNull
	case r.driver == "" || r.driver == "default":
		r.driver = driverBridge
	}
	if err := checkRequest(req, r); err != nil {
		return r, err
	}
	r.config = netConfig{
		NoIPv4: req.EnableIPv4 != nil && !*req.EnableIPv4, IPv6: req.EnableIPv6 != nil && *req.EnableIPv6,
		Internal: req.Internal, Attachable: req.Attachable, Labels: req.Labels, Options: maps.Clone(req.Options),
		ConfigOnly: req.ConfigOnly, ConfigFrom: configFrom(req),
	}
	if r.config.NoIPv4 && !r.config.IPv6 {
		return r, errdefs.ErrInvalidArgument.WithMessage("IPv4 or IPv6 must be enabled")
	}
	if ipam := req.IPAM; ipam != nil {
		if r.config.IPAMOptions = ipam.Options; ipam.Options == nil {
			r.config.IPAMOptions = map[string]string{}
		}
		pools, err := poolsOf(*ipam, &r.config)
		if err != nil {
			return r, err
		}
		r.config.Pools = pools
	}
	return r, checkOptions(&r)
}

func checkRequest(req network.CreateRequest, r netRecord) error {
	switch {
	case strings.TrimSpace(req.Name) == "":
		return errdefs.ErrInvalidArgument.WithMessage("invalid network name: name is empty")
	case isPredefined(req.Name):
		return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("operation is not permitted on predefined %s network", req.Name))
	case req.ConfigOnly:
		return nil
	case req.Ingress || req.Scope == "swarm" || r.driver == "overlay":
		return errdefs.ErrUnavailable.WithMessage("This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.")
	case r.driver == driverHost || r.driver == driverNull:
		return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("only one instance of %q network is allowed", r.driver))
	case r.driver != driverBridge && r.driver != driverMacvlan && r.driver != driverIPvlan:
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("could not find plugin %s in v1 plugin registry: plugin %q not found", r.driver, r.driver))
	}
	if ipam := req.IPAM; ipam != nil && ipam.Driver != "" && ipam.Driver != "default" {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("could not resolve ipam driver %q", ipam.Driver))
	}
	return nil
}

// poolsOf reads the address pools that were asked for. A pool without subnet
// asks for one of our choice.
func poolsOf(ipam network.IPAM, config *netConfig) ([]pool, error) {
	var pools []pool
	var problems []error
	has := map[bool]bool{}
	for _, c := range ipam.Config {
		if !c.Subnet.IsValid() {
			if c.Gateway.IsValid() || c.IPRange.IsValid() || len(c.AuxAddress) > 0 {
				problems = append(problems, errors.New("invalid subnet: a gateway, ip-range or auxiliary address needs one"))
			}
			continue
		}
		is4 := c.Subnet.Addr().Is4()
		switch {
		case has[is4]:
			problems = append(problems, fmt.Errorf("%s: the driver doesn't support multiple subnets of one family", c.Subnet))
		case is4 && config.NoIPv4:
			problems = append(problems, fmt.Errorf("invalid subnet %s: IPv4 has not been enabled for this network", c.Subnet))
		}
		has[is4] = true
		if !is4 {
			config.IPv6 = true
		}
		problems = append(problems, checkPool(c))
		p := pool{Subnet: c.Subnet.Masked(), Gateway: c.Gateway, Range: c.IPRange, Aux: c.AuxAddress}
		if !p.Gateway.IsValid() {
			p.Gateway = p.firstFree()
		}
		pools = append(pools, p)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage("invalid network config:\n" + err.Error())
	}
	return pools, nil
}

// firstFree is the gateway of a pool that names none: its first address that has no other use.
func (p pool) firstFree() netip.Addr {
	used := map[netip.Addr]string{}
	for name, a := range p.Aux {
		used[a] = name
	}
	p.Range = netip.Prefix{}
	address, err := p.take("", netip.Addr{}, used)
	if err != nil {
		return netip.Addr{}
	}
	return address
}

func checkPool(c network.IPAMConfig) error {
	var problems []error
	if masked := c.Subnet.Masked(); c.Subnet != masked {
		problems = append(problems, fmt.Errorf("invalid subnet %s: it should be %s", c.Subnet, masked))
	}
	longest := c.Subnet.Addr().BitLen() - 1
	if c.Subnet.Bits() > longest {
		problems = append(problems, fmt.Errorf("invalid subnet %s: it has room for no container", c.Subnet))
	}
	if c.IPRange.IsValid() {
		if masked := c.IPRange.Masked(); c.IPRange != masked {
			problems = append(problems, fmt.Errorf("invalid ip-range %s: it should be %s", c.IPRange, masked))
		}
		if c.IPRange.Bits() < c.Subnet.Bits() || !c.Subnet.Contains(c.IPRange.Addr()) {
			problems = append(problems, fmt.Errorf("invalid ip-range %s: it is not in subnet %s", c.IPRange, c.Subnet))
		}
	}
	if c.Gateway.IsValid() && !c.Subnet.Contains(c.Gateway) {
		problems = append(problems, fmt.Errorf("invalid gateway %s: parent subnet %s doesn't contain this address", c.Gateway, c.Subnet))
	}
	for name, a := range c.AuxAddress {
		if !c.Subnet.Contains(a) {
			problems = append(problems, fmt.Errorf("invalid auxiliary address %s (%s): parent subnet %s doesn't contain this address", a, name, c.Subnet))
		}
	}
	return errors.Join(problems...)
}

// checkOptions refuses options that cannot be kept; unknown ones are kept and mean nothing, as in docker.
func checkOptions(r *netRecord) error {
	o := r.config.Options
	bad := func(option, why string) error {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid value %q for option %s: %s", o[option], option, why))
	}
	for _, option := range []string{optionICC, optionMasquerade} {
		if _, err := strconv.ParseBool(o[option]); o[option] != "" && err != nil {
			return bad(option, "it must be true or false")
		}
	}
	for _, option := range []string{optionGateway4, optionGateway6} {
		if mode := o[option]; mode != "" && mode != "nat" {
			return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("gateway mode %s of option %s is not supported by this engine", mode, option))
		}
	}
	if v := o[optionMTU]; v != "" {
		if mtu, err := strconv.Atoi(v); err != nil || mtu < 68 || mtu > 65535 {
			return bad(optionMTU, "it must be a number from 68 to 65535")
		} else if r.config.IPv6 && mtu < 1280 {
			return bad(optionMTU, "IPv6 needs at least 1280") // RFC 8200, section 5; the kernel takes IPv6 from the interface
		}
	}
	if v := o[optionBinding]; v != "" {
		if _, err := netip.ParseAddr(v); err != nil {
			return bad(optionBinding, "it must be an IP address")
		}
	}
	for _, option := range []string{optionName, optionPrefix} {
		if v := o[option]; v != "" && !validIfname(v) {
			return bad(option, "it is no name for an interface (at most 15 characters, no slash, no space)")
		}
	}
	return checkModes(r, bad)
}

func validIfname(name string) bool {
	return len(name) < unix.IFNAMSIZ && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n")
}

// checkModes looks at what macvlan and ipvlan add.
func checkModes(r *netRecord, bad func(option, why string) error) error {
	switch r.driver {
	case driverMacvlan:
		if _, ok := macvlanModes[r.config.Options[optionMacMode]]; !ok {
			return bad(optionMacMode, "it must be bridge, private, vepa or passthru")
		}
	case driverIPvlan:
		if _, ok := ipvlanModes[r.config.Options[optionIPMode]]; !ok {
			return bad(optionIPMode, "it must be l2, l3 or l3s")
		}
	default:
		return nil
	}
	if r.config.Options[optionParent] == "" {
		r.config.Internal = true // docker's: without a parent there is no way out
	}
	return nil
}

// checkUnique refuses names and interfaces that are taken.
func (n *Networks) checkUnique(r netRecord, nets map[string]netRecord) error {
	if _, taken := nets[r.name]; taken {
		return nameTaken(r.name)
	}
	if from := r.config.ConfigFrom; from != "" {
		if _, err := configOnly(nets, from); err != nil { // it was there, before the lock
			return err
		}
	}
	if !r.isBridge() {
		return nil
	}
	name := n.interfaceOf(r)
	for _, o := range nets {
		if o.isBridge() && n.interfaceOf(o) == name {
			return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("cannot create network %s (%s): conflicts with network %s (%s): networks have same bridge name", r.id, name, o.id, o.name))
		}
	}
	_, err := netlink.LinkByName(name)
	if err == nil {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("cannot create network %s: the host has an interface %s already\nhint: choose another with -o %s", r.name, name, optionName))
	}
	if !errors.As(err, new(netlink.LinkNotFoundError)) {
		return fmt.Errorf("look at interface %s: %w", name, err)
	}
	return nil
}

// choosePools checks the pools that were asked for and chooses those that are missing.
func (n *Networks) choosePools(ctx context.Context, r netRecord) ([]pool, error) {
	taken, err := n.occupied(ctx, r)
	if err != nil {
		return nil, err
	}
	chosen := r.config.Pools
	for _, p := range chosen {
		if err := refuseOverlap(p.Subnet, taken); err != nil && (r.isBridge() || !onHost(p.Subnet, taken)) {
			return nil, err
		}
	}
	if !r.config.NoIPv4 && !r.v4().Subnet.IsValid() {
		candidates, err := n.candidates(false)
		if err != nil {
			return nil, err
		}
		subnet, err := chooseSubnet(candidates, taken)
		if err != nil {
			return nil, err
		}
		chosen = append([]pool{chosenPool(subnet)}, chosen...)
	}
	if r.config.IPv6 && !r.v6().Subnet.IsValid() {
		subnet, err := n.chooseIPv6(r.id, taken)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, chosenPool(subnet))
	}
	return chosen, nil
}

// onHost says whether only the host is in a subnet: that of a macvlan network
// is, as a rule, the one that its parent is in.
func onHost(p netip.Prefix, taken []occupant) bool {
	for _, o := range taken {
		if o.network && p.Overlaps(o.prefix) {
			return false
		}
	}
	return true
}

// build makes a network's record, then its interface and rules: a crash between
// them leaves what the next Connect mends. An error leaves nothing.
func (n *Networks) build(ctx context.Context, r *netRecord, nets map[string]netRecord) error {
	if name := r.config.Options[optionParent]; name != "" && !r.isBridge() {
		_, err := netlink.LinkByName(name)
		r.config.MadeParent = errors.As(err, new(netlink.LinkNotFoundError))
	}
	if err := n.recordNetwork(ctx, *r); err != nil {
		return err
	}
	after := maps.Clone(nets)
	after[r.name] = *r
	err := n.buildInterface(ctx, *r, nets, after)
	if err == nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	return errors.Join(err, n.dismantle(ctx, *r, after, nets), n.forgetNetwork(ctx, *r))
}

func (n *Networks) buildInterface(ctx context.Context, r netRecord, before, after map[string]netRecord) error {
	if !r.isBridge() {
		_, err := n.parent(r)
		return err
	}
	if err := n.buildBridge(r); err != nil {
		return fmt.Errorf("set up bridge %s: %w", n.interfaceOf(r), err)
	}
	return n.changeRules(ctx, before, after)
}

// dismantle takes a network's interface and rules away.
func (n *Networks) dismantle(ctx context.Context, r netRecord, before, after map[string]netRecord) error {
	if !r.isBridge() {
		return n.removeParent(r, after)
	}
	return errors.Join(n.changeRules(ctx, before, after), deleteLink(n.interfaceOf(r)))
}

// changeRules brings the rules from one state of the networks to another.
func (n *Networks) changeRules(ctx context.Context, before, after map[string]netRecord) error {
	c, err := n.count(ctx)
	if err != nil {
		return err
	}
	return n.follow(before, after, c.published())
}
