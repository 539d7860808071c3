package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/go-units"
)

// setter reads one key's value into a Config.
type setter func(*Config, json.RawMessage) error

// keys are the words that mean something here.
var keys = map[string]setter{
	"data-root": into(absolute, func(c *Config) *string { return &c.DataRoot }),
	"exec-root": into(absolute, func(c *Config) *string { return &c.ExecRoot }),
	"debug":     into(plain[bool], func(c *Config) *bool { return &c.Debug }),
	"hosts":     into(list(nonEmpty), func(c *Config) *[]string { return &c.Hosts }),
	"labels":    into(list(pair), func(c *Config) *[]string { return &c.Labels }),

	"insecure-registries":      into(insecure, func(c *Config) *Insecure { return &c.InsecureRegistries }),
	"registry-mirrors":         into(list(mirrorURL), func(c *Config) *[]string { return &c.RegistryMirrors }),
	"max-concurrent-downloads": into(positive, func(c *Config) *int { return &c.MaxConcurrentDownloads }),
	"max-concurrent-uploads":   into(positive, func(c *Config) *int { return &c.MaxConcurrentUploads }),
	"max-download-attempts":    into(positive, func(c *Config) *int { return &c.MaxDownloadAttempts }),
	"proxies":                  into(proxies, func(c *Config) *Proxies { return &c.Proxies }),

	"log-driver": into(text(nonEmpty), func(c *Config) *string { return &c.LogDriver }),
	"log-opts":   into(plain[map[string]string], func(c *Config) *map[string]string { return &c.LogOpts }),

	"dns":                   into(list(netip.ParseAddr), func(c *Config) *[]netip.Addr { return &c.DNS }),
	"dns-opts":              into(list(nonEmpty), func(c *Config) *[]string { return &c.DNSOptions }),
	"dns-search":            into(list(nonEmpty), func(c *Config) *[]string { return &c.DNSSearch }),
	"bip":                   into(text(subnet(true)), func(c *Config) *netip.Prefix { return &c.BIP }),
	"bip6":                  into(text(subnet(false)), func(c *Config) *netip.Prefix { return &c.BIP6 }),
	"ipv6":                  into(plain[bool], func(c *Config) *bool { return &c.IPv6 }),
	"fixed-cidr":            into(text(masked(true)), func(c *Config) *netip.Prefix { return &c.FixedCIDR }),
	"fixed-cidr-v6":         into(text(masked(false)), func(c *Config) *netip.Prefix { return &c.FixedCIDRv6 }),
	"icc":                   into(plain[*bool], func(c *Config) **bool { return &c.ICC }),
	"ip-masq":               into(plain[*bool], func(c *Config) **bool { return &c.IPMasq }),
	"default-network-opts":  into(plain[map[string]map[string]string], func(c *Config) *map[string]map[string]string { return &c.DefaultNetworkOpts }),
	"mtu":                   into(positive, func(c *Config) *int { return &c.MTU }),
	"default-address-pools": into(pools, func(c *Config) *[]Pool { return &c.DefaultAddressPools }),
	"host-gateway-ips":      into(list(netip.ParseAddr), func(c *Config) *[]netip.Addr { return &c.HostGatewayIPs }),
	"host-gateway-ip":       into(text(oneAddress), func(c *Config) *[]netip.Addr { return &c.HostGatewayIPs }),
	"ip":                    into(text(netip.ParseAddr), func(c *Config) *netip.Addr { return &c.BindingIP }),

	"default-ulimits":       into(ulimits, func(c *Config) *map[string]*units.Ulimit { return &c.DefaultUlimits }),
	"default-shm-size":      into(bytesSize, func(c *Config) *int64 { return &c.DefaultShmSize }),
	"default-ipc-mode":      into(text(oneOf("private", "shareable")), func(c *Config) *string { return &c.DefaultIPCMode }),
	"default-cgroupns-mode": into(text(oneOf("private", "host")), func(c *Config) *string { return &c.DefaultCgroupnsMode }),
	"cgroup-parent":         into(text(nonEmpty), func(c *Config) *string { return &c.CgroupParent }),
	"no-new-privileges":     into(plain[bool], func(c *Config) *bool { return &c.NoNewPrivileges }),
	"selinux-enabled":       into(plain[bool], func(c *Config) *bool { return &c.SELinux }),
	"seccomp-profile":       into(text(nonEmpty), func(c *Config) *string { return &c.SeccompProfile }),
	"init":                  into(plain[bool], func(c *Config) *bool { return &c.Init }),
	"default-runtime":       into(text(nonEmpty), func(c *Config) *string { return &c.DefaultRuntime }),
	"cdi-spec-dirs":         into(list(nonEmpty), func(c *Config) *[]string { return &c.CDISpecDirs }),
	"runtimes":              into(runtimes, func(c *Config) *map[string]Runtime { return &c.Runtimes }),
}

// lookup finds a key's setter, and says why setting it has no effect.
func lookup(key string) (setter, string) {
	if set, is := keys[key]; is {
		if slices.Contains(pending, key) {
			return set, "is understood but has no effect yet"
		}
		return set, ""
	}
	if why, is := without[key]; is {
		return nil, "has no effect here: " + why
	}
	if near := nearest(key); near != "" {
		return nil, fmt.Sprintf("is an unknown key; did you mean %q?", near)
	}
	return nil, "is an unknown key"
}

// into joins the reading of a value with the field that takes it.
func into[T any](read func(json.RawMessage) (T, error), field func(*Config) *T) setter {
	return func(c *Config, raw json.RawMessage) error {
		v, err := read(raw)
		if err == nil {
			*field(c) = v
		}
		return err
	}
}

func plain[T any](raw json.RawMessage) (v T, err error) { return v, json.Unmarshal(raw, &v) }

// text reads a string and checks it.
func text[T any](check func(string) (T, error)) func(json.RawMessage) (T, error) {
	return func(raw json.RawMessage) (v T, err error) {
		s, err := plain[string](raw)
		if err != nil {
			return v, err
		}
		if v, err = check(s); err != nil {
			err = fmt.Errorf("%q: %w", s, bare(err))
		}
		return v, err
	}
}

// list reads a list of strings and checks each.
func list[T any](check func(string) (T, error)) func(json.RawMessage) ([]T, error) {
	return func(raw json.RawMessage) ([]T, error) {
		words, err := plain[[]string](raw)
		if err != nil {
			return nil, err
		}
		all := make([]T, 0, len(words))
		for _, w := range words {
			v, err := check(w)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", w, bare(err))
			}
			all = append(all, v)
		}
		return all, nil
	}
}

// bare takes the text of net/netip's errors without the value, which is named already.
func bare(err error) error {
	if text, found := strings.CutPrefix(err.Error(), "ParseAddr("); found {
		if _, why, found := strings.Cut(text, "): "); found {
			return fmt.Errorf("no IP address: %s", why)
		}
	}
	return err
}

func nonEmpty(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", errors.New("must not be empty")
	}
	return s, nil
}

func absolute(raw json.RawMessage) (string, error) {
	return text(func(s string) (string, error) {
		if !filepath.IsAbs(s) {
			return "", errors.New("want an absolute path")
		}
		return filepath.Clean(s), nil
	})(raw)
}

func pair(s string) (string, error) {
	if name, _, found := strings.Cut(s, "="); !found || name == "" {
		return "", errors.New("want NAME=VALUE")
	}
	return s, nil
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, w := range words {
			if s == w {
				return s, nil
			}
		}
		return "", fmt.Errorf("want %s", strings.Join(words, " or "))
	}
}

func positive(raw json.RawMessage) (int, error) {
	n, err := plain[int](raw)
	if err == nil && n < 1 {
		err = fmt.Errorf("%d: must be at least 1", n)
	}
	return n, err
}

func mirrorURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", errors.New("is no URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errors.New("want http://host[:port] or https://host[:port]")
	case u.User != nil:
		return "", errors.New("credentials do not belong in the URL")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("a query or fragment has no meaning here")
	}
	return strings.TrimRight(s, "/"), nil
}

func subnet(four bool) func(string) (netip.Prefix, error) {
	return func(s string) (netip.Prefix, error) {
		p, err := netip.ParsePrefix(s)
		if err != nil || p.Addr().Is4() != four {
			example := "172.26.0.1/16"
			if !four {
				example = "2001:db8::1/64"
			}
			return netip.Prefix{}, fmt.Errorf("want an address with the length of its subnet, as %s", example)
		}
		return p, nil
	}
}

// masked is subnet for those that are not an address too.
func masked(four bool) func(string) (netip.Prefix, error) {
	return func(s string) (netip.Prefix, error) {
		p, err := subnet(four)(s)
		return p.Masked(), err
	}
}

func oneAddress(s string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	return []netip.Addr{a}, err
}

func pools(raw json.RawMessage) ([]Pool, error) {
	written, err := plain[[]struct {
		Base string `json:"base"`
		Size int    `json:"size"`
	}](raw)
	if err != nil {
		return nil, err
	}
	all := make([]Pool, 0, len(written))
	for _, w := range written {
		base, err := netip.ParsePrefix(w.Base)
		if err != nil {
			return nil, fmt.Errorf("base %q: want a subnet, as 10.10.0.0/16", w.Base)
		}
		if w.Size < base.Bits() || w.Size > base.Addr().BitLen() {
			return nil, fmt.Errorf("size %d of base %s: want a length from %d to %d", w.Size, base, base.Bits(), base.Addr().BitLen())
		}
		all = append(all, Pool{Base: base.Masked(), Size: w.Size})
	}
	return all, nil
}

func ulimits(raw json.RawMessage) (map[string]*units.Ulimit, error) {
	all, err := plain[map[string]*units.Ulimit](raw)
	if err != nil {
		return nil, errors.New(`want {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 4096}}`)
	}
	for name, limit := range all {
		if limit == nil {
			return nil, fmt.Errorf("%s: has no limits", name)
		}
		limit.Name = cmp.Or(limit.Name, name)
		if _, err := units.ParseUlimit(limit.String()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// bytesSize reads a number of bytes or docker's short form, 64m.
func bytesSize(raw json.RawMessage) (int64, error) {
	if n, err := plain[int64](raw); err == nil {
		if n <= 0 {
			return 0, fmt.Errorf("%d: must be above 0", n)
		}
		return n, nil
	}
	return text(func(s string) (int64, error) {
		n, err := units.RAMInBytes(s)
		if err != nil || n <= 0 {
			return 0, errors.New("want a size, as 64m")
		}
		return n, nil
	})(raw)
}

func proxies(raw json.RawMessage) (Proxies, error) {
	words, err := plain[map[string]string](raw)
	if err != nil {
		return Proxies{}, err
	}
	var p Proxies
	for name, value := range words {
		switch name {
		case "http-proxy":
			p.HTTP = value
		case "https-proxy":
			p.HTTPS = value
		case "no-proxy":
			p.No = value
		default:
			return Proxies{}, fmt.Errorf("unknown key %q: want http-proxy, https-proxy or no-proxy", name)
		}
	}
	return p, nil
}

// runtimes reads programs that run containers; those that docker runs through
// containerd (runtimeType) have no meaning here.
func runtimes(raw json.RawMessage) (map[string]Runtime, error) {
	given, err := plain[map[string]struct {
		Path        string   `json:"path"`
		RuntimeArgs []string `json:"runtimeArgs"`
		RuntimeType string   `json:"runtimeType"`
	}](raw)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Runtime, len(given))
	for name, r := range given {
		if r.RuntimeType != "" {
			return nil, fmt.Errorf("%s: there is no containerd for a runtimeType; name the runtime's program as its path", name)
		}
		if r.Path == "" {
			return nil, fmt.Errorf("%s: it has no path", name)
		}
		all[name] = Runtime{Path: r.Path, Args: r.RuntimeArgs}
	}
	return all, nil
}
