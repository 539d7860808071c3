package network

import (
	"context"
	"fmt"
	"maps"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
)

// A config-only network is a network that nobody can join: it keeps options,
// labels and subnets for others that are made with --config-from.

// configFrom names the config-only network that a request builds upon.
func configFrom(req network.CreateRequest) string {
	if req.ConfigFrom == nil {
		return ""
	}
	return req.ConfigFrom.Network
}

// checkConfigOnly refuses what does not go together, in docker's words.
func checkConfigOnly(req network.CreateRequest) error {
	refuse := errdefs.ErrPermissionDenied.WithMessage
	switch {
	case !req.ConfigOnly && configFrom(req) == "":
		return nil
	case req.ConfigOnly && configFrom(req) != "":
		return refuse("a configuration network cannot depend on another configuration network")
	case req.ConfigOnly && (req.Internal || req.Attachable || req.Ingress || req.Scope != ""):
		return refuse("configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.")
	case req.ConfigOnly:
		return nil
	case len(req.Options) > 0:
		return refuse("network driver options are not supported if the network depends on a configuration network")
	}
	ipam := network.IPAM{}
	if req.IPAM != nil {
		ipam = *req.IPAM
	}
	off4, on6 := req.EnableIPv4 != nil && !*req.EnableIPv4, req.EnableIPv6 != nil && *req.EnableIPv6
	if off4 || on6 || len(req.Labels) > 0 || len(ipam.Options) > 0 || len(ipam.Config) > 0 || ipam.Driver != "" && ipam.Driver != "default" {
		return refuse("user specified configurations are not supported if the network depends on a configuration network")
	}
	return nil
}

// withConfigOf fills in what the config-only network that a request names says.
func (n *Networks) withConfigOf(ctx context.Context, req network.CreateRequest) (network.CreateRequest, error) {
	if err := checkConfigOnly(req); err != nil || configFrom(req) == "" {
		return req, err
	}
	nets, err := n.networks(ctx)
	if err != nil {
		return req, err
	}
	from, err := configOnly(nets, configFrom(req))
	if err != nil {
		return req, err
	}
	four, six := !from.config.NoIPv4, from.config.IPv6
	req.EnableIPv4, req.EnableIPv6 = &four, &six
	req.Labels, req.Options = maps.Clone(from.config.Labels), maps.Clone(from.config.Options)
	req.IPAM = &network.IPAM{Options: from.config.IPAMOptions}
	for _, p := range from.config.Pools {
		req.IPAM.Config = append(req.IPAM.Config, network.IPAMConfig{Subnet: p.Subnet, Gateway: p.Gateway, IPRange: p.Range, AuxAddress: p.Aux})
	}
	req.ConfigFrom = &network.ConfigReference{Network: from.name}
	return req, nil
}

func configOnly(nets map[string]netRecord, name string) (netRecord, error) {
	from, err := findNetwork(nets, name)
	if err == nil && from.config.ConfigOnly {
		return from, nil
	}
	return netRecord{}, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("configuration network %q does not exist", name))
}

// checkConfigUsers refuses to remove a config-only network that others are made of.
func checkConfigUsers(r netRecord, nets map[string]netRecord) error {
	for _, o := range nets {
		if r.config.ConfigOnly && o.config.ConfigFrom == r.name {
			return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("configuration network %q is in use\nhint: network %s is made of it", r.name, o.name))
		}
	}
	return nil
}
