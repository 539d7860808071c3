package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

func TestPublishedPortsAreReachableFromEverywhere(t *testing.T) {
	h := newTestHost(t)
	web := h.start(t, "web", bindings(":8080:80/tcp", ":8080:80/udp", "127.0.0.1:8081:80/tcp"))
	other := h.start(t, "other", nil)
	serve(t, web.ns, ":80")
	gateway := web.out.Settings.Networks["bridge"].Gateway.String()

	for _, proto := range []string{"tcp", "udp"} {
		for _, c := range []struct {
			from    string
			ns      int
			address string
			seen    string // the source that the container sees
		}{
			{"the host, over loopback", h.ns, "127.0.0.1:8080", gateway},
			{"the host, over its own address", h.ns, "10.99.0.1:8080", "10.99.0.1"},
			{"another host", h.other, "10.99.0.1:8080", "10.99.0.2"},
			{"another container, over the host's address", other.ns, "10.99.0.1:8080", gateway},
			{"another container, over the gateway", other.ns, gateway + ":8080", gateway},
			{"another container, directly", other.ns, web.address.String() + ":80", other.address.String()},
			{"the container itself, over the host's address", web.ns, "10.99.0.1:8080", gateway},
		} {
			if seen, err := call(c.ns, proto, c.address); err != nil || seen != c.seen {
				t.Errorf("%s from %s to %s: container saw %q, want %q (%v)", proto, c.from, c.address, seen, c.seen, err)
			}
		}
	}
	if _, err := call(h.ns, "tcp", "127.0.0.1:8081"); err != nil {
		t.Errorf("port published on loopback only: %v", err)
	}
	if !isShut(h.other, "tcp", "10.99.0.1:8081") {
		t.Error("port published on loopback only can be reached from another host")
	}
	if t.Failed() {
		out, _ := exec.Command("nft", "list", "ruleset").CombinedOutput()
		t.Logf("%s", out)
	}
}

func TestContainersReachTheWorldAndTheWorldOnlyPublishedPorts(t *testing.T) {
	h := newTestHost(t)
	c := h.start(t, "c", nil)
	serve(t, h.other, ":90")
	serve(t, c.ns, ":80")
	if seen, err := call(c.ns, "tcp", "10.99.0.2:90"); err != nil || seen != "10.99.0.1" {
		t.Errorf("from the container to another host: it saw %q (%v), want the host's address", seen, err)
	}
	if seen, err := call(h.ns, "tcp", c.address.String()+":80"); err != nil {
		t.Errorf("from the host to the container: saw %q (%v)", seen, err)
	}
	if !isShut(h.other, "tcp", c.address.String()+":80") { // its default route leads through the host
		t.Error("another host reaches a port that is not published")
	}
}

// What listens on 127.0.0.1 of the host must stay out of reach, although
// route_localnet is set on the bridge.
func TestTheHostsLoopbackIsNotOnTheBridge(t *testing.T) {
	h := newTestHost(t)
	c := h.start(t, "c", nil)
	serve(t, h.ns, "127.0.0.1:70")
	check(t, inNetNS(c.ns, func() error { return sendLoopbackTo(h.subnetGateway(t)) }))
	if !isShut(c.ns, "tcp", "127.0.0.1:70") {
		t.Error("a container reaches the host's loopback through the bridge")
	}
	// The test can fail: without the rule the same packets arrive.
	conn, err := nftables.New()
	check(t, err)
	conn.FlushChain(&nftables.Chain{Name: "raw", Table: &nftables.Table{Name: h.table, Family: nftables.TableFamilyIPv4}})
	check(t, conn.Flush())
	if _, err := call(c.ns, "tcp", "127.0.0.1:70"); err != nil {
		t.Errorf("without the rule: %v, want the packets to arrive", err)
	}
}

// sendLoopbackTo makes packets for 127.0.0.1 leave the calling thread's namespace through eth0.
func sendLoopbackTo(gateway netip.Addr) error {
	for _, args := range [][]string{
		{"sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"},
		{"ip", "rule", "add", "pref", "1", "lookup", "local"},
		{"ip", "rule", "del", "pref", "0"},
		{"ip", "route", "add", "table", "77", "127.0.0.1/32", "via", gateway.String(), "dev", "eth0"},
		{"ip", "rule", "add", "pref", "0", "to", "127.0.0.1", "oif", "eth0", "lookup", "77"},
		{"ip", "rule", "add", "pref", "0", "to", "127.0.0.1", "iif", "lo", "lookup", "77"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	return nil
}

func (h *testHost) subnetGateway(t *testing.T) netip.Addr {
	t.Helper()
	nets, err := h.networks(t.Context())
	check(t, err)
	return nets["bridge"].v4().Gateway
}

func TestAddressesOfDeadContainersComeBack(t *testing.T) {
	h := newTestHost(t)
	first, second := h.start(t, "a", nil), h.start(t, "b", nil)
	if first.address.String() != "172.17.0.2" || second.address.String() != "172.17.0.3" {
		t.Fatalf("addresses %s and %s, want 172.17.0.2 and 172.17.0.3", first.address, second.address)
	}
	check(t, h.Disconnect(t.Context(), "a"))
	if c := h.start(t, "c", nil); c.address.String() != "172.17.0.4" {
		t.Errorf("address %s, want 172.17.0.4: the namespace that had 172.17.0.2 still answers", c.address)
	}
	first.kill(t, h)
	second.kill(t, h) // a crash: nobody says Disconnect
	for id, want := range map[string]string{"d": "172.17.0.2"} {
		if c := h.start(t, id, nil); c.address.String() != want {
			t.Errorf("address %s, want %s again", c.address, want)
		}
	}
	if c := h.start(t, "e", nil); c.address.String() != "172.17.0.3" {
		t.Errorf("address %s, want 172.17.0.3 again", c.address)
	}
}

func TestPortsInTheWay(t *testing.T) {
	h := newTestHost(t)
	web := h.start(t, "web", bindings(":8080:80/tcp"))
	serve(t, h.ns, "10.99.0.1:7070")
	for _, c := range []struct{ publish, says string }{
		{":8080:81/tcp", "Bind for 0.0.0.0:8080 failed: port is already allocated\nhint: container c-web (web) publishes it"},
		{"127.0.0.1:8080:81/tcp", "Bind for 127.0.0.1:8080 failed: port is already allocated"},
		{":7070:80/tcp", "failed to bind host port 0.0.0.0:7070/tcp: address already in use"},
		{":7070:80/udp", "failed to bind host port 0.0.0.0:7070/udp: address already in use"},
		{":8080-8080:80/tcp", "port is already allocated"},
	} {
		_, err := h.Connect(t.Context(), request("late", newNetNS(t), &container.HostConfig{PortBindings: bindings(c.publish)}))
		if !errdefs.IsConflict(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("-p %s: %v, want %q", c.publish, err, c.says)
		}
	}
	_, err := h.Connect(t.Context(), request("late", newNetNS(t), &container.HostConfig{PortBindings: bindings("10.1.2.3:80:80/tcp")}))
	if err == nil || !strings.Contains(err.Error(), "failed to bind host port 10.1.2.3:80/tcp: cannot assign requested address") {
		t.Errorf("an address that is not the host's: %v", err)
	}

	h.start(t, "udp", bindings(":8080:80/udp"))                    // another protocol
	h.start(t, "other-address", bindings("127.0.0.1:7070:80/tcp")) // the process has another address
	web.kill(t, h)
	again := h.start(t, "again", bindings(":8080:80/tcp")) // the dead container's
	serve(t, again.ns, ":80")
	if _, err := call(h.ns, "tcp", "127.0.0.1:8080"); err != nil {
		t.Errorf("port taken over from a dead container: %v", err)
	}
}

func TestAReleasedPortIsFreeAtOnce(t *testing.T) {
	h := newTestHost(t)
	h.start(t, "a", bindings(":8080:80/tcp")) // its namespace lives on: the kernel is slow
	check(t, h.Disconnect(t.Context(), "a"))
	b := h.start(t, "b", bindings(":8080:80/tcp"))
	serve(t, b.ns, ":80")
	if _, err := call(h.ns, "tcp", "127.0.0.1:8080"); err != nil {
		t.Errorf("port taken over: %v", err)
	}
	restarted := h.start(t, "b", bindings(":8080:80/tcp")) // its own port is not in its way
	serve(t, restarted.ns, ":80")
	if _, err := call(h.ns, "tcp", "127.0.0.1:8080"); err != nil {
		t.Errorf("port after a restart: %v", err)
	}
}

// A UDP peer that does not pause keeps its flow in the kernel.
func TestUDPFlowsFollowThePort(t *testing.T) {
	h := newTestHost(t)
	first := h.start(t, "first", bindings(":8080:80/udp"))
	answerUDP(t, first.ns, ":80", "first")
	var peer net.Conn
	check(t, inNetNS(h.other, func() (err error) {
		peer, err = net.Dial("udp4", "10.99.0.1:8080")
		return err
	}))
	defer peer.Close()
	ask := func() string {
		peer.SetDeadline(time.Now().Add(time.Minute))
		_, err := peer.Write([]byte("?"))
		check(t, err)
		answer := make([]byte, 64)
		n, err := peer.Read(answer)
		check(t, err)
		return string(answer[:n])
	}
	if got := ask(); got != "first" {
		t.Fatalf("%q answers, want first", got)
	}
	check(t, h.Disconnect(t.Context(), "first"))
	second := h.start(t, "second", bindings(":8080:80/udp"))
	answerUDP(t, second.ns, ":80", "second")
	if got := ask(); got != "second" {
		t.Errorf("%q answers on the port that second publishes", got)
	}
}

func answerUDP(t *testing.T, ns int, address, text string) {
	t.Helper()
	var conn net.PacketConn
	check(t, inNetNS(ns, func() (err error) {
		conn, err = net.ListenPacket("udp4", address)
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	go func() {
		for buf := make([]byte, 64); ; {
			_, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo([]byte(text), from)
		}
	}()
}

// A process of the host may want the port of a container that has ended.
func TestAReleasedPortBelongsToTheHostAgain(t *testing.T) {
	h := newTestHost(t)
	h.start(t, "a", bindings(":8080:80/tcp"))
	h.start(t, "b", bindings(":8081:80/tcp"))
	check(t, h.Disconnect(t.Context(), "a"))
	if ids, err := h.Connected(t.Context()); err != nil || len(ids) != 1 || !ids["b"] {
		t.Errorf("connected: %v (%v), want only the other", ids, err)
	}
	serve(t, h.ns, ":8080")
	if seen, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil || seen != "10.99.0.2" {
		t.Errorf("the host's process saw %q (%v), want the connection", seen, err)
	}
	rules, err := exec.Command("nft", "list", "map", "ip", h.table, "publish_any").Output()
	if err != nil || !strings.Contains(string(rules), "8081") {
		t.Errorf("the other container's port is gone: %s (%v)", rules, err)
	}
	check(t, h.Disconnect(t.Context(), "a")) // nothing left to take back
	check(t, h.Disconnect(t.Context(), "never-connected"))
}

func TestRandomPortsAndRanges(t *testing.T) {
	h := newTestHost(t)
	serve(t, h.ns, ":9000")
	ports := bindings("::80/tcp", ":9000-9005:81/tcp", ":9000-9005:82/tcp")
	ns := newNetNS(t)
	req := request("c", ns, &container.HostConfig{PortBindings: ports, PublishAllPorts: true})
	req.Config.ExposedPorts = network.PortSet{network.MustParsePort("53/udp"): {}, network.MustParsePort("80/tcp"): {}}
	out, err := h.Connect(t.Context(), req)
	check(t, err)
	first, last := ephemeralPorts()
	for _, port := range []string{"80/tcp", "53/udp"} {
		b := out.Settings.Ports[network.MustParsePort(port)]
		var got int
		if len(b) == 1 {
			fmt.Sscan(b[0].HostPort, &got)
		}
		if got < int(first) || got <= int(last) && last < 65535 {
			t.Errorf("%s: bound to %v, want one port above %d, the last that programs get", port, b, last)
		}
	}
	if a, b := out.Settings.Ports[network.MustParsePort("81/tcp")], out.Settings.Ports[network.MustParsePort("82/tcp")]; a[0].HostPort != "9001" || b[0].HostPort != "9002" {
		t.Errorf("from a range whose first is taken: %v and %v, want 9001 and 9002", a, b)
	}
}

func TestHealing(t *testing.T) {
	h := newTestHost(t)
	web := h.start(t, "web", bindings(":8080:80/tcp"))
	serve(t, web.ns, ":80")
	serve(t, h.other, ":90")
	works := func(after string) {
		t.Helper()
		if _, err := call(h.other, "tcp", "10.99.0.1:8080"); err != nil {
			t.Errorf("%s, the published port: %v", after, err)
		}
		if _, err := call(web.ns, "tcp", "10.99.0.2:90"); err != nil {
			t.Errorf("%s, the way out: %v", after, err)
		}
	}
	works("at first")
	for i, damage := range [][]string{
		{"nft", "flush", "ruleset"},
		{"nft", "flush", "table", "ip", h.table},
		{"ip", "link", "del", h.bridge},
		{"ip", "link", "set", h.bridge, "down"},
		{"ip", "addr", "flush", "dev", h.bridge},
		{"sysctl", "-qw", "net.ipv4.ip_forward=0"},
	} {
		out, err := exec.Command(damage[0], damage[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", damage, err, out)
		}
		h.start(t, fmt.Sprint("next", i), nil)
		works("after " + strings.Join(damage, " "))
	}
	// A map that does not hold what the records say, as after a crash between the two.
	conn, err := nftables.New()
	check(t, err)
	rules := newRuleset(h.table, true, nil)
	check(t, rules.update(conn, nil, []publication{{proto: network.TCP, hostIP: netip.IPv4Unspecified(), hostPort: 8081, containerPort: 1, target: web.address}}))
	second := h.start(t, "second", bindings(":8081:80/tcp"))
	serve(t, second.ns, ":80")
	if _, err := call(h.other, "tcp", "10.99.0.1:8081"); err != nil {
		t.Errorf("port that the map had given away: %v", err)
	}
	works("after a rebuild of the maps")
}

// Rules of others stay, and what they forbid stays forbidden.
func TestRulesOfOthersStayInForce(t *testing.T) {
	h := newTestHost(t)
	out, err := exec.Command("nft", `add table ip other; add chain ip other forward { type filter hook forward priority 10; }; add rule ip other forward tcp dport 80 drop`).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { check(t, exec.Command("nft", "delete table ip other").Run()) })
	web := h.start(t, "web", bindings(":8080:80/tcp", ":8081:81/tcp"))
	serve(t, web.ns, ":80")
	serve(t, web.ns, ":81")
	if !isShut(h.other, "tcp", "10.99.0.1:8080") {
		t.Error("a published port goes around another table's drop")
	}
	if _, err := call(h.other, "tcp", "10.99.0.1:8081"); err != nil {
		t.Errorf("a port that the other table does not mention: %v", err)
	}
}

func TestSubnetsAvoidWhatTheHostUses(t *testing.T) {
	h := newTestHost(t)
	lo, err := netlink.LinkByName("lo")
	check(t, err)
	taken := netip.MustParsePrefix("172.17.3.0/24")
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(taken)}
	check(t, netlink.RouteAdd(route))
	t.Cleanup(func() { netlink.RouteDel(route) })
	c := h.start(t, "c", nil)
	if c.address.String() != "172.18.0.2" {
		t.Errorf("address %s, want one of 172.18.0.0/16", c.address)
	}
	other := newEngine(t) // with its own bridge, beside the first one
	if d := other.start(t, "d", nil); d.address.String() != "172.19.0.2" {
		t.Errorf("address %s in the second engine, want one of 172.19.0.0/16", d.address)
	}
}

func TestManyProcessesAtOnce(t *testing.T) {
	h := newTestHost(t)
	const processes = 16
	engines := make([]*Networks, processes)
	spaces := make([]int, processes)
	for i := range engines {
		engines[i], spaces[i] = h.open(t), newNetNS(t)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for i, n := range engines {
		wg.Go(func() {
			out, err := n.Connect(context.Background(), request(fmt.Sprint("c", i), spaces[i], &container.HostConfig{PortBindings: bindings("::80/tcp")}))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[out.Settings.Networks["bridge"].IPAddress.String()]++
			seen["port "+out.Settings.Ports[network.MustParsePort("80/tcp")][0].HostPort]++
		})
	}
	wg.Wait()
	if len(seen) != 2*processes {
		t.Errorf("%d containers got %d addresses and ports, want %d: %v", processes, len(seen), 2*processes, seen)
	}
}

func TestTeardown(t *testing.T) {
	h := newTestHost(t)
	c := h.start(t, "c", bindings(":8080:80/tcp"))
	if err := h.Teardown(t.Context()); !errdefs.IsConflict(err) {
		t.Errorf("with a container: %v, want a conflict", err)
	}
	c.kill(t, h)
	check(t, h.Teardown(t.Context()))
	if _, err := net.InterfaceByName(h.bridge); err == nil {
		t.Error("the bridge is left")
	}
	if out, _ := exec.Command("nft", "list", "tables").Output(); strings.Contains(string(out), h.table) {
		t.Errorf("tables left: %s", out)
	}
	check(t, h.Teardown(t.Context())) // nothing to do
	h.start(t, "again", nil)
}

func TestOtherModes(t *testing.T) {
	h := newTestHost(t)
	for _, c := range []struct {
		mode     container.NetworkMode
		networks string
		class    func(error) bool
	}{
		{"none", "none", nil},
		{"host", "host", nil},
		{"container:abc", "", nil},
		{"nowhere", "", errdefs.IsNotFound},
	} {
		out, err := h.Connect(t.Context(), request("c", newNetNS(t), &container.HostConfig{NetworkMode: c.mode}))
		if c.class != nil {
			if err == nil || !c.class(err) || err.Error() != "network nowhere not found" {
				t.Errorf("--network %s: %v", c.mode, err)
			}
			continue
		}
		check(t, err)
		var joined string
		for name, e := range out.Settings.Networks {
			joined = name
			if e.NetworkID == "" || e.EndpointID == "" || e.IPAddress.IsValid() {
				t.Errorf("--network %s: settings %+v", c.mode, e)
			}
		}
		if joined != c.networks {
			t.Errorf("--network %s joined %q, want %q", c.mode, joined, c.networks)
		}
	}
}

func TestSettingsAndInspect(t *testing.T) {
	h := newTestHost(t)
	req := request("c1", newNetNS(t), &container.HostConfig{PortBindings: bindings("127.0.0.1:8080:80/tcp")})
	req.Config.ExposedPorts = network.PortSet{network.MustParsePort("443/tcp"): {}}
	out, err := h.Connect(t.Context(), req)
	check(t, err)
	e := out.Settings.Networks["bridge"]
	if e.IPAddress.String() != "172.17.0.2" || e.IPPrefixLen != 16 || e.Gateway.String() != "172.17.0.1" || e.MacAddress.String() != "02:42:ac:11:00:02" {
		t.Errorf("endpoint %+v", e)
	}
	if b, exposed := out.Settings.Ports[network.MustParsePort("443/tcp")]; b != nil || !exposed {
		t.Errorf("exposed port: %v, want listed without binding", b)
	}
	if b := out.Settings.Ports[network.MustParsePort("80/tcp")]; len(b) != 1 || b[0].HostPort != "8080" || b[0].HostIP.String() != "127.0.0.1" {
		t.Errorf("published port: %v", b)
	}

	seen, err := h.NetworkInspect(t.Context(), e.NetworkID[:12])
	check(t, err)
	if got := seen.Containers["c1"]; got.Name != "c-c1" || got.IPv4Address.String() != "172.17.0.2/16" || got.EndpointID != e.EndpointID {
		t.Errorf("container in the network: %+v", got)
	}
	if seen.Name != "bridge" || seen.IPAM.Config[0].Subnet.String() != "172.17.0.0/16" || seen.Options["com.docker.network.bridge.name"] != h.bridge {
		t.Errorf("network %+v", seen.Network)
	}
	if _, err := h.NetworkInspect(t.Context(), "nope"); !errdefs.IsNotFound(err) {
		t.Errorf("unknown network: %v", err)
	}
	for want, f := range map[string]filter.Args{"bridge host none": nil, "host": {"driver": {"host"}}, "none": {"name": {"non"}}, "": {"dangling": {"true"}}} {
		list, err := h.NetworkList(t.Context(), f)
		check(t, err)
		var names []string
		for _, n := range list {
			names = append(names, n.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("networks with %v: %q, want %q", f, got, want)
		}
	}
}

func TestGivenHardwareAddress(t *testing.T) {
	h := newTestHost(t)
	req := request("c", newNetNS(t), &container.HostConfig{})
	mac, err := net.ParseMAC("02:00:00:00:00:07")
	check(t, err)
	req.Networking = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		"bridge": {MacAddress: network.HardwareAddr(mac)},
	}}
	out, err := h.Connect(t.Context(), req)
	check(t, err)
	if got := out.Settings.Networks["bridge"].MacAddress.String(); got != mac.String() {
		t.Errorf("settings say %s, want %s", got, mac)
	}
	check(t, inNetNS(mustNS(t, req), func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil && link.Attrs().HardwareAddr.String() != mac.String() {
			t.Errorf("eth0 has %s, want %s", link.Attrs().HardwareAddr, mac)
		}
		return err
	}))
}

func mustNS(t *testing.T, req backend.EndpointRequest) int {
	t.Helper()
	fd, err := unix.Open(req.NetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// BenchmarkConnect is what joining adds to a container's start. At most 5 ms
// with a port, whatever else runs.
func BenchmarkConnect(b *testing.B) {
	for _, c := range []struct {
		name   string
		ports  network.PortMap
		others int
	}{{"alone", nil, 0}, {"with a port", bindings("::80/tcp"), 0}, {"beside 100", nil, 100}} {
		b.Run(c.name, func(b *testing.B) {
			h := newTestHost(b)
			for i := range c.others {
				h.start(b, fmt.Sprint("other", i), nil)
			}
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				ns := newNetNS(b)
				b.StartTimer()
				_, err := h.Connect(b.Context(), request(fmt.Sprint("bench", i), ns, &container.HostConfig{PortBindings: c.ports}))
				check(b, err)
				b.StopTimer()
				(&testContainer{id: fmt.Sprint("bench", i), ns: ns}).kill(b, h)
				b.StartTimer()
			}
		})
	}
}
