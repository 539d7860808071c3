package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
)

var inBridge = []string{network.NetworkBridge}

func (h *testHost) configure(t *testing.T, daemonJSON string) {
	t.Helper()
	if h.config.Path == "" {
		h.config = config.File{Path: filepath.Join(t.TempDir(), "daemon.json")}
	}
	check(t, os.WriteFile(h.config.Path, []byte(daemonJSON), 0o600))
}

// The default network follows the configuration, but not under the feet of its containers.
func TestConfiguredDefaultNetwork(t *testing.T) {
	h := newTestHost(t)
	h.configure(t, `{"bip": "10.40.0.1/24", "fixed-cidr": "10.40.0.128/25", "ipv6": true, "bip6": "fd00:40::1/64", "icc": false,
		"host-gateway-ips": ["192.0.2.9", "2001:db8::9"]}`)
	c := h.run(t, "c", inBridge, func(r *backend.EndpointRequest) { r.HostConfig.ExtraHosts = []string{"up:host-gateway"} })
	settings := c.out.Settings.Networks[network.NetworkBridge]
	if c.address.String() != "10.40.0.128" || settings.Gateway.String() != "10.40.0.1" || settings.GlobalIPv6Address.String() != "fd00:40::2" {
		t.Errorf("settings %+v", settings)
	}
	if hosts := string(c.out.Hosts); !strings.Contains(hosts, "192.0.2.9\tup\n2001:db8::9\tup\n") {
		t.Errorf("hosts:\n%s", hosts)
	}
	if n, err := h.NetworkInspect(t.Context(), network.NetworkBridge); err != nil || n.Options[optionICC] != "false" || !n.EnableIPv6 {
		t.Errorf("inspect: %+v (%v)", n, err)
	}

	h.configure(t, `{"bip": "10.41.0.1/24"}`)
	d := h.run(t, "d", inBridge, nil)
	if !netip.MustParsePrefix("10.40.0.0/24").Contains(d.address) {
		t.Errorf("beside a container that runs: %s, want an address of the network as it is", d.address)
	}
	c.kill(t, h)
	d.kill(t, h)
	if e := h.run(t, "e", inBridge, nil); e.address.String() != "10.41.0.2" || e.out.Settings.Networks[network.NetworkBridge].GlobalIPv6Address.IsValid() {
		t.Errorf("after the others: %+v", e.out.Settings.Networks[network.NetworkBridge])
	} else {
		e.kill(t, h)
	}
	h.configure(t, `{}`)
	if f := h.run(t, "f", inBridge, nil); f.address.String() != "10.41.0.2" {
		t.Errorf("address %s, want the subnet that the network has", f.address)
	} else {
		f.kill(t, h)
	}

	h.configure(t, `{"bip": "10.42.0.1/24", "fixed-cidr": "10.43.0.0/25"}`)
	if _, err := h.tryRun(t, "g", inBridge, nil); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "fixed-cidr 10.43.0.0/25 is not in bip's subnet 10.42.0.0/24") {
		t.Errorf("a part of another subnet: %v", err)
	}
	h.configure(t, `{"bip": "10.99.0.5/24"}`)
	if _, err := h.tryRun(t, "g", inBridge, nil); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "overlaps") {
		t.Errorf("a subnet of the host: %v", err)
	}
}

// Options and IPv6 pools of networks that users make.
func TestConfiguredNewNetworks(t *testing.T) {
	h := newTestHost(t)
	h.configure(t, `{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1334"}, "macvlan": {"x": "y"}},
		"default-address-pools": [{"base": "fd00:77::/56", "size": 64}, {"base": "10.44.0.0/16", "size": 24}]}`)
	yes := true
	id := h.create(t, "n", func(r *network.CreateRequest) { r.EnableIPv6 = &yes })
	n, err := h.NetworkInspect(t.Context(), id)
	if err != nil || n.Options[optionMTU] != "1334" || len(n.IPAM.Config) != 2 {
		t.Fatalf("%+v (%v)", n, err)
	}
	if four, six := n.IPAM.Config[0].Subnet.String(), n.IPAM.Config[1].Subnet.String(); four != "10.44.0.0/24" || six != "fd00:77::/64" {
		t.Errorf("subnets %s and %s", four, six)
	}
	id = h.create(t, "m", func(r *network.CreateRequest) { r.EnableIPv6, r.Options = &yes, map[string]string{optionMTU: "1400"} })
	if n, err := h.NetworkInspect(t.Context(), id); err != nil || n.Options[optionMTU] != "1400" || n.IPAM.Config[1].Subnet.String() != "fd00:77:0:1::/64" {
		t.Errorf("the second: %+v (%v)", n, err)
	}
}
