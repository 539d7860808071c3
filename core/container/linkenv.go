package container

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
)

// linkEnv are the variables by which a container on the default network knows
// those that it is linked to, as docker sets them: their ports and variables.
// One that does not run has none; a start refuses it elsewhere.
func (m *Module) linkEnv(ctx context.Context, r *record) ([]string, error) {
	if mode := r.HostConfig.NetworkMode; mode.IsUserDefined() || mode.IsNone() {
		return nil, nil
	}
	var env []string
	for _, link := range r.HostConfig.Links {
		name, alias := splitLink(link)
		other, err := m.lookUp(ctx, name)
		if errdefs.IsNotFound(err) {
			continue // the link has gone with it
		}
		if err != nil {
			return nil, err
		}
		if at := m.network(other).Networks[network.NetworkBridge]; other.state != nil && at != nil && at.IPAddress.IsValid() {
			env = append(env, variables("/"+r.Name+"/"+alias, at.IPAddress.String(), other.Config.Env, other.Config.ExposedPorts)...)
		}
	}
	return env, nil
}

// variables are those of one link, named /CONTAINER/ALIAS.
func variables(link, address string, childEnv []string, exposed network.PortSet) []string {
	alias := strings.ReplaceAll(strings.ToUpper(link[strings.LastIndex(link, "/")+1:]), "-", "_")
	var ports []network.Port
	for port := range exposed {
		ports = append(ports, port)
	}
	slices.SortFunc(ports, comparePorts)
	var env []string
	add := func(name, format string, args ...any) { env = append(env, alias+name+"="+fmt.Sprintf(format, args...)) }
	url := func(p network.Port) string { return fmt.Sprintf("%s://%s:%d", p.Proto(), address, p.Num()) }
	prefix := func(p network.Port) string {
		return fmt.Sprintf("_PORT_%d_%s", p.Num(), strings.ToUpper(string(p.Proto())))
	}
	first := 0 // of a row of ports that follow each other
	for i, p := range ports {
		if i == 0 {
			add("_PORT", "%s", url(p))
		}
		add(prefix(p), "%s", url(p))
		add(prefix(p)+"_ADDR", "%s", address)
		add(prefix(p)+"_PORT", "%d", p.Num())
		add(prefix(p)+"_PROTO", "%s", p.Proto())
		if i+1 < len(ports) && ports[i+1].Num() == p.Num()+1 && ports[i+1].Proto() == p.Proto() {
			continue
		}
		if start := ports[first]; first < i {
			add(prefix(start)+"_START", "%s", url(start))
			add(prefix(start)+"_PORT_START", "%d", start.Num())
			add(prefix(start)+"_END", "%s", url(p))
			add(prefix(start)+"_PORT_END", "%d", p.Num())
		}
		first = i + 1
	}
	add("_NAME", "%s", link)
	for _, v := range childEnv {
		if name, value, ok := strings.Cut(v, "="); ok && name != "HOME" && name != "PATH" {
			add("_ENV_"+name, "%s", value)
		}
	}
	return env
}

// comparePorts puts TCP first: its lowest port is that of ALIAS_PORT.
func comparePorts(a, b network.Port) int {
	if tcp := a.Proto() == network.TCP; tcp != (b.Proto() == network.TCP) {
		if tcp {
			return -1
		}
		return 1
	}
	return cmp.Or(strings.Compare(string(a.Proto()), string(b.Proto())), cmp.Compare(a.Num(), b.Num()))
}
