package network

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
)

// attachment is one network that a container is about to join.
type attachment struct {
	rec   netRecord
	given *network.EndpointSettings // what the user asked for; never nil
	want  wanted

	bridge bridge       // of a bridge network
	linked func() error // waits until the interface is made

	endpoint   *endpoint
	configured <-chan error // the container's side
}

// wanted is what a request asks of a network.
type wanted struct {
	id              string // of the endpoint
	container, name string
	sandbox, ifname string
	mac             net.HardwareAddr // nil: derived from the address
	ip4, ip6        netip.Addr       // zero: any
	ports           []portRequest
	extra           endpointExtra
}

// veth is the name of the host's end.
func (w wanted) veth() string { return "veth" + w.id[:11] }

// attachments are the networks that a container joins at its start, the one
// that names its interface eth0 first.
func (n *Networks) attachments(nets map[string]netRecord, req backend.EndpointRequest) ([]*attachment, error) {
	given := requestedNetworks(req)
	first := modeNetwork(req.HostConfig.NetworkMode)
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == first) != (b == first) {
			if a == first {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var list []*attachment
	for _, name := range names {
		rec, err := findNetwork(nets, name)
		if err != nil {
			return nil, err
		}
		a, err := newAttachment(rec, req, given[name])
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	giveNames(list)
	gives := chooseGateways(list)
	ports, err := portRequests(req.Config, req.HostConfig)
	if err != nil {
		return nil, err
	}
	if gives != nil && gives.rec.isBridge() && !gives.rec.config.Internal {
		gives.want.ports = ports
	}
	return list, nil
}

// modeNetwork is the network that a mode names.
func modeNetwork(mode container.NetworkMode) string {
	if mode == "" || mode == network.NetworkDefault {
		return network.NetworkBridge
	}
	return string(mode)
}

// requestedNetworks are the networks of a container with what was asked of
// them: those of its record, or the one that its mode names.
func requestedNetworks(req backend.EndpointRequest) map[string]*network.EndpointSettings {
	if req.Networking == nil || req.Networking.EndpointsConfig == nil {
		return map[string]*network.EndpointSettings{modeNetwork(req.HostConfig.NetworkMode): {}}
	}
	given := map[string]*network.EndpointSettings{}
	for name, settings := range req.Networking.EndpointsConfig {
		if name == network.NetworkDefault {
			name = network.NetworkBridge
		}
		if settings == nil {
			settings = &network.EndpointSettings{}
		}
		given[name] = settings
	}
	return given
}

// Plan checks what a new container asks of its networks, and returns it with
// the networks' own names: users may also have said ids. Networks that are not
// there (yet) stay as they are, their start will tell. hc's mode is renamed too.
// Errors are errdefs.ErrInvalidArgument.
func (n *Networks) Plan(ctx context.Context, hc *container.HostConfig, asked *network.NetworkingConfig) (*network.NetworkingConfig, error) {
	if _, err := portRequests(nil, hc); err != nil {
		return nil, err
	}
	mode := hc.NetworkMode
	if mode.IsUserDefined() || asked != nil && len(asked.EndpointsConfig) > 0 {
		nets, err := n.networks(ctx)
		if err != nil {
			return nil, err
		}
		if rec, err := findNetwork(nets, string(mode)); err == nil && mode.IsUserDefined() {
			hc.NetworkMode = container.NetworkMode(rec.name)
		}
		return planNetworks(nets, hc.NetworkMode, asked)
	}
	return nil, nil
}

func planNetworks(nets map[string]netRecord, mode container.NetworkMode, asked *network.NetworkingConfig) (*network.NetworkingConfig, error) {
	planned := map[string]*network.EndpointSettings{}
	if asked != nil {
		req := backend.EndpointRequest{HostConfig: &container.HostConfig{NetworkMode: mode}, Networking: asked}
		for name, given := range requestedNetworks(req) {
			if rec, err := findNetwork(nets, name); err == nil {
				name = rec.name
				if err := checkGiven(rec, given); err != nil {
					return nil, err
				}
			}
			planned[name] = given
		}
	}
	if mode.IsUserDefined() && planned[string(mode)] == nil && len(planned) == 0 {
		planned[string(mode)] = &network.EndpointSettings{}
	}
	if len(planned) == 0 {
		return nil, nil
	}
	private := mode.IsHost() || mode.IsContainer()
	for name := range planned {
		switch {
		case private && name != string(mode):
			return nil, errdefs.ErrInvalidArgument.WithMessage("container sharing network namespace with another container or host cannot be connected to any other network")
		case name == network.NetworkHost && !mode.IsHost():
			return nil, errdefs.ErrInvalidArgument.WithMessage("cannot connect container to host network - container must be created in host network mode")
		case name == network.NetworkNone && len(planned) > 1:
			return nil, errdefs.ErrInvalidArgument.WithMessage("container cannot be connected to multiple networks with one of the networks in private (none) mode")
		}
	}
	return &network.NetworkingConfig{EndpointsConfig: planned}, nil
}

// checkGiven refuses what a network cannot give, in docker's words.
func checkGiven(rec netRecord, given *network.EndpointSettings) error {
	if err := checkSettings(rec, given); err != nil {
		return err
	}
	if _, err := endpointLinks(given.Links); err != nil {
		return err
	}
	if mac := given.MacAddress; len(mac) != 0 && len(mac) != 6 {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid MAC address: %s", mac))
	}
	if name := given.DriverOpts[optionIfname]; name != "" && !validIfname(name) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid value %q for option %s: it is no name for an interface", name, optionIfname))
	}
	if ipam := given.IPAMConfig; ipam != nil {
		for _, ip := range []netip.Addr{ipam.IPv4Address.Unmap(), ipam.IPv6Address} {
			if !ip.IsValid() {
				continue
			}
			if p := rec.pool(ip.Is4()); p.Chosen || !p.Subnet.Contains(ip) {
				_, err := p.take(rec.name, ip, nil)
				return err
			}
		}
	}
	return nil
}

// NetworkName finds a network by name, id or the beginning of an id.
func (n *Networks) NetworkName(ctx context.Context, nameOrID string) (string, error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return "", err
	}
	r, err := findNetwork(nets, nameOrID)
	return r.name, err
}

// IDs gives the ids of all networks by their names.
func (n *Networks) IDs(ctx context.Context) (map[string]string, error) {
	nets, err := n.networks(ctx)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]string, len(nets))
	for _, r := range nets {
		ids[r.name] = r.id
	}
	return ids, nil
}

func newAttachment(rec netRecord, req backend.EndpointRequest, given *network.EndpointSettings) (*attachment, error) {
	if rec.config.ConfigOnly {
		return nil, errdefs.ErrPermissionDenied.WithMessage("cannot create endpoint on configuration-only network")
	}
	switch rec.driver {
	case driverHost:
		return nil, errdefs.ErrInvalidArgument.WithMessage("cannot connect container to host network - container must be created in host network mode")
	case driverNull:
		return nil, errdefs.ErrInvalidArgument.WithMessage("container cannot be connected to multiple networks with one of the networks in private (none) mode")
	}
	if err := checkGiven(rec, given); err != nil {
		return nil, err
	}
	links, err := endpointLinks(given.Links)
	if err != nil {
		return nil, err
	}
	w := wanted{
		id: newID(), container: req.ContainerID, name: req.Name, mac: net.HardwareAddr(given.MacAddress),
		ifname: given.DriverOpts[optionIfname],
		extra:  endpointExtra{Priority: given.GwPriority, Links: links},
	}
	if len(w.mac) == 0 {
		w.mac = nil
	}
	if !rec.isDefault() {
		w.extra.Names = dnsNames(req, given.Aliases)
	}
	if ipam := given.IPAMConfig; ipam != nil {
		w.ip4, w.ip6 = ipam.IPv4Address.Unmap(), ipam.IPv6Address
	}
	return &attachment{rec: rec, given: given, want: w}, nil
}

// checkSettings refuses what the default network does not have, in docker's words.
func checkSettings(rec netRecord, given *network.EndpointSettings) error {
	if !rec.isDefault() {
		return nil
	}
	if ipam := given.IPAMConfig; ipam != nil && (ipam.IPv4Address.IsValid() || ipam.IPv6Address.IsValid()) {
		return errdefs.ErrInvalidArgument.WithMessage("invalid config for network bridge: invalid endpoint settings:\nuser specified IP address is supported on user defined networks only")
	}
	if len(given.Aliases) > 0 {
		return errdefs.ErrInvalidArgument.WithMessage("invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks")
	}
	return nil
}

// dnsNames are the names of a container in a network of users: its own, its
// aliases, its short id and its host name, each once.
func dnsNames(req backend.EndpointRequest, aliases []string) []string {
	all := slices.Concat([]string{req.Name}, aliases, []string{req.ContainerID[:min(12, len(req.ContainerID))], req.Hostname})
	var names []string
	for _, name := range all {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// endpointLinks reads docker's CONTAINER:ALIAS.
func endpointLinks(links []string) (map[string]string, error) {
	var read map[string]string
	for _, link := range links {
		name, alias, err := parseLink(link)
		if err != nil {
			return nil, err
		}
		if read == nil {
			read = map[string]string{}
		}
		read[alias] = name
	}
	return read, nil
}

func parseLink(link string) (name, alias string, err error) {
	name, alias, found := strings.Cut(link, ":")
	if !found {
		alias = name
	}
	name, alias = strings.TrimPrefix(name, "/"), alias[strings.LastIndex(alias, "/")+1:]
	if name == "" || alias == "" || strings.Contains(alias, ":") {
		return "", "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("bad format for links: %s", link))
	}
	return name, alias, nil
}

// giveNames calls the interfaces eth0, eth1, … but for those that the user named.
func giveNames(list []*attachment) {
	used := map[string]bool{}
	for _, a := range list {
		used[a.want.ifname] = true
	}
	for _, a := range list {
		if a.want.ifname == "" {
			a.want.ifname = freeIfname(prefixOf(a.rec), used)
		}
		used[a.want.ifname] = true
	}
}

func prefixOf(r netRecord) string { return cmp.Or(r.config.Options[optionPrefix], "eth") }

func freeIfname(prefix string, used map[string]bool) string {
	for i := 0; ; i++ {
		if name := fmt.Sprint(prefix, i); !used[name] {
			return name
		}
	}
}

// chooseGateways decides which network gives the container its default route,
// per family, and returns that of IPv4 (else of IPv6): by priority, then by
// name; internal networks and those without a gateway give none.
func chooseGateways(list []*attachment) (gives *attachment) {
	order := slices.Clone(list)
	slices.SortStableFunc(order, func(a, b *attachment) int {
		return cmp.Or(cmp.Compare(b.want.extra.Priority, a.want.extra.Priority), strings.Compare(a.rec.name, b.rec.name))
	})
	var four, six *attachment
	for _, a := range order {
		if a.rec.config.Internal {
			continue
		}
		if four == nil && a.rec.v4().Gateway.IsValid() || four == nil && a.rec.isDefault() {
			four = a
			a.want.extra.Default4 = true
		}
		if six == nil && a.rec.v6().Gateway.IsValid() {
			six = a
			a.want.extra.Default6 = true
		}
	}
	if four == nil {
		return six
	}
	return four
}
