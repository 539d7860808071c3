package config

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// Insecure are the registries that may be spoken to over plain HTTP, or over
// HTTPS with a certificate that nobody vouches for.
type Insecure struct {
	Hosts    []string       // host or host:port, as written
	Prefixes []netip.Prefix // every registry whose address is in one
}

// loopback may always be spoken to so, as in docker.
var loopback = []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("127.0.0.0/8")}

// Loopback returns the subnets that are insecure without being listed.
func Loopback() []netip.Prefix { return append([]netip.Prefix{}, loopback...) }

// IsLoopback says whether a registry (host or host:port) is on this machine.
func IsLoopback(registry string) bool {
	host := hostname(registry)
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && covers(loopback, addr)
}

// Allows says whether registry (host or host:port) is one of them. A host name
// counts for a subnet when one of its addresses is in it; lookup resolves
// names, nil: net.LookupIP.
func (i Insecure) Allows(registry string, lookup func(host string) ([]net.IP, error)) bool {
	if IsLoopback(registry) {
		return true
	}
	host := hostname(registry)
	for _, entry := range i.Hosts {
		if strings.EqualFold(entry, registry) || strings.EqualFold(strings.Trim(entry, "[]"), host) {
			return true
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return covers(i.Prefixes, addr)
	}
	if len(i.Prefixes) == 0 {
		return false // without subnets of one's own no name is looked up
	}
	if lookup == nil {
		lookup = net.LookupIP
	}
	ips, err := lookup(host)
	if err != nil {
		return false // the request itself will say so
	}
	for _, ip := range ips {
		if addr, ok := netip.AddrFromSlice(ip); ok && covers(i.Prefixes, addr) {
			return true
		}
	}
	return false
}

func covers(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

func hostname(registry string) string {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	return strings.Trim(host, "[]")
}

func insecure(raw json.RawMessage) (Insecure, error) {
	var out Insecure
	_, err := list(func(s string) (string, error) {
		// docker takes a URL for the host in it, with a warning.
		_, rest, found := strings.Cut(s, "://")
		if !found {
			rest = s
		}
		rest = strings.TrimSuffix(rest, "/")
		if p, err := netip.ParsePrefix(rest); err == nil {
			out.Prefixes = append(out.Prefixes, p.Masked())
			return rest, nil
		}
		if rest == "" || strings.ContainsAny(rest, "/ @?#,") {
			return "", errors.New("want host, host:port or a subnet as 10.0.0.0/8")
		}
		out.Hosts = append(out.Hosts, rest)
		return rest, nil
	})(raw)
	if err != nil {
		return Insecure{}, err
	}
	return out, nil
}
