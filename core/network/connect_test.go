package network

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/moby/moby/api/types/container"
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
	if _, err := call(h.other, "tcp", "10.99.0.1:8081"); err == nil {
		t.Error("port published on loopback only can be reached from another host")
	}
	if t.Failed() {
		out, _ := exec.Command("nft", "list", "ruleset").CombinedOutput()
		t.Logf("%s", out)
	}
}

func BenchmarkConnect(b *testing.B) {
	h := newTestHost(b)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		ns := newNetNS(b)
		b.StartTimer()
		_, err := h.Connect(b.Context(), request(fmt.Sprint("bench", i), ns, &container.HostConfig{PortBindings: bindings("::80/tcp")}))
		check(b, err)
	}
}
