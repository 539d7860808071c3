package network

import (
	"fmt"
	"iter"
	"net/netip"

	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
)

// withDefaults gives a request the name servers that the engine's
// configuration has for containers that name none.
func (n *Networks) withDefaults(req backend.EndpointRequest) (backend.EndpointRequest, error) {
	c, err := n.config.Load()
	if err != nil {
		return req, err
	}
	hc := container.HostConfig{}
	if req.HostConfig != nil {
		hc = *req.HostConfig
	}
	if len(hc.DNS) == 0 {
		hc.DNS = c.DNS
	}
	if len(hc.DNSSearch) == 0 {
		hc.DNSSearch = c.DNSSearch
	}
	if len(hc.DNSOptions) == 0 {
		hc.DNSOptions = c.DNSOptions
	}
	req.HostConfig = &hc
	return req, nil
}

// defaultOptions are what the configuration says of the default network.
func defaultOptions(c config.Config) map[string]string {
	options := map[string]string{}
	if c.MTU > 0 {
		options[optionMTU] = fmt.Sprint(c.MTU)
	}
	if c.BindingIP.IsValid() {
		options[optionBinding] = c.BindingIP.String()
	}
	return options
}

// candidates are the subnets that a new network may get, those of the
// configuration's pools, else of docker's; of those the first is left to the
// default network, which may not have been built yet.
func (n *Networks) candidates(forDefault bool) (iter.Seq[netip.Prefix], error) {
	c, err := n.config.Load()
	if err != nil {
		return nil, err
	}
	builtin := pools()
	if !forDefault {
		builtin = userPools()
	}
	return func(yield func(netip.Prefix) bool) {
		configured := false
		for _, p := range c.DefaultAddressPools {
			if !p.Base.Addr().Is4() {
				continue
			}
			configured = true
			for subnet := range subnets(p) {
				if !yield(subnet) {
					return
				}
			}
		}
		for i := 0; !configured && i < len(builtin); i++ {
			if !yield(builtin[i]) {
				return
			}
		}
	}, nil
}

// subnets are all IPv4 subnets of a pool's size in its base, in order.
func subnets(p config.Pool) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for address := p.Base.Masked().Addr(); p.Base.Contains(address); {
			if !yield(netip.PrefixFrom(address, p.Size)) {
				return
			}
			next, ok := netip.AddrFromSlice(afterLast(netip.PrefixFrom(address, p.Size)))
			if !ok || !address.Less(next) {
				return
			}
			address = next
		}
	}
}
