package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/vishvananda/netlink"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/filter"
)

func TestNetworksOfUsersAreApart(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "a", nil)
	h.create(t, "b", nil)
	a1, a2, b1 := h.run(t, "a1", []string{"a"}, nil), h.run(t, "a2", []string{"a"}, nil), h.run(t, "b1", []string{"b"}, func(r *backend.EndpointRequest) {
		r.HostConfig.PortBindings = bindings(":8080:80/tcp")
	})
	onDefault := h.start(t, "d1", nil)
	for _, c := range []*testContainer{a1, b1, onDefault} {
		serve(t, c.ns, ":80")
	}
	serve(t, h.other, ":90")
	if seen, err := call(a2.ns, "tcp", a1.address.String()+":80"); err != nil || seen != a2.address.String() {
		t.Errorf("within a network: the server saw %q (%v), want %s", seen, err, a2.address)
	}
	for _, c := range []struct {
		from, to *testContainer
	}{{a2, b1}, {b1, a1}, {onDefault, a1}, {a1, onDefault}} {
		if !isShut(c.from.ns, "tcp", c.to.address.String()+":80") {
			t.Errorf("%s reaches %s, which is in another network", c.from.id, c.to.id)
		}
	}
	if _, err := call(a1.ns, "tcp", "10.99.0.2:90"); err != nil {
		t.Errorf("the way out: %v", err)
	}
	if seen, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil || seen != "10.99.0.2" {
		t.Errorf("published port: the container saw %q (%v), want the peer's address", seen, err)
	}
	if _, err := call(a1.ns, "tcp", "10.99.0.1:8080"); err != nil {
		t.Errorf("published port from another network, over the host: %v", err)
	}
	if !isShut(h.other, "tcp", a1.address.String()+":80") {
		t.Error("another host reaches a port that is not published")
	}
}

func TestInternalNetworkHasNoWayOut(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "inside", func(r *network.CreateRequest) { r.Internal = true })
	h.create(t, "out", nil)
	a := h.run(t, "a", []string{"inside"}, func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp") })
	both := h.run(t, "both", []string{"inside", "out"}, nil)
	serve(t, a.ns, ":80")
	serve(t, h.other, ":90")
	if len(a.out.Settings.Ports[network.MustParsePort("80/tcp")]) != 0 || a.in("inside").Gateway.IsValid() {
		t.Errorf("settings %+v: want neither ports nor gateway", a.out.Settings)
	}
	if !isShut(a.ns, "tcp", "10.99.0.2:90") {
		t.Error("a container of an internal network reaches another host")
	}
	check(t, inNetNS(a.ns, func() error { // not for want of a route only
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		gateway := a.in("inside").IPAddress.As4()
		gateway[3] = 1
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway[:]})
	}))
	if !isShut(a.ns, "tcp", "10.99.0.2:90") {
		t.Error("with a route of its own, a container of an internal network reaches another host")
	}
	if _, err := call(both.ns, "tcp", a.address.String()+":80"); err != nil {
		t.Errorf("within the internal network: %v", err)
	}
	if _, err := call(both.ns, "tcp", "10.99.0.2:90"); err != nil {
		t.Errorf("out through the other network: %v", err)
	}
}

func TestOptionsOfBridges(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "silent", func(r *network.CreateRequest) {
		r.Options = map[string]string{optionICC: "false", optionMTU: "1280", optionName: "br-of-mine", optionBinding: "127.0.0.1"}
	})
	h.create(t, "plain", func(r *network.CreateRequest) { r.Options = map[string]string{optionMasquerade: "false"} })
	a := h.run(t, "a", []string{"silent"}, func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp") })
	b := h.run(t, "b", []string{"silent"}, nil)
	serve(t, a.ns, ":80")
	if !isShut(b.ns, "tcp", a.address.String()+":80") {
		t.Error("enable_icc=false: a container reaches another one")
	}
	if _, err := call(h.ns, "tcp", "127.0.0.1:8080"); err != nil {
		t.Errorf("published port: %v", err)
	}
	if !isShut(h.other, "tcp", "10.99.0.1:8080") {
		t.Error("host_binding_ipv4=127.0.0.1: another host reaches the port")
	}
	br, err := net.InterfaceByName("br-of-mine")
	if err != nil || br.MTU != 1280 {
		t.Errorf("bridge %+v (%v), want MTU 1280", br, err)
	}
	check(t, inNetNS(a.ns, func() error {
		link, err := net.InterfaceByName("eth0")
		if err == nil && link.MTU != 1280 {
			err = fmt.Errorf("MTU %d in the container, want 1280", link.MTU)
		}
		return err
	}))
	c := h.run(t, "c", []string{"plain"}, nil)
	serve(t, h.other, ":90") // whose default route leads back
	if seen, err := call(c.ns, "tcp", "10.99.0.2:90"); err != nil || seen != c.address.String() {
		t.Errorf("enable_ip_masquerade=false: the other host saw %q (%v), want %s", seen, err, c.address)
	}
}

func TestIPv6(t *testing.T) {
	h := newTestHost(t)
	check(t, giveAddress("uplink", netip.MustParsePrefix("fd99::1/64"), netip.Addr{}))
	check(t, inNetNS(h.other, func() error {
		return errors.Join(giveAddress("uplink", netip.MustParsePrefix("fd99::2/64"), netip.MustParseAddr("fd99::1")))
	}))
	on := true
	h.create(t, "six", func(r *network.CreateRequest) { r.EnableIPv6 = &on })
	h.create(t, "given", func(r *network.CreateRequest) { r.EnableIPv6, r.IPAM = &on, subnetOf("fd01:2::/64") })
	off := false
	h.create(t, "only", func(r *network.CreateRequest) { r.EnableIPv6, r.EnableIPv4 = &on, &off })
	a := h.run(t, "a", []string{"six"}, func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp", ":8080:80/udp") })
	b := h.run(t, "b", []string{"six"}, nil)
	serve(t, a.ns, ":80")
	six := a.in("six")
	to := func(ip netip.Addr, port uint16) string { return netip.AddrPortFrom(ip, port).String() }
	if seen, err := call(b.ns, "tcp", to(six.GlobalIPv6Address, 80)); err != nil || seen != b.in("six").GlobalIPv6Address.String() {
		t.Errorf("within the network: the container saw %q (%v)", seen, err)
	}
	for _, proto := range []string{"tcp", "udp"} {
		if seen, err := call(h.other, proto, "[fd99::1]:8080"); err != nil || seen != "fd99::2" {
			t.Errorf("%s from another host: the container saw %q (%v), want fd99::2", proto, seen, err)
		}
		if _, err := call(b.ns, proto, "[fd99::1]:8080"); err != nil {
			t.Errorf("%s from another container over the host: %v", proto, err)
		}
		if _, err := call(h.ns, proto, "[fd99::1]:8080"); err != nil {
			t.Errorf("%s from the host: %v", proto, err)
		}
		if _, err := call(h.other, proto, "10.99.0.1:8080"); err != nil {
			t.Errorf("%s over IPv4: %v", proto, err)
		}
	}
	if !isShut(h.other, "tcp", to(six.GlobalIPv6Address, 80)) {
		t.Error("another host reaches a port that is not published")
	}
	serve(t, h.other, ":90")
	if seen, err := call(b.ns, "tcp", "[fd99::2]:90"); err != nil || seen != "fd99::1" {
		t.Errorf("the way out: the other host saw %q (%v), want the host's address", seen, err)
	}
	if given := h.run(t, "g", []string{"given"}, nil).in("given"); given.GlobalIPv6Address.String() != "fd01:2::2" || given.IPv6Gateway.String() != "fd01:2::1" || !given.IPAddress.Is4() {
		t.Errorf("given subnet: %+v", given)
	}
	if only := h.run(t, "o", []string{"only"}, nil).in("only"); only.IPAddress.IsValid() || !only.GlobalIPv6Address.IsValid() {
		t.Errorf("without IPv4: %+v", only)
	}
	if !strings.Contains(string(a.out.Hosts), six.GlobalIPv6Address.String()) {
		t.Errorf("/etc/hosts without the address: %s", a.out.Hosts)
	}
	if ports := a.out.Settings.Ports[network.MustParsePort("80/tcp")]; len(ports) != 2 || ports[1].HostIP.String() != "::" || ports[0].HostPort != ports[1].HostPort {
		t.Errorf("published: %v, want 0.0.0.0 and [::]", ports)
	}
}

func TestAddresses(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "n", func(r *network.CreateRequest) {
		r.IPAM = &network.IPAM{Config: []network.IPAMConfig{{
			Subnet: netip.MustParsePrefix("10.5.0.0/24"), IPRange: netip.MustParsePrefix("10.5.0.128/30"), Gateway: netip.MustParseAddr("10.5.0.254"),
			AuxAddress: map[string]netip.Addr{"router": netip.MustParseAddr("10.5.0.128")},
		}}}
	})
	want := func(ip string) func(*backend.EndpointRequest) {
		return func(r *backend.EndpointRequest) {
			r.Networking.EndpointsConfig["n"].IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(ip)}
		}
	}
	for i, ip := range []string{"10.5.0.129", "10.5.0.130", "10.5.0.131"} {
		c := h.run(t, fmt.Sprint("c", i), []string{"n"}, nil)
		if c.address.String() != ip || c.in("n").Gateway.String() != "10.5.0.254" {
			t.Errorf("address %s, gateway %s, want %s and 10.5.0.254", c.address, c.in("n").Gateway, ip)
		}
	}
	if _, err := h.tryRun(t, "full", []string{"n"}, nil); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "no available IPv4 addresses on this network's address pools: n (10.5.0.128/30)") {
		t.Errorf("a full pool: %v", err)
	}
	fixed := h.run(t, "fixed", []string{"n"}, want("10.5.0.9"))
	if fixed.address.String() != "10.5.0.9" {
		t.Errorf("address %s, want the one asked for", fixed.address)
	}
	for ip, says := range map[string]string{
		"10.5.0.9":   "Address already in use\nhint: container c-fixed has 10.5.0.9 in network n",
		"10.5.0.254": "Address already in use\nhint: the gateway has",
		"10.5.0.128": "Address already in use\nhint: the auxiliary address router has",
		"10.6.0.1":   "no configured subnet or ip-range contain the IP address 10.6.0.1",
	} {
		if _, err := h.tryRun(t, "late", []string{"n"}, want(ip)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--ip %s: %v, want %q", ip, err, says)
		}
	}
	// A restart while the kernel still has the old interface.
	check(t, h.Disconnect(t.Context(), "fixed"))
	if again := h.run(t, "fixed", []string{"n"}, want("10.5.0.9")); again.address.String() != "10.5.0.9" {
		t.Errorf("after a restart: address %s", again.address)
	}
	h.create(t, "chosen", nil)
	_, err := h.tryRun(t, "x", []string{"chosen"}, func(r *backend.EndpointRequest) {
		r.Networking.EndpointsConfig["chosen"].IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("172.18.0.9")}
	})
	if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "networks with user configured subnets") {
		t.Errorf("--ip where the subnet was chosen: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	h := newTestHost(t)
	lo, err := netlink.LinkByName("lo")
	check(t, err)
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("10.44.0.0/16"))}
	check(t, netlink.RouteAdd(route))
	t.Cleanup(func() { netlink.RouteDel(route) })
	foreign := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "taken0"}}
	check(t, netlink.LinkAdd(foreign))
	t.Cleanup(func() { check(t, netlink.LinkDel(foreign)) })
	h.create(t, "have", func(r *network.CreateRequest) {
		r.IPAM, r.Options = subnetOf("10.45.0.0/16"), map[string]string{optionName: "have0"}
	})
	ipam := func(c network.IPAMConfig) *network.IPAM { return &network.IPAM{Config: []network.IPAMConfig{c}} }
	subnet := netip.MustParsePrefix("10.46.0.0/24")
	for _, c := range []struct {
		req   network.CreateRequest
		class func(error) bool
		says  string
	}{
		{network.CreateRequest{Name: "have"}, errdefs.IsConflict, "network with name have already exists"},
		{network.CreateRequest{Name: " "}, errdefs.IsInvalidArgument, "name is empty"},
		{network.CreateRequest{Name: "bridge"}, errdefs.IsPermissionDenied, "operation is not permitted on predefined bridge network"},
		{network.CreateRequest{Name: "x", Driver: "host"}, errdefs.IsPermissionDenied, `only one instance of "host" network is allowed`},
		{network.CreateRequest{Name: "x", Driver: "weird"}, errdefs.IsNotFound, `plugin "weird" not found`},
		{network.CreateRequest{Name: "x", Driver: "overlay"}, errdefs.IsUnavailable, "not a swarm manager"},
		{network.CreateRequest{Name: "x", IPAM: subnetOf("10.44.3.0/24")}, errdefs.IsPermissionDenied, "Pool overlaps with other one on this address space\nhint: 10.44.3.0/24 overlaps a route of the host, 10.44.0.0/16"},
		{network.CreateRequest{Name: "x", IPAM: subnetOf("10.99.0.0/16")}, errdefs.IsPermissionDenied, "Pool overlaps"},
		{network.CreateRequest{Name: "x", IPAM: subnetOf("10.45.128.0/24")}, errdefs.IsPermissionDenied, "overlaps network have, 10.45.0.0/16"},
		{network.CreateRequest{Name: "x", IPAM: subnetOf("10.46.0.1/24")}, errdefs.IsInvalidArgument, "invalid subnet 10.46.0.1/24: it should be 10.46.0.0/24"},
		{network.CreateRequest{Name: "x", IPAM: ipam(network.IPAMConfig{Subnet: subnet, Gateway: netip.MustParseAddr("10.47.0.1")})}, errdefs.IsInvalidArgument, "invalid gateway 10.47.0.1"},
		{network.CreateRequest{Name: "x", IPAM: ipam(network.IPAMConfig{Subnet: subnet, IPRange: netip.MustParsePrefix("10.46.0.0/16")})}, errdefs.IsInvalidArgument, "invalid ip-range 10.46.0.0/16"},
		{network.CreateRequest{Name: "x", IPAM: ipam(network.IPAMConfig{Gateway: netip.MustParseAddr("10.47.0.1")})}, errdefs.IsInvalidArgument, "invalid subnet"},
		{network.CreateRequest{Name: "x", Options: map[string]string{optionName: "taken0"}}, errdefs.IsConflict, "the host has an interface taken0 already"},
		{network.CreateRequest{Name: "x", Options: map[string]string{optionName: "have0"}}, errdefs.IsPermissionDenied, "networks have same bridge name"},
		{network.CreateRequest{Name: "x", Options: map[string]string{optionName: "a-name-too-long-x"}}, errdefs.IsInvalidArgument, "it is no name for an interface"},
		{network.CreateRequest{Name: "x", Options: map[string]string{optionMTU: "big"}}, errdefs.IsInvalidArgument, optionMTU},
		{network.CreateRequest{Name: "x", Options: map[string]string{optionMTU: "1279"}, IPAM: subnetOf("fd00:9::/64")}, errdefs.IsInvalidArgument, "IPv6 needs at least 1280"},
		{network.CreateRequest{Name: "x", Options: map[string]string{optionICC: "maybe"}}, errdefs.IsInvalidArgument, optionICC},
		{network.CreateRequest{Name: "x", Driver: "macvlan", Options: map[string]string{optionParent: "no-such"}}, errdefs.IsInvalidArgument, "no-such"},
		{network.CreateRequest{Name: "x", Driver: "macvlan", Options: map[string]string{optionMacMode: "no"}}, errdefs.IsInvalidArgument, optionMacMode},
	} {
		if _, err := h.NetworkCreate(t.Context(), c.req); err == nil || !c.class(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.req, err, c.says)
		}
	}
	list, err := h.NetworkList(t.Context(), filter.Args{"type": {"custom"}})
	if err != nil || len(list) != 1 {
		t.Errorf("networks left: %v (%v), want only one", list, err)
	}
}

func TestPoolsRunOut(t *testing.T) {
	h := newTestHost(t)
	for i := range userPools() {
		if i == 3 { // the way around a route of the host
			lo, err := netlink.LinkByName("lo")
			check(t, err)
			route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("172.21.7.0/24"))}
			check(t, netlink.RouteAdd(route))
			t.Cleanup(func() { netlink.RouteDel(route) })
		}
		_, err := h.NetworkCreate(t.Context(), network.CreateRequest{Name: fmt.Sprint("n", i)})
		if last := i == len(userPools())-1; last != errdefs.IsResourceExhausted(err) || !last && err != nil {
			t.Fatalf("network %d: %v", i, err)
		}
	}
	check(t, h.NetworkRemove(t.Context(), "n5"))
	h.create(t, "again", nil)
}

func TestRemoveAndPrune(t *testing.T) {
	h := newTestHost(t)
	id := h.create(t, "used", func(r *network.CreateRequest) { r.Labels = map[string]string{"keep": "yes"} })
	h.create(t, "free", nil)
	h.create(t, "kept", func(r *network.CreateRequest) { r.Labels = map[string]string{"keep": "yes"} })
	c := h.run(t, "c", []string{"used"}, nil)
	err := h.NetworkRemove(t.Context(), id[:12])
	if !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), `error while removing network: network used has active endpoints (name:"c-c" id:"`+c.in("used").EndpointID[:12]) {
		t.Errorf("a network in use: %v", err)
	}
	if err := h.NetworkRemove(t.Context(), "bridge"); !errdefs.IsPermissionDenied(err) || err.Error() != "bridge is a pre-defined network and cannot be removed" {
		t.Errorf("the default one: %v", err)
	}
	dangling, err := h.NetworkList(t.Context(), filter.Args{"dangling": {"true"}, "label": {"keep"}})
	if err != nil || len(dangling) != 1 || dangling[0].Name != "kept" {
		t.Errorf("dangling with a label: %v (%v), want kept", dangling, err)
	}
	deleted, err := h.NetworkPrune(t.Context(), filter.Args{"label!": {"keep"}})
	if err != nil || fmt.Sprint(deleted) != "[free]" {
		t.Errorf("pruned %v (%v), want free", deleted, err)
	}
	c.kill(t, h)
	if deleted, err = h.NetworkPrune(t.Context(), nil); err != nil || fmt.Sprint(deleted) != "[kept used]" {
		t.Errorf("pruned %v (%v), want the others", deleted, err)
	}
	out, err := exec.Command("nft", "list", "table", "ip", h.table).Output()
	if err != nil || strings.Contains(string(out), "nacre-"+id[:9]) {
		t.Errorf("rules of removed networks are left: %s (%v)", out, err)
	}
	if _, err := net.InterfaceByName("nacre-" + id[:9]); err == nil {
		t.Error("a removed network's bridge is left")
	}
}

// What a reboot takes and what a hand removes comes back at the next start.
func TestNetworksOfUsersHeal(t *testing.T) {
	h := newTestHost(t)
	on := true
	id := h.create(t, "n", func(r *network.CreateRequest) { r.EnableIPv6 = &on })
	h.create(t, "inside", func(r *network.CreateRequest) { r.Internal = true })
	check(t, giveAddress("uplink", netip.MustParsePrefix("fd99::1/64"), netip.Addr{}))
	check(t, inNetNS(h.other, func() error { return giveAddress("uplink", netip.MustParsePrefix("fd99::2/64"), netip.Addr{}) }))
	serve(t, h.other, ":90")
	publish := func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp") }
	web := h.run(t, "web", []string{"n"}, publish)
	serve(t, web.ns, ":80")
	works := func(after string, c *testContainer) {
		t.Helper()
		for _, address := range []string{"10.99.0.2:90", "[fd99::2]:90"} {
			if _, err := call(c.ns, "tcp", address); err != nil {
				t.Errorf("%s, the way out to %s: %v", after, address, err)
			}
		}
		for _, address := range []string{"10.99.0.1:8080", "[fd99::1]:8080"} {
			if _, err := call(h.other, "tcp", address); err != nil {
				t.Errorf("%s, the published port at %s: %v", after, address, err)
			}
		}
	}
	works("at first", web)
	bridge := "nacre-" + id[:9]
	for i, damage := range [][]string{
		{"nft", "flush", "ruleset"}, {"nft", "delete", "table", "ip6", h.table}, {"ip", "link", "del", bridge},
		{"ip", "-6", "addr", "flush", "dev", bridge, "scope", "global"}, {"sysctl", "-qw", "net.ipv6.conf.all.forwarding=0"},
	} {
		if out, err := exec.Command(damage[0], damage[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", damage, err, out)
		}
		h.run(t, fmt.Sprint("next", i), []string{"n"}, nil)
		works("after "+strings.Join(damage, " "), web)
	}
	check(t, h.Disconnect(t.Context(), "web")) // a reboot
	for i := range 5 {
		check(t, h.Disconnect(t.Context(), fmt.Sprint("next", i)))
	}
	check(t, exec.Command("nft", "flush", "ruleset").Run())
	check(t, exec.Command("ip", "link", "del", bridge).Run())
	web = h.run(t, "web", []string{"n"}, publish)
	serve(t, web.ns, ":80")
	works("after a reboot", web)
}

func TestNetworksByManyProcessesAtOnce(t *testing.T) {
	h := newTestHost(t)
	const processes = 8
	engines := make([]*Networks, processes)
	for i := range engines {
		engines[i] = h.open(t)
	}
	var wg sync.WaitGroup
	for i, n := range engines {
		wg.Go(func() {
			if _, err := n.NetworkCreate(t.Context(), network.CreateRequest{Name: fmt.Sprint("n", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := h.NetworkList(t.Context(), filter.Args{"driver": {"bridge"}, "type": {"custom"}})
	check(t, err)
	subnets := map[netip.Prefix]bool{}
	for _, n := range list {
		subnets[n.IPAM.Config[0].Subnet] = true
	}
	if len(subnets) != processes {
		t.Errorf("%d networks got the subnets %v", processes, subnets)
	}
	for i, n := range engines {
		wg.Go(func() {
			if err := n.NetworkRemove(t.Context(), fmt.Sprint("n", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The engine's daemon.json has words about networks.
func TestConfiguredDefaults(t *testing.T) {
	h := newTestHost(t)
	h.config = config.File{Path: filepath.Join(t.TempDir(), "daemon.json")}
	check(t, os.WriteFile(h.config.Path, []byte(`{"dns": ["192.0.2.1"], "dns-search": ["example.test"], "mtu": 1300, "ip": "127.0.0.1",
		"default-address-pools": [{"base": "10.30.0.0/16", "size": 24}, {"base": "10.31.0.0/23", "size": 24}]}`), 0o600))
	c := h.start(t, "c", bindings(":8080:80/tcp"))
	if !strings.Contains(string(c.out.ResolvConf), "nameserver 192.0.2.1\nsearch example.test") || c.address.String() != "10.30.0.2" {
		t.Errorf("address %s, resolv.conf %s", c.address, c.out.ResolvConf)
	}
	if b := c.out.Settings.Ports[network.MustParsePort("80/tcp")]; len(b) != 1 || b[0].HostIP.String() != "127.0.0.1" {
		t.Errorf("published %v, want on 127.0.0.1 only", b)
	}
	if br, err := net.InterfaceByName(h.bridge); err != nil || br.MTU != 1300 {
		t.Errorf("bridge %+v (%v), want MTU 1300", br, err)
	}
	id := h.create(t, "n", nil)
	if n, err := h.NetworkInspect(t.Context(), id); err != nil || n.IPAM.Config[0].Subnet.String() != "10.30.1.0/24" {
		t.Errorf("subnet %v (%v), want the next of the pool", n.IPAM.Config, err)
	}
}

// A hundred networks and more: rules that had to be built anew for all of them
// in one step must not be too much for a socket.
func TestManyNetworks(t *testing.T) {
	h := newTestHost(t)
	const many = 120
	for i := range many {
		h.create(t, fmt.Sprint("n", i), func(r *network.CreateRequest) { r.IPAM = subnetOf(fmt.Sprintf("10.7.%d.0/28", i)) })
	}
	check(t, exec.Command("nft", "flush", "ruleset").Run())
	c := h.run(t, "c", []string{fmt.Sprint("n", many-1)}, func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp") })
	serve(t, c.ns, ":80")
	if _, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil {
		t.Errorf("published port: %v", err)
	}
	check(t, h.NetworkRemove(t.Context(), "n0"))
	deleted, err := h.NetworkPrune(t.Context(), nil)
	if err != nil || len(deleted) != many-2 {
		t.Errorf("pruned %d networks (%v), want %d", len(deleted), err, many-2)
	}
}

// Another process must come to the same digest, or every start builds all rules anew.
func TestRulesAreKnownAgain(t *testing.T) {
	nets := []ruleNet{{"b", netip.MustParsePrefix("10.1.0.0/16"), true, false}, {"a", netip.MustParsePrefix("10.2.0.0/16"), false, true}}
	const want = "113a10c2f3c1"
	if got := newRuleset("t", true, nets).digest(); got != want {
		t.Errorf("digest %s, want %s: it changes from process to process, or what it is made of has changed without a new rulesVersion", got, want)
	}
}
