package config

import (
	"maps"
	"slices"
	"strings"
)

// pending are keys whose value is read into Config but which no module uses
// yet. Who makes a module use one deletes it here.
var pending = []string{}

const (
	noDaemon  = "there is no daemon"
	perServe  = "`nacre serve` takes options"
	noSwarm   = "this engine has no swarm mode"
	ownNet    = "the engine's own network decides it"
	ownLayers = "layers are kept by containers/storage on overlay"
)

// without are docker's further words, and why they do nothing here.
var without = map[string]string{
	"pidfile": noDaemon, "group": "the socket of `nacre serve` belongs to the group docker or nacre where there is one",
	"live-restore": "containers never depend on an engine that runs", "shutdown-timeout": noDaemon,
	"log-level": noDaemon, "log-format": noDaemon, "raw-logs": noDaemon, "metrics-addr": noDaemon, "experimental": noDaemon, "features": noDaemon,
	"oom-score-adjust": noDaemon, "min-api-version": "every version since 1.24 is served",
	"tls": perServe, "tlsverify": perServe, "tlscacert": perServe, "tlscert": perServe, "tlskey": perServe, "api-cors-header": perServe,
	"authorization-plugins": "there are no authorization plugins",
	"storage-driver":        ownLayers, "storage-opts": ownLayers, "graph": "it is called data-root",
	"containerd": "there is no containerd", "containerd-namespace": "there is no containerd", "containerd-plugin-namespace": "there is no containerd",
	"swarm-default-advertise-addr": noSwarm, "swarm-raft-heartbeat-tick": noSwarm, "swarm-raft-election-tick": noSwarm, "network-control-plane-mtu": noSwarm,
	"node-generic-resources": noSwarm, "cluster-store": noSwarm, "cluster-advertise": noSwarm, "cluster-store-opts": noSwarm,
	"bridge": ownNet, "iptables": ownNet, "ip6tables": ownNet, "ip-forward": ownNet, "ip-forward-no-drop": ownNet,
	"userland-proxy": "published ports need no proxy", "userland-proxy-path": "published ports need no proxy", "allow-direct-routing": ownNet, "bridge-accept-fwmark": ownNet, "firewall-backend": ownNet,
	"default-gateway": ownNet, "default-gateway-v6": ownNet,
	"exec-opts": "cgroups are managed as cgroupfs",
	"init-path": "the init is nacre's own", "cpu-rt-period": "realtime scheduling is not offered", "cpu-rt-runtime": "realtime scheduling is not offered",
	"userns-remap": "user namespaces are not remapped: containers' root is the host's", "rootless": "the engine runs as root",
	"builder": "there is no builder", "allow-nondistributable-artifacts": "layers that lie elsewhere are never pushed",
	"deprecated-key-path": noDaemon, "api-enable-cors": perServe,
}

// nearest finds the known key that somebody who wrote key may have meant.
func nearest(key string) string {
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if letters(k) == letters(key) {
			return k
		}
	}
	return ""
}

// letters is a key without case, punctuation and plural.
func letters(key string) string {
	only := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(key))
	if stem, found := strings.CutSuffix(only, "ies"); found {
		return stem + "y"
	}
	return strings.TrimSuffix(only, "s")
}
