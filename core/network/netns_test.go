package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/core/thread"
)

// Addresses of the two machines that the tests play.
var (
	hostAddress  = netip.MustParsePrefix("10.99.0.1/24")
	otherAddress = netip.MustParsePrefix("10.99.0.2/24")
)

// TestMain runs the tests in a network namespace of their own, a second time
// over: nothing of the real host's network is touched.
func TestMain(m *testing.M) {
	const inside = "NACRE_TEST_INSIDE"
	if os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "nacre-network")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1", programsEnv+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	os.RemoveAll(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in a network namespace (they need root):", err)
		os.Exit(1)
	}
}

// testHost is a machine with one engine and a neighbour on its network.
type testHost struct {
	*Networks
	ns, other int
	roots     store.Paths
}

func newTestHost(t testing.TB) *testHost {
	t.Helper()
	h := newEngine(t)
	h.other = newNetNS(t)
	lo, err := netlink.LinkByName("lo")
	check(t, err)
	check(t, netlink.LinkSetUp(lo))
	h.addUplink(t)
	return h
}

// newEngine is an engine with roots of its own.
func newEngine(t testing.TB) *testHost {
	t.Helper()
	root := t.TempDir()
	h := &testHost{roots: store.Paths{Data: filepath.Join(root, "data"), Exec: filepath.Join(root, "run")}}
	var err error
	h.ns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(h.ns) })
	h.Networks = h.open(t)
	t.Cleanup(func() { h.end(t) })
	return h
}

func (h *testHost) addUplink(t testing.TB) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Flags = "uplink", net.FlagUp
	pair := netlink.NewVeth(attrs)
	pair.PeerName, pair.PeerNamespace = "uplink", netlink.NsFd(h.other)
	check(t, netlink.LinkAdd(pair))
	t.Cleanup(func() { check(t, netlink.LinkDel(pair)) })
	check(t, giveAddress("uplink", hostAddress, netip.Addr{}))
	check(t, inNetNS(h.other, func() error {
		if err := giveAddress("uplink", otherAddress, hostAddress.Addr()); err != nil {
			return err
		}
		return awaitRunning("uplink", netlink.LinkByName)
	}))
	check(t, awaitRunning("uplink", netlink.LinkByName))
}

// end removes what the test has left, as after the death of all containers.
func (h *testHost) end(t testing.TB) {
	t.Helper()
	_, err := h.store.DB.Exec(`UPDATE endpoints SET released = 1`)
	check(t, err)
	check(t, h.Teardown(context.Background()))
}

// open is another process on the same store, as far as the module can tell.
func (h *testHost) open(t testing.TB) *Networks {
	t.Helper()
	st, err := store.Open(context.Background(), h.roots)
	check(t, err)
	t.Cleanup(func() { st.Close() })
	n, err := New(context.Background(), Options{Store: st, Resolver: resolverProgram})
	check(t, err)
	return n
}

func giveAddress(ifname string, address netip.Prefix, gateway netip.Addr) error {
	link, err := netlink.LinkByName(ifname)
	if err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: ipNet(address)}
	if address.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD // of use at once
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	if gateway.IsValid() {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()})
	}
	return nil
}

// newNetNS returns a network namespace with lo up that lives until the test ends.
func newNetNS(t testing.TB) int {
	t.Helper()
	fd := -1
	check(t, thread.InNetNS(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	}))
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// testContainer is a namespace joined to the bridge.
type testContainer struct {
	id      string
	ns      int
	req     backend.EndpointRequest
	out     backend.Endpoints
	address netip.Addr
	keeper  *exec.Cmd // nil: this process
}

func request(id string, ns int, host *container.HostConfig) backend.EndpointRequest {
	return backend.EndpointRequest{
		ContainerID: id, Name: "c-" + id, Hostname: id, NetNS: fmt.Sprintf("/proc/self/fd/%d", ns),
		Config: &container.Config{}, HostConfig: host,
	}
}

// start connects a new container that publishes the given ports (`-p`).
func (h *testHost) start(t testing.TB, id string, ports network.PortMap) *testContainer {
	t.Helper()
	c := &testContainer{id: id, ns: newNetNS(t)}
	var err error
	c.out, err = h.Connect(t.Context(), request(id, c.ns, &container.HostConfig{PortBindings: ports}))
	check(t, err)
	c.address = c.out.Settings.Networks["bridge"].IPAddress
	return c
}

// kill ends the container's namespace, as the death of its processes does,
// and waits until the kernel has removed the host's end of its interface.
func (c *testContainer) kill(t testing.TB, h *testHost) {
	t.Helper()
	// The number stays open, so that the clean-up does not close another file.
	null, err := os.Open(os.DevNull)
	check(t, err)
	defer null.Close()
	check(t, unix.Dup3(int(null.Fd()), c.ns, unix.O_CLOEXEC))
	c.endKeeper()
	recorded, err := h.endpoints(t.Context())
	check(t, err)
	ifs, err := openIfaces()
	check(t, err)
	defer ifs.close()
	for _, e := range recorded {
		if e.container != c.id {
			continue
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			exists, err := e.exists(ifs)
			check(t, err)
			if !exists {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("interface %s outlives its namespace", e.veth)
			}
		}
	}
}

// endKeeper ends the process that stands for the container's shim.
func (c *testContainer) endKeeper() {
	if c.keeper != nil {
		c.keeper.Process.Kill()
		c.keeper.Wait()
		c.keeper = nil
	}
}

// run connects a new container to the networks named, the first one's mode;
// adjust, which may be nil, changes what is asked for. Its keeper is a process of its own, as a shim.
func (h *testHost) run(t testing.TB, id string, networks []string, adjust func(*backend.EndpointRequest)) *testContainer {
	t.Helper()
	c, err := h.tryRun(t, id, networks, adjust)
	check(t, err)
	return c
}

func (h *testHost) tryRun(t testing.TB, id string, networks []string, adjust func(*backend.EndpointRequest)) (*testContainer, error) {
	t.Helper()
	c := &testContainer{id: id, ns: newNetNS(t), keeper: exec.Command("sleep", "infinity")}
	c.keeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(t, c.keeper.Start())
	t.Cleanup(c.endKeeper)
	c.req = request(id, c.ns, &container.HostConfig{NetworkMode: container.NetworkMode(networks[0])})
	c.req.NetNS, c.req.Keeper = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), c.ns), c.keeper.Process.Pid
	c.req.Networking = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{}}
	for _, name := range networks {
		c.req.Networking.EndpointsConfig[name] = &network.EndpointSettings{}
	}
	if adjust != nil {
		adjust(&c.req)
	}
	var err error
	c.out, err = h.Connect(t.Context(), c.req)
	if err == nil {
		c.address = c.in(networks[0]).IPAddress
	}
	return c, err
}

// in is the container's place in a network.
func (c *testContainer) in(name string) *network.EndpointSettings {
	if e := c.out.Settings.Networks[name]; e != nil {
		return e
	}
	return &network.EndpointSettings{}
}

// create makes a network.
func (h *testHost) create(t testing.TB, name string, adjust func(*network.CreateRequest)) string {
	t.Helper()
	req := network.CreateRequest{Name: name}
	if adjust != nil {
		adjust(&req)
	}
	res, err := h.NetworkCreate(t.Context(), req)
	check(t, err)
	return res.ID
}

func subnetOf(prefixes ...string) *network.IPAM {
	ipam := &network.IPAM{}
	for _, p := range prefixes {
		ipam.Config = append(ipam.Config, network.IPAMConfig{Subnet: netip.MustParsePrefix(p)})
	}
	return ipam
}

func bindings(specs ...string) network.PortMap {
	m := network.PortMap{}
	for _, s := range specs { // hostIP:hostPort:containerPort/proto; the address without colons
		host, rest, _ := strings.Cut(s, ":")
		port, container, _ := strings.Cut(rest, ":")
		b := network.PortBinding{HostPort: port}
		if host != "" {
			b.HostIP = netip.MustParseAddr(host)
		}
		p := network.MustParsePort(container)
		m[p] = append(m[p], b)
	}
	return m
}

// serve answers every connection in a namespace with the peer's address as it sees it.
func serve(t testing.TB, ns int, address string) {
	t.Helper()
	var l net.Listener
	var pc net.PacketConn
	check(t, inNetNS(ns, func() (err error) {
		if l, err = net.Listen("tcp", address); err != nil {
			return err
		}
		pc, err = net.ListenPacket("udp", address)
		return err
	}))
	t.Cleanup(func() { l.Close(); pc.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s", c.RemoteAddr().(*net.TCPAddr).IP)
			c.Close()
		}
	}()
	go func() {
		for buf := make([]byte, 64); ; {
			_, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo([]byte(from.(*net.UDPAddr).IP.String()), from)
		}
	}()
}

// patience is how long an answer may take, on a machine that is busy; what
// must not arrive is given less.
const patience = time.Minute

// call connects from a namespace and returns what serve answered.
func call(ns int, proto, address string) (answer string, err error) {
	return callWithin(patience, ns, proto, address)
}

// isShut is call for what must not arrive.
func isShut(ns int, proto, address string) bool {
	_, err := callWithin(time.Second, ns, proto, address)
	return err != nil
}

func callWithin(patience time.Duration, ns int, proto, address string) (answer string, err error) {
	err = inNetNS(ns, func() error {
		c, err := net.DialTimeout(proto, address, patience)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if proto == "udp" {
			if _, err := c.Write([]byte("?")); err != nil {
				return err
			}
			buf := make([]byte, 64)
			n, err := c.Read(buf)
			answer = string(buf[:n])
			return err
		}
		raw, err := io.ReadAll(c)
		answer = string(raw)
		return err
	})
	return answer, err
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
