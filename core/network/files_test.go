package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

func TestContainerHosts(t *testing.T) {
	ep := &endpoint{address: netip.MustParseAddr("172.17.0.5")}
	gateway := netip.MustParseAddr("172.17.0.1")
	for _, c := range []struct {
		name string
		req  backend.EndpointRequest
		want string // after the lines that every file has
	}{
		{"plain", backend.EndpointRequest{Hostname: "abc", Name: "web"}, "172.17.0.5\tabc web\n"},
		{"named as the host", backend.EndpointRequest{Hostname: "web", Name: "web"}, "172.17.0.5\tweb\n"},
		{"with a domain", backend.EndpointRequest{Hostname: "abc", Name: "web", Config: &container.Config{Domainname: "example.com"}},
			"172.17.0.5\tabc.example.com abc web\n"},
		{"extra", backend.EndpointRequest{Hostname: "abc", HostConfig: &container.HostConfig{ExtraHosts: []string{"db:10.0.0.9", "v6:::1", "v6b=[::2]", "up:host-gateway"}}},
			"10.0.0.9\tdb\n::1\tv6\n::2\tv6b\n172.17.0.1\tup\n172.17.0.5\tabc\n"},
	} {
		if c.req.HostConfig == nil {
			c.req.HostConfig = &container.HostConfig{}
		}
		got, err := containerHosts(c.req, gateway, nil, ep)
		if err != nil || string(got) != localHosts+c.want {
			t.Errorf("%s: %q (%v), want the local lines and %q", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{"db", "db:nowhere", ":10.0.0.1"} {
		req := backend.EndpointRequest{HostConfig: &container.HostConfig{ExtraHosts: []string{bad}}}
		if _, err := containerHosts(req, gateway, nil, ep); !errdefs.IsInvalidArgument(err) {
			t.Errorf("--add-host %s: %v, want it refused", bad, err)
		}
	}
}

func TestResolvConf(t *testing.T) {
	host := parseResolvConf([]byte("# a comment\nnameserver 127.0.0.53\nnameserver 10.0.0.1 # inline\nnameserver fe80::1%eth0\nnameserver 10.0.0.2\nsearch a.example b.example\noptions ndots:2\noptions edns0\n"))
	own := func(h *container.HostConfig) string { return string(host.forContainer(h, true).bytes()) }
	for _, c := range []struct {
		name, got string
		want      []string
	}{
		{"as the host, without what cannot be reached", own(&container.HostConfig{}),
			[]string{"nameserver 10.0.0.1", "nameserver 10.0.0.2", "search a.example b.example", "options ndots:2 edns0"}},
		{"--dns", own(&container.HostConfig{DNS: []netip.Addr{netip.MustParseAddr("9.9.9.9")}}),
			[]string{"nameserver 9.9.9.9", "search a.example b.example", "options ndots:2 edns0"}},
		{"--dns-search and --dns-option", own(&container.HostConfig{DNSSearch: []string{"c.example"}, DNSOptions: []string{"timeout:1"}}),
			[]string{"nameserver 10.0.0.1", "nameserver 10.0.0.2", "search c.example", "options timeout:1"}},
		{"--dns-search .", own(&container.HostConfig{DNSSearch: []string{"."}}),
			[]string{"nameserver 10.0.0.1", "nameserver 10.0.0.2", "options ndots:2 edns0"}},
		{"only loopback on the host", string(parseResolvConf([]byte("nameserver 127.0.0.1\n")).forContainer(&container.HostConfig{}, true).bytes()),
			[]string{"nameserver 8.8.8.8", "nameserver 8.8.4.4"}},
		{"in the host's namespace", string(host.forContainer(&container.HostConfig{DNSSearch: []string{"c.example"}}, false).bytes()),
			[]string{"nameserver 127.0.0.53", "nameserver 10.0.0.1", "nameserver fe80::1%eth0", "nameserver 10.0.0.2", "search c.example", "options ndots:2 edns0"}},
	} {
		if want := strings.Join(c.want, "\n") + "\n"; c.got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, c.got, want)
		}
	}
}
