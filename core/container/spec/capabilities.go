package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/capability"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultCapabilities are docker's.
func DefaultCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

func (b *builder) capabilities() error {
	hc := b.in.HostConfig
	caps, err := Capabilities(hc.CapAdd, hc.CapDrop, hc.Privileged, b.in.Host)
	if err != nil {
		return err
	}
	set := specs.LinuxCapabilities{Bounding: caps, Permitted: caps, Effective: caps}
	// The kernel gives a process of another user nothing of what is permitted
	// unless it is inheritable or ambient, which docker leaves empty.
	b.spec.Process.Capabilities = &set
	return nil
}

// Capabilities applies --cap-add and --cap-drop to docker's default set; a
// privileged container gets all that this process could give.
func Capabilities(add, drop []string, privileged bool, host Host) ([]string, error) {
	adds, err := normalizeCaps("CapAdd", add)
	if err != nil {
		return nil, err
	}
	drops, err := normalizeCaps("CapDrop", drop)
	if err != nil {
		return nil, err
	}
	var caps []string
	switch {
	case privileged:
		return slices.Clone(host.Capabilities), nil
	case slices.Contains(adds, "ALL"):
		caps = slices.Clone(host.Capabilities)
	case !slices.Contains(drops, "ALL"):
		caps = DefaultCapabilities()
	}
	caps = slices.DeleteFunc(caps, func(c string) bool { return slices.Contains(drops, c) })
	for _, c := range adds {
		if c != "ALL" && !slices.Contains(caps, c) {
			caps = append(caps, c)
		}
	}
	return caps, nil
}

func normalizeCaps(field string, names []string) ([]string, error) {
	known := map[string]bool{"ALL": true}
	for _, c := range capability.ListKnown() {
		known["CAP_"+strings.ToUpper(c.String())] = true
	}
	var out []string
	for _, name := range names {
		c := strings.ToUpper(name)
		if c != "ALL" && !strings.HasPrefix(c, "CAP_") {
			c = "CAP_" + c
		}
		if !known[c] {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid %s: unknown capability: %q", field, c))
		}
		out = append(out, c)
	}
	return out, nil
}
