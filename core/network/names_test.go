package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/network/resolver"
)

// resolverIn is what a program in a namespace would use.
func resolverIn(ns int, proto string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = inNetNS(ns, func() error {
			conn, err = new(net.Dialer).DialContext(ctx, proto, "127.0.0.11:53")
			return err
		})
		return conn, err
	}}
}

// lookup returns the addresses of a name as a namespace sees it, sorted.
func lookup(t testing.TB, ns int, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found, err := resolverIn(ns, "udp").LookupHost(ctx, name)
	if err != nil {
		return err.Error()
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

func alias(network string, names ...string) func(*backend.EndpointRequest) {
	return func(r *backend.EndpointRequest) { r.Networking.EndpointsConfig[network].Aliases = names }
}

func TestNames(t *testing.T) {
	h := newTestHost(t)
	on := true
	h.create(t, "a", func(r *network.CreateRequest) { r.IPAM = subnetOf("10.1.0.0/24") })
	h.create(t, "b", func(r *network.CreateRequest) { r.IPAM, r.EnableIPv6 = subnetOf("10.2.0.0/24", "fd02::/64"), &on })
	asker := h.run(t, "asker", []string{"a"}, func(r *backend.EndpointRequest) {
		r.Networking.EndpointsConfig["a"].Links = []string{"c-web1:frontend"}
	})
	h.run(t, "0123456789abcdef", []string{"a"}, alias("a", "web"))
	h.run(t, "web1", []string{"a", "b"}, alias("a", "web", "Www"))
	inB := h.run(t, "far", []string{"b"}, nil)
	if want := "nameserver 127.0.0.11\n"; !strings.HasPrefix(string(asker.out.ResolvConf), want) || !strings.Contains(string(asker.out.ResolvConf), "ndots:0") {
		t.Errorf("resolv.conf: %s", asker.out.ResolvConf)
	}
	for _, c := range []struct {
		ns         int
		name, want string
	}{
		{asker.ns, "c-web1", "10.1.0.4"},
		{asker.ns, "C-Web1", "10.1.0.4"},
		{asker.ns, "web", "10.1.0.3 10.1.0.4"},
		{asker.ns, "www.a", "10.1.0.4"},
		{asker.ns, "0123456789ab", "10.1.0.3"},
		{asker.ns, "frontend", "10.1.0.4"},
		{inB.ns, "c-web1", "10.2.0.2 fd02::2"},
		{inB.ns, "c-far", "10.2.0.3 fd02::3"},
	} {
		if got := lookup(t, c.ns, c.name); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if names, err := resolverIn(asker.ns, "udp").LookupAddr(t.Context(), "10.1.0.4"); err != nil || fmt.Sprint(names) != "[c-web1.a.]" {
		t.Errorf("the name of 10.1.0.4: %v (%v)", names, err)
	}
	if names, err := resolverIn(inB.ns, "udp").LookupAddr(t.Context(), "fd02::2"); err != nil || fmt.Sprint(names) != "[c-web1.b.]" {
		t.Errorf("the name of fd02::2: %v (%v)", names, err)
	}
	if got, err := resolverIn(asker.ns, "tcp").LookupHost(t.Context(), "c-web1"); err != nil || fmt.Sprint(got) != "[10.1.0.4]" {
		t.Errorf("over TCP: %v (%v)", got, err)
	}
	serve(t, asker.ns, "0.0.0.0:53") // port 53 is the container's own
	check(t, h.Rename(t.Context(), "web1", "renamed"))
	if got := lookup(t, asker.ns, "renamed"); got != "10.1.0.4" {
		t.Errorf("after a rename: %s", got)
	}
}

// Answers come in changing order, so that callers spread.
func TestNamesTakeTurns(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "a", nil)
	asker := h.run(t, "asker", []string{"a"}, nil)
	for i := range 3 {
		h.run(t, fmt.Sprint("web", i), []string{"a"}, alias("a", "web"))
	}
	first := map[string]bool{}
	for range 1000 {
		found, err := resolverIn(asker.ns, "udp").LookupHost(t.Context(), "web")
		check(t, err)
		if first[found[0]] = true; len(first) == 3 {
			return
		}
	}
	t.Errorf("of three containers only %v came first", first)
}

func TestNamesFollowContainers(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "a", nil)
	h.create(t, "b", nil)
	answerDNS(t, h.other, "10.99.0.2:53", "192.0.2.7")
	asker := h.run(t, "asker", []string{"a"}, func(r *backend.EndpointRequest) { r.HostConfig.DNS = []netip.Addr{otherAddress.Addr()} })
	web := h.run(t, "web", []string{"b"}, nil)
	unknown := func() bool { return lookup(t, asker.ns, "c-web") == "192.0.2.7" }
	if !unknown() {
		t.Error("a name of another network is known")
	}
	_, err := h.Join(t.Context(), web.req, "a", nil)
	check(t, err)
	if unknown() {
		t.Error("the name of a container that has joined is not known")
	}
	_, err = h.Leave(t.Context(), web.req, "a")
	check(t, err)
	if !unknown() {
		t.Error("the name of a container that has left is still known")
	}
	_, err = h.Join(t.Context(), web.req, "a", nil)
	check(t, err)
	web.kill(t, h) // the resolver lets go of its namespace, too
	if !unknown() {
		t.Error("the name of a container that has ended is still known")
	}
}

// A server on the host that the container cannot reach itself, and one that it can.
func TestOtherNamesAreAskedFor(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "a", nil)
	h.create(t, "inside", func(r *network.CreateRequest) { r.Internal = true })
	answerDNS(t, h.other, "10.99.0.2:53", "192.0.2.7")
	answerDNS(t, h.ns, "127.0.0.1:53", "192.0.2.8")
	dns := func(server string) func(*backend.EndpointRequest) {
		return func(r *backend.EndpointRequest) { r.HostConfig.DNS = []netip.Addr{netip.MustParseAddr(server)} }
	}
	if got := lookup(t, h.run(t, "c", []string{"a"}, dns("10.99.0.2")).ns, "example.test"); got != "192.0.2.7" {
		t.Errorf("from the network: %s", got)
	}
	if got := lookup(t, h.run(t, "d", []string{"a"}, dns("127.0.0.1")).ns, "example.test"); got != "192.0.2.8" {
		t.Errorf("from the host's loopback: %s", got)
	}
	if got := lookup(t, h.run(t, "e", []string{"inside"}, dns("127.0.0.1")).ns, "example.test"); !strings.Contains(got, "no such host") {
		t.Errorf("from an internal network: %s", got)
	}
	two := h.run(t, "two", []string{"a"}, func(r *backend.EndpointRequest) {
		r.HostConfig.DNS = []netip.Addr{netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("10.99.0.2")} // the first one does not answer
	})
	if got := lookup(t, two.ns, "example.test"); got != "192.0.2.7" {
		t.Errorf("from the second of two: %s", got)
	}
}

// answerDNS answers every question for an IPv4 address with the one given.
func answerDNS(t *testing.T, ns int, at, address string) {
	t.Helper()
	var conn net.PacketConn
	check(t, inNetNS(ns, func() (err error) {
		conn, err = net.ListenPacket("udp4", at)
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12
			for buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			end += 5
			reply := append([]byte{}, buf[:min(end, n)]...)
			reply[2], reply[3] = 0x81, 0x80
			copy(reply[6:12], make([]byte, 6))
			if reply[end-3] == 1 { // A
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
				reply = append(reply, netip.MustParseAddr(address).AsSlice()...)
			}
			conn.WriteTo(reply, from)
		}
	}()
}

// resolverProcesses are the guard's and the worker's ids.
func resolverProcesses(t *testing.T, dir string) (guard, worker int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	check(t, err)
	for _, file := range lines {
		raw, _ := os.ReadFile(file)
		args := strings.Split(string(raw), "\x00")
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
		switch {
		case len(args) == 3 && args[1] == dir:
			guard = pid
		case len(args) == 4 && args[1] == "-worker" && args[2] == dir:
			worker = pid
		}
	}
	return guard, worker
}

func TestAKilledResolverComesBack(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "a", nil)
	asker, web := h.run(t, "asker", []string{"a"}, nil), h.run(t, "web", []string{"a"}, nil)
	works := func(after string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			got := lookup(t, asker.ns, "c-web")
			if got == web.address.String() {
				return
			}
			if time.Now().After(deadline) {
				said, _ := os.ReadFile(filepath.Join(h.roots.Resolver(), resolver.LogFile))
				guard, worker := resolverProcesses(t, h.roots.Resolver())
				t.Fatalf("%s: %s, want %s; guard %d, worker %d say %q", after, got, web.address, guard, worker, said)
			}
		}
	}
	works("at first")
	dir := h.roots.Resolver()
	guard, worker := resolverProcesses(t, dir)
	if guard == 0 || worker == 0 {
		t.Fatalf("guard %d, worker %d", guard, worker)
	}
	check(t, syscall.Kill(worker, syscall.SIGKILL))
	works("after the death of the worker") // the guard starts another
	if _, again := resolverProcesses(t, dir); again == worker {
		t.Error("the worker was not killed")
	}
	for range 2 {
		killResolver(t, dir)
		check(t, h.Mend(t.Context())) // any command does
		works("after the death of both")
	}
	killResolver(t, dir)
	late := h.run(t, "late", []string{"a"}, nil) // the next start starts both again
	works("after the death of both and another start")
	if got := lookup(t, asker.ns, "c-late"); got != late.address.String() {
		t.Errorf("the new container: %s", got)
	}
	for _, c := range []*testContainer{asker, web, late} {
		c.endKeeper()
	}
	awaitNoResolver(t, dir) // its last container has gone
}

// killResolver kills both processes and waits for their end.
func killResolver(t *testing.T, dir string) {
	t.Helper()
	guard, worker := resolverProcesses(t, dir)
	check(t, syscall.Kill(guard, syscall.SIGKILL))
	check(t, syscall.Kill(worker, syscall.SIGKILL))
	awaitDeath(t, guard)
	awaitDeath(t, worker)
}

// awaitDeath waits until a process has closed its sockets, which its last
// thread does: that it has no command line any more, or that its first thread
// has ended, comes before.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if _, state, _ := strings.Cut(string(stat), ") "); err != nil || strings.HasPrefix(state, "Z") && len(threads) <= 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not end: %s", pid, stat)
		}
	}
}

func awaitNoResolver(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		guard, worker := resolverProcesses(t, dir)
		if guard == 0 && worker == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the resolver does not end: guard %d, worker %d", guard, worker)
		}
	}
}

// BenchmarkNames is 100 containers on one bridge that ask for each other.
func BenchmarkNames(b *testing.B) {
	h := newTestHost(b)
	h.create(b, "a", nil)
	var all []*testContainer
	for i := range 100 {
		all = append(all, h.run(b, fmt.Sprint("n", i), []string{"a"}, nil))
	}
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		conn, err := func() (conn net.Conn, err error) {
			err = inNetNS(all[i%100].ns, func() error { conn, err = net.Dial("udp", "127.0.0.11:53"); return err })
			return conn, err
		}()
		check(b, err)
		name := fmt.Sprint("c-n", (i*37+1)%100)
		question := append([]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(name))}, name...)
		question = append(question, 0, 0, 1, 0, 1)
		start := time.Now()
		_, err = conn.Write(question)
		check(b, err)
		answer := make([]byte, 512)
		n, err := conn.Read(answer)
		check(b, err)
		took = append(took, time.Since(start))
		if n < len(question)+16 {
			b.Fatalf("answer of %d bytes", n)
		}
		conn.Close()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
