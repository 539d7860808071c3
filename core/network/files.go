package network

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/network/resolver"
)

const (
	hostResolvConf    = "/etc/resolv.conf"
	systemdResolvConf = "/run/systemd/resolve/resolv.conf" // what the stub at 127.0.0.53 asks
	hostHosts         = "/etc/hosts"
	hostGateway       = "host-gateway"
)

// fallbackServers answer when the host has no name server that a container
// could reach: docker's choice. Where they are blocked, --dns names others.
var fallbackServers = []netip.Addr{netip.AddrFrom4([4]byte{8, 8, 8, 8}), netip.AddrFrom4([4]byte{8, 8, 4, 4})}

const localHosts = `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::	ip6-localnet
ff00::	ip6-mcastprefix
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
`

// resolvConf is the part of resolv.conf(5) that docker's options touch.
type resolvConf struct {
	servers         []netip.Addr
	search, options []string
}

func parseResolvConf(raw []byte) resolvConf {
	var c resolvConf
	for line := range strings.Lines(string(raw)) {
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			if server, err := netip.ParseAddr(words[1]); err == nil {
				c.servers = append(c.servers, server)
			}
		case "search", "domain": // the last one counts
			c.search = words[1:]
		case "options":
			c.options = append(c.options, words[1:]...)
		}
	}
	return c
}

func (c resolvConf) bytes() []byte {
	var b bytes.Buffer
	for _, s := range c.servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(c.search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(c.search, " "))
	}
	if len(c.options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(c.options, " "))
	}
	return b.Bytes()
}

// containerResolvConf is the host's configuration with --dns, --dns-search and
// --dns-option in place of its parts. A container in a namespace of its own
// cannot reach the host's loopback addresses: servers there are left out.
func containerResolvConf(host *container.HostConfig, ownNamespace bool) ([]byte, error) {
	raw, err := readResolvConf()
	if err != nil {
		return nil, err
	}
	if !ownNamespace && len(host.DNS) == 0 && len(host.DNSSearch) == 0 && len(host.DNSOptions) == 0 {
		return raw, nil
	}
	return parseResolvConf(raw).forContainer(host, ownNamespace).bytes(), nil
}

// embeddedResolvConf is for networks of users, whose names our own resolver
// knows; it asks the servers that come back about all others.
func embeddedResolvConf(host *container.HostConfig) (file []byte, upstream []netip.Addr, err error) {
	raw, err := readResolvConf()
	if err != nil {
		return nil, nil, err
	}
	c := parseResolvConf(raw)
	upstream = c.servers
	c = c.forContainer(host, true)
	if len(host.DNS) > 0 || len(upstream) == 0 {
		upstream = c.servers
	}
	c.servers = []netip.Addr{resolver.Address}
	if !slices.ContainsFunc(c.options, func(o string) bool { return strings.HasPrefix(o, "ndots:") }) {
		c.options = append(slices.Clone(c.options), "ndots:0")
	}
	return c.bytes(), upstream, nil
}

func (c resolvConf) forContainer(host *container.HostConfig, ownNamespace bool) resolvConf {
	switch {
	case len(host.DNS) > 0:
		c.servers = host.DNS
	case ownNamespace:
		// The default network has no IPv6, so only IPv4 servers can be reached.
		unreachable := func(s netip.Addr) bool { return s.IsLoopback() || !s.Is4() }
		c.servers = slices.DeleteFunc(slices.Clone(c.servers), unreachable)
		if len(c.servers) == 0 {
			c.servers = fallbackServers
		}
	}
	if len(host.DNSSearch) > 0 {
		none := func(s string) bool { return s == "." } // docker's way to ask for none
		c.search = slices.DeleteFunc(slices.Clone(host.DNSSearch), none)
	}
	if len(host.DNSOptions) > 0 {
		c.options = host.DNSOptions
	}
	return c
}

// readResolvConf reads the host's file, or the one behind systemd-resolved's stub.
func readResolvConf() ([]byte, error) {
	raw, err := os.ReadFile(hostResolvConf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the host's name servers: %w", err)
	}
	stub := netip.AddrFrom4([4]byte{127, 0, 0, 53})
	if servers := parseResolvConf(raw).servers; len(servers) == 1 && servers[0] == stub {
		if behind, err := os.ReadFile(systemdResolvConf); err == nil {
			return behind, nil
		}
	}
	return raw, nil
}

// containerHosts is the content of /etc/hosts in a namespace of the
// container's own; without an endpoint it has no address to be known by.
func containerHosts(req backend.EndpointRequest, gateway netip.Addr, links []byte, endpoints ...*endpoint) ([]byte, error) {
	b := bytes.NewBufferString(localHosts)
	if err := writeExtraHosts(b, req.HostConfig.ExtraHosts, gateway); err != nil {
		return nil, err
	}
	b.Write(links)
	names := req.Hostname
	if req.Config != nil && req.Config.Domainname != "" && !strings.Contains(names, ".") {
		names += "." + req.Config.Domainname + " " + names
	}
	if req.Name != "" && req.Name != req.Hostname {
		names += " " + req.Name
	}
	for _, e := range endpoints {
		for _, a := range []netip.Addr{e.address, e.address6} {
			if a.IsValid() {
				fmt.Fprintf(b, "%s\t%s\n", a, names)
			}
		}
	}
	return b.Bytes(), nil
}

// hostHostsWith is the host's own file with --add-host appended; nil when there is none and nothing to add.
func hostHostsWith(extra []string, gateway netip.Addr) ([]byte, error) {
	raw, err := os.ReadFile(hostHosts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the host's names: %w", err)
	}
	b := bytes.NewBuffer(raw)
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		b.WriteByte('\n')
	}
	if err := writeExtraHosts(b, extra, gateway); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeExtraHosts reads docker's NAME:ADDRESS (or NAME=ADDRESS).
func writeExtraHosts(b *bytes.Buffer, extra []string, gateway netip.Addr) error {
	for _, e := range extra {
		name, value, ok := cutExtraHost(e)
		if !ok || name == "" {
			return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("bad format for add-host: %q", e))
		}
		ip, err := netip.ParseAddr(strings.Trim(value, "[]"))
		if value == hostGateway {
			ip, err = gateway, nil
			if !gateway.IsValid() {
				err = errors.New("there is no gateway")
			}
		}
		if err != nil {
			return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid IP address in add-host: %q", value))
		}
		fmt.Fprintf(b, "%s\t%s\n", ip, name)
	}
	return nil
}

func cutExtraHost(e string) (name, value string, ok bool) {
	if before, after, equals := strings.Cut(e, "="); equals && !strings.Contains(before, ":") {
		return before, after, true
	}
	return strings.Cut(e, ":")
}
