package network

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/vishvananda/netlink"

	"github.com/nacre-sh/nacre/core/backend"
)

// defaultGateway is where a namespace's IPv4 packets go, and through which interface.
func defaultGateway(t *testing.T, ns int) (gateway string) {
	t.Helper()
	check(t, inNetNS(ns, func() error {
		routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
		for _, r := range routes {
			if r.Dst == nil || r.Dst.IP.IsUnspecified() {
				link, err := netlink.LinkByIndex(r.LinkIndex)
				if err != nil {
					return err
				}
				gateway = r.Gw.String() + " " + link.Attrs().Name
			}
		}
		return err
	}))
	return gateway
}

func TestSeveralNetworks(t *testing.T) {
	h := newTestHost(t)
	for i, name := range []string{"a", "b", "c"} {
		h.create(t, name, func(r *network.CreateRequest) { r.IPAM = subnetOf(fmt.Sprintf("10.%d.0.0/24", 60+i)) })
	}
	c := h.run(t, "c1", []string{"b", "a", "c"}, func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp") })
	serve(t, c.ns, ":80")
	if got := defaultGateway(t, c.ns); got != "10.60.0.1 eth1" {
		t.Errorf("default route %s, want through network a, the first by name; eth0 is that of the mode, b", got)
	}
	if _, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil {
		t.Errorf("published port: %v", err)
	}
	for _, name := range []string{"a", "b", "c"} {
		peer := h.run(t, "peer-"+name, []string{name}, nil)
		if seen, err := call(peer.ns, "tcp", c.in(name).IPAddress.String()+":80"); err != nil || seen != peer.address.String() {
			t.Errorf("in network %s: saw %q (%v)", name, seen, err)
		}
	}
	first := h.run(t, "c2", []string{"a", "b"}, func(r *backend.EndpointRequest) {
		r.Networking.EndpointsConfig["b"].GwPriority = 1
		r.Networking.EndpointsConfig["b"].DriverOpts = map[string]string{optionIfname: "uplink0"}
	})
	if got := defaultGateway(t, first.ns); got != "10.61.0.1 uplink0" {
		t.Errorf("default route %s, want through network b of higher priority", got)
	}
}

func TestJoinAndLeaveWhileRunning(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "a", nil)
	h.create(t, "b", nil)
	c := h.run(t, "c", []string{"a"}, func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp") })
	peer := h.run(t, "peer", []string{"b"}, nil)
	serve(t, c.ns, ":80")
	out, err := h.Join(t.Context(), c.req, "b", &network.EndpointSettings{Aliases: []string{"db"}})
	check(t, err)
	inB := out.Settings.Networks["b"]
	if out.Settings.Networks["a"] == nil || inB == nil || !strings.Contains(string(out.Hosts), inB.IPAddress.String()) || inB.DNSNames[1] != "db" {
		t.Fatalf("after joining: %+v, hosts %s", out.Settings.Networks, out.Hosts)
	}
	if _, err := call(peer.ns, "tcp", inB.IPAddress.String()+":80"); err != nil {
		t.Errorf("in the joined network: %v", err)
	}
	c.req.Networking.EndpointsConfig["b"] = &network.EndpointSettings{} // what the container's record says then
	if _, err := h.Join(t.Context(), c.req, "b", nil); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "already exists in network b") {
		t.Errorf("joined twice: %v", err)
	}
	if _, err := h.Join(t.Context(), c.req, "nope", nil); !errdefs.IsNotFound(err) {
		t.Errorf("unknown network: %v", err)
	}

	out, err = h.Leave(t.Context(), c.req, "a") // its way out and its port move
	check(t, err)
	if out.Settings.Networks["a"] != nil || len(out.Settings.Ports[network.MustParsePort("80/tcp")]) != 1 {
		t.Errorf("after leaving: %+v", out.Settings)
	}
	if _, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil {
		t.Errorf("the published port after its network was left: %v", err)
	}
	if got := defaultGateway(t, c.ns); got != inB.Gateway.String()+" eth1" {
		t.Errorf("default route %q, want through the network that is left", got)
	}
	delete(c.req.Networking.EndpointsConfig, "a")
	if _, err := h.Leave(t.Context(), c.req, "a"); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "is not connected to network a") {
		t.Errorf("left twice: %v", err)
	}
	check(t, h.NetworkRemove(t.Context(), "a"))
	_, err = h.Leave(t.Context(), c.req, "b")
	check(t, err)
	if !isShut(h.other, "tcp", "10.99.0.1:8080") {
		t.Error("a container without network is reached through its port")
	}
	_, err = h.Join(t.Context(), c.req, "bridge", nil)
	check(t, err)
	serve(t, h.other, ":90")
	if _, err := call(c.ns, "tcp", "10.99.0.2:90"); err != nil {
		t.Errorf("the way out through the default network: %v", err)
	}
}

func TestAFailedJoinLeavesNothing(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "a", nil)
	h.create(t, "full", func(r *network.CreateRequest) { r.IPAM = subnetOf("10.5.0.0/30") })
	c := h.run(t, "c", []string{"a"}, nil)
	h.run(t, "other", []string{"full"}, nil)
	if _, err := h.Join(t.Context(), c.req, "full", nil); !errdefs.IsResourceExhausted(err) {
		t.Fatalf("a full network: %v", err)
	}
	check(t, inNetNS(c.ns, func() error {
		links, err := netlink.LinkList()
		if len(links) != 2 {
			t.Errorf("%d interfaces in the container, want lo and eth0", len(links))
		}
		return err
	}))
}

func TestPortsOfARunningContainer(t *testing.T) {
	h := newTestHost(t)
	on := true
	h.create(t, "n", func(r *network.CreateRequest) { r.EnableIPv6 = &on })
	web, taken := h.run(t, "web", []string{"n"}, nil), h.start(t, "taken", bindings(":8081:80/tcp"))
	serve(t, web.ns, ":80")
	_ = taken
	out, bound, err := h.AddPorts(t.Context(), web.req, bindings(":8080:80/tcp", "127.0.0.1::80/udp"))
	check(t, err)
	port := network.MustParsePort("80/tcp")
	if len(out.Settings.Ports[port]) != 2 || len(bound[port]) != 2 || len(bound[network.MustParsePort("80/udp")]) != 1 {
		t.Errorf("bound %v, settings %v", bound, out.Settings.Ports)
	}
	for _, proto := range []struct{ name, address string }{{"tcp", "10.99.0.1:8080"}, {"udp", ""}} {
		if proto.name == "udp" {
			proto.address = "127.0.0.1:" + bound[network.MustParsePort("80/udp")][0].HostPort
		}
		if _, err := call(h.ns, proto.name, proto.address); err != nil {
			t.Errorf("%s at %s: %v", proto.name, proto.address, err)
		}
	}
	if _, err := call(web.ns, "tcp", "10.99.0.1:8080"); err != nil {
		t.Errorf("the container itself over its new port: %v", err)
	}
	if _, _, err := h.AddPorts(t.Context(), web.req, bindings(":8081:80/tcp")); !errdefs.IsConflict(err) || !strings.Contains(err.Error(), "container c-taken (taken) publishes it") {
		t.Errorf("a port that is taken: %v", err)
	}
	if _, _, err := h.AddPorts(t.Context(), web.req, bindings(":8080:81/tcp")); !errdefs.IsConflict(err) {
		t.Errorf("a port of its own: %v", err)
	}
	out, gone, err := h.RemovePorts(t.Context(), web.req, bindings(":8080:80/tcp"))
	check(t, err)
	if len(gone[port]) != 2 || len(out.Settings.Ports[port]) != 0 {
		t.Errorf("gone %v, settings %v", gone, out.Settings.Ports)
	}
	if !isShut(h.other, "tcp", "10.99.0.1:8080") {
		t.Error("a port that was taken back still leads to the container")
	}
	if _, _, err := h.RemovePorts(t.Context(), web.req, bindings(":8080:80/tcp")); !errdefs.IsNotFound(err) {
		t.Errorf("a port that is not published: %v", err)
	}
	next := h.start(t, "next", bindings(":8080:80/tcp"))
	serve(t, next.ns, ":80")
	if _, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil {
		t.Errorf("the port for the next one: %v", err)
	}
}

func TestMacvlan(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "lan", func(r *network.CreateRequest) {
		r.Driver, r.Options = driverMacvlan, map[string]string{optionParent: "uplink"}
		r.IPAM = &network.IPAM{Config: []network.IPAMConfig{{
			Subnet: netip.MustParsePrefix("10.99.0.0/24"), IPRange: netip.MustParsePrefix("10.99.0.64/26"), Gateway: otherAddress.Addr(),
			AuxAddress: map[string]netip.Addr{"host": hostAddress.Addr()},
		}}}
	})
	c, err := h.tryRun(t, "c", []string{"lan"}, nil)
	if err != nil && strings.Contains(err.Error(), "operation not supported") {
		t.Skip("this kernel has no macvlan")
	}
	check(t, err)
	if c.address.String() != "10.99.0.64" || defaultGateway(t, c.ns) != "10.99.0.2 eth0" {
		t.Errorf("address %s, way out %s", c.address, defaultGateway(t, c.ns))
	}
	serve(t, h.other, ":90")
	if seen, err := call(c.ns, "tcp", "10.99.0.2:90"); err != nil || seen != c.address.String() {
		t.Errorf("the neighbour saw %q (%v), want the container's own address", seen, err)
	}
	serve(t, c.ns, ":80")
	if _, err := call(h.other, "tcp", c.address.String()+":80"); err != nil {
		t.Errorf("from the neighbour: %v", err)
	}
	if err := h.NetworkRemove(t.Context(), "lan"); !errdefs.IsPermissionDenied(err) {
		t.Errorf("a network in use: %v", err)
	}
	h.create(t, "inner", func(r *network.CreateRequest) { r.Driver = driverMacvlan })
	a, b := h.run(t, "a", []string{"inner"}, nil), h.run(t, "b", []string{"inner"}, nil)
	serve(t, a.ns, ":80")
	if _, err := call(b.ns, "tcp", a.address.String()+":80"); err != nil {
		t.Errorf("within a network without parent: %v", err)
	}
}

// Another program's rules may close forwarding altogether, as dockerd's do:
// nacre does not go around them, and the documented rules open the way.
func TestBesideAForwardPolicyOfDrop(t *testing.T) {
	h := newTestHost(t)
	id := h.create(t, "n", nil)
	nft := func(rules string) {
		t.Helper()
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	nft("table ip filter { chain DOCKER-USER { }; chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }; }")
	t.Cleanup(func() { nft("delete table ip filter") })
	web := h.run(t, "web", []string{"n"}, func(r *backend.EndpointRequest) { r.HostConfig.PortBindings = bindings(":8080:80/tcp") })
	serve(t, web.ns, ":80")
	serve(t, h.other, ":90")
	if !isShut(web.ns, "tcp", "10.99.0.2:90") || !isShut(h.other, "tcp", "10.99.0.1:8080") {
		t.Error("packets go around the host's firewall")
	}
	for _, direction := range []string{"iifname", "oifname"} {
		nft(fmt.Sprintf("add rule ip filter DOCKER-USER %s nacre-%s accept", direction, id[:9]))
	}
	if _, err := call(web.ns, "tcp", "10.99.0.2:90"); err != nil {
		t.Errorf("the way out after the documented rules: %v", err)
	}
	if _, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil {
		t.Errorf("the published port after the documented rules: %v", err)
	}
}
