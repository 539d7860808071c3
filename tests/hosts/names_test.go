package hosts

import (
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// nameServer is a server of the world on another host. It knows example.test,
// a name with a large answer, and says of all others that they do not exist.
func nameServer(t *testing.T, h host) {
	t.Helper()
	zone := map[uint16][]string{
		dns.TypeA:    {"example.test. 60 IN A 192.0.2.80"},
		dns.TypeAAAA: {"example.test. 60 IN AAAA 2001:db8::80"},
		dns.TypePTR:  {"80.2.0.192.in-addr.arpa. 60 IN PTR example.test."},
		dns.TypeMX:   {"example.test. 60 IN MX 10 mail.example.test."},
	}
	for i := range 40 {
		zone[dns.TypeTXT] = append(zone[dns.TypeTXT], fmt.Sprintf("large.test. 60 IN TXT \"%03d %s\"", i, strings.Repeat("x", 60)))
	}
	answer := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		for _, text := range zone[q.Question[0].Qtype] {
			if rr, err := dns.NewRR(text); err == nil && strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
				m.Answer = append(m.Answer, rr)
			}
		}
		if name := strings.ToLower(q.Question[0].Name); len(m.Answer) == 0 && name != "example.test." {
			m.Rcode = dns.RcodeNameError
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			size := dns.MinMsgSize
			if o := q.IsEdns0(); o != nil {
				size = int(o.UDPSize())
			}
			m.Truncate(size)
		}
		w.WriteMsg(m)
	}
	packets, streams := h.listen(outside + ":53")
	for _, server := range []*dns.Server{{PacketConn: packets}, {Listener: streams}} {
		server.Handler = dns.HandlerFunc(answer)
		done := make(chan error, 1)
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { done <- server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := server.Shutdown(); err != nil {
				t.Error(err)
			}
			<-done
		})
	}
}

// listen opens sockets on a host: they stay where they were made.
func (h host) listen(address string) (packets net.PacketConn, streams net.Listener) {
	h.t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		fd, err := unix.Open(h.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Setns(fd, unix.CLONE_NEWNET)
		}
		if err == nil {
			packets, err = net.ListenPacket("udp", address)
		}
		if err == nil {
			streams, err = net.Listen("tcp", address)
		}
		result <- err
	}()
	must(h.t, <-result)
	return packets, streams
}

// What Debian's dig and nslookup are told at 127.0.0.11.
func testNames(t *testing.T, e engine) {
	e.nacre("network", "create", "--ipv6", "app")
	for _, name := range []string{"one", "two", "three"} {
		e.nacre("run", "-d", "--name", name, "--network", "name=app,alias=all,alias=only-"+name, "tools", "sleep", "1000")
	}
	e.nacre("run", "-d", "--name", "asking", "--network", "app", "--dns", outside, "tools", "sleep", "1000")
	dig := func(args ...string) string {
		return e.nacre(append([]string{"exec", "asking", "dig", "+time=5", "+tries=6"}, args...)...)
	}
	field := func(name, what string) string {
		return e.nacre("inspect", name, "--format", "{{.NetworkSettings.Networks.app."+what+"}}")
	}
	four, six := field("one", "IPAddress"), field("one", "GlobalIPv6Address")
	for _, q := range []struct{ want, line string }{
		{four, "+short one A"},
		{six, "+short one AAAA"},
		{four, "+short only-one.app"},
		{four, "+short +tcp one"},
		{"one.app.", "+short -x " + four},
		{"one.app.", "+short -x " + six},
		{"192.0.2.80", "+short example.test"},
		{"2001:db8::80", "+short example.test AAAA"},
		{"10 mail.example.test.", "+short example.test MX"},
		{"example.test.", "+short -x 192.0.2.80"},
		{"", "+short example.test NAPTR"},
	} {
		if got := dig(strings.Fields(q.line)...); got != q.want {
			t.Errorf("dig %s: %q, want %q", q.line, got, q.want)
		}
	}
	contains(t, "a name that nobody knows", dig("nobody.test"), "status: NXDOMAIN", "SERVER: 127.0.0.11#53")
	contains(t, "a type that a name has not", dig("one", "MX"), "status: NOERROR", "ANSWER: 0")
	contains(t, "a large answer by way of TCP", dig("large.test", "TXT"), "ANSWER: 40", "(TCP)")
	contains(t, "a large answer that was cut", dig("+ignore", "large.test", "TXT"), "flags: qr tc")
	contains(t, "nslookup", e.nacre("exec", "asking", "/usr/bin/nslookup", "one"), "Server:\t\t127.0.0.11", "Address: "+four, "Address: "+six)

	// The order of several changes by chance.
	first := func() *exec.Cmd { return e.start("exec", "asking", "sh", "-c", "dig +short all | head -n 1") }
	for _, name := range []string{"one", "two", "three"} {
		eventually(t, field(name, "IPAddress")+"\n", first)
	}
	if all := strings.Fields(dig("+short", "all")); len(all) != 3 {
		t.Errorf("the alias of three: %q", all)
	}
	e.nacre("stop", "-t", "0", "two")
	eventually(t, "2\n", func() *exec.Cmd { return e.start("exec", "asking", "sh", "-c", "dig +short all | wc -l") })

	e.nacre("rm", "-f", "one", "two", "three", "asking")
	e.nacre("network", "rm", "app")
}
