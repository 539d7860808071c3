package network

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
)

// Drivers of networks.
const (
	driverBridge  = "bridge"
	driverHost    = "host"
	driverNull    = "null"
	driverMacvlan = "macvlan"
	driverIPvlan  = "ipvlan"
)

// Options of networks, docker's names.
const (
	optionDefault    = "com.docker.network.bridge.default_bridge"
	optionICC        = "com.docker.network.bridge.enable_icc"
	optionMasquerade = "com.docker.network.bridge.enable_ip_masquerade"
	optionBinding    = "com.docker.network.bridge.host_binding_ipv4"
	optionName       = "com.docker.network.bridge.name"
	optionGateway4   = "com.docker.network.bridge.gateway_mode_ipv4"
	optionGateway6   = "com.docker.network.bridge.gateway_mode_ipv6"
	optionMTU        = "com.docker.network.driver.mtu"
	optionPrefix     = "com.docker.network.container_iface_prefix"
	optionIfname     = "com.docker.network.endpoint.ifname" // of an endpoint
	optionParent     = "parent"
	optionMacMode    = "macvlan_mode"
	optionIPMode     = "ipvlan_mode"
)

// netRecord is a network as remembered.
type netRecord struct {
	name, id, driver string
	created          time.Time
	config           netConfig
	want             []pool // of the default network: what the configuration asks for; nil: nothing changes now
}

// netConfig is what was asked for at create, and the pools that were chosen.
type netConfig struct {
	NoIPv4      bool              `json:",omitempty"`
	IPv6        bool              `json:",omitempty"`
	Internal    bool              `json:",omitempty"`
	Attachable  bool              `json:",omitempty"`
	Labels      map[string]string `json:",omitempty"`
	Options     map[string]string `json:",omitempty"`
	IPAMOptions map[string]string `json:",omitzero"`
	Pools       []pool            `json:",omitempty"` // at most one per family
	ConfigOnly  bool              `json:",omitempty"` // nobody joins it; Pools are those that were asked for
	ConfigFrom  string            `json:",omitempty"` // name of the config-only network it was made of
	MadeParent  bool              `json:",omitempty"` // the VLAN interface that it hangs on is ours
}

// pool is what containers' addresses are taken from.
type pool struct {
	Subnet  netip.Prefix
	Gateway netip.Addr            `json:",omitzero"`
	Range   netip.Prefix          `json:",omitzero"` // zero: the whole subnet
	Aux     map[string]netip.Addr `json:",omitempty"`
	Chosen  bool                  `json:",omitempty"` // by us: containers cannot ask for addresses
}

// pool returns the network's pool of one family, the zero value for none.
func (r netRecord) pool(is4 bool) pool {
	for _, p := range r.config.Pools {
		if p.Subnet.Addr().Is4() == is4 {
			return p
		}
	}
	return pool{}
}

func (r netRecord) v4() pool { return r.pool(true) }
func (r netRecord) v6() pool { return r.pool(false) }

func (r netRecord) isDefault() bool   { return r.name == network.NetworkBridge }
func (r netRecord) predefined() bool  { return isPredefined(r.name) }
func (r netRecord) isBridge() bool    { return r.driver == driverBridge }
func (r netRecord) masquerades() bool { return r.flag(optionMasquerade) && !r.config.Internal }
func (r netRecord) icc() bool         { return r.flag(optionICC) }

// flag reads a boolean option that is on unless it says otherwise; it was checked at create.
func (r netRecord) flag(option string) bool {
	on, err := strconv.ParseBool(r.config.Options[option])
	return err != nil || on
}

// mtu is what the user asked for, 0 for nothing.
func (r netRecord) mtu() int {
	mtu, _ := strconv.Atoi(r.config.Options[optionMTU]) // checked at create
	return mtu
}

// binding is the address that ports are published on when none is given.
func (r netRecord) binding() netip.Addr {
	ip, _ := netip.ParseAddr(r.config.Options[optionBinding]) // checked at create
	return ip
}

// interfaceOf is the name of a bridge network's interface. Those of our own
// choice begin with nacre, so that anyone sees whose they are.
func (n *Networks) interfaceOf(r netRecord) string {
	switch {
	case r.isDefault():
		return n.bridge
	case r.config.Options[optionName] != "":
		return r.config.Options[optionName]
	}
	return "nacre-" + r.id[:9]
}

// networks returns all networks by name, and writes the predefined ones on first use.
func (n *Networks) networks(ctx context.Context) (map[string]netRecord, error) {
	found, err := n.readNetworks(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := found[network.NetworkBridge]; ok {
		return found, nil
	}
	now := time.Now().UnixNano()
	for _, p := range predefined {
		if _, err := n.store.DB.ExecContext(ctx, `INSERT OR IGNORE INTO networks (name, id, driver, created, subnet) VALUES (?, ?, ?, ?, '')`,
			p.name, newID(), p.driver, now); err != nil {
			return nil, fmt.Errorf("record network %s: %w", p.name, err)
		}
	}
	return n.readNetworks(ctx)
}

// predefined are the networks that are always there, as in docker.
var predefined = []struct{ name, driver string }{
	{network.NetworkBridge, driverBridge}, {network.NetworkHost, driverHost}, {network.NetworkNone, driverNull},
}

func isPredefined(name string) bool {
	for _, p := range predefined {
		if p.name == name {
			return true
		}
	}
	return name == network.NetworkDefault
}

func (n *Networks) readNetworks(ctx context.Context) (map[string]netRecord, error) {
	rows, err := n.store.DB.QueryContext(ctx, `SELECT name, id, driver, created, subnet, config FROM networks`)
	if err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	defer rows.Close()
	found := map[string]netRecord{}
	for rows.Next() {
		var r netRecord
		var created int64
		var subnet, config string
		if err := rows.Scan(&r.name, &r.id, &r.driver, &created, &subnet, &config); err != nil {
			return nil, fmt.Errorf("read networks: %w", err)
		}
		r.created = time.Unix(0, created)
		if err := json.Unmarshal([]byte(config), &r.config); err != nil {
			return nil, fmt.Errorf("read network %s: %w", r.name, err)
		}
		if subnet != "" { // the default bridge's, as earlier versions kept it
			p, err := netip.ParsePrefix(subnet)
			if err != nil {
				return nil, fmt.Errorf("read network %s: %w", r.name, err)
			}
			r.config.Pools = []pool{chosenPool(p)}
		}
		if r.isDefault() {
			c, err := n.config.Load()
			if err != nil {
				return nil, err
			}
			r.config, r.want = defaultConfig(c, r.config.Pools), wantPools(c, r.id)
		}
		found[r.name] = r
	}
	return found, rows.Err()
}

// chosenPool is a pool of our own choice: the first address is the gateway's.
func chosenPool(subnet netip.Prefix) pool {
	return pool{Subnet: subnet, Gateway: subnet.Addr().Next(), Chosen: true}
}

// recordPools keeps what was chosen for the default bridge.
func (n *Networks) recordPools(ctx context.Context, r netRecord) error {
	config, err := json.Marshal(netConfig{Pools: r.config.Pools})
	if err == nil {
		_, err = n.store.DB.ExecContext(ctx, `UPDATE networks SET subnet = '', config = ? WHERE name = ?`, string(config), r.name)
	}
	if err != nil {
		return fmt.Errorf("record the subnets of network %s: %w", r.name, err)
	}
	return nil
}

// recordNetwork writes a new network; errdefs.ErrConflict when the name is taken.
func (n *Networks) recordNetwork(ctx context.Context, r netRecord) error {
	config, err := json.Marshal(r.config)
	if err != nil {
		return fmt.Errorf("record network %s: %w", r.name, err)
	}
	res, err := n.store.DB.ExecContext(ctx, `INSERT INTO networks (name, id, driver, created, subnet, config) VALUES (?, ?, ?, ?, '', ?) ON CONFLICT (name) DO NOTHING`,
		r.name, r.id, r.driver, r.created.UnixNano(), string(config))
	if err != nil {
		return fmt.Errorf("record network %s: %w", r.name, err)
	}
	if added, err := res.RowsAffected(); err != nil || added == 1 {
		return err
	}
	return nameTaken(r.name)
}

func nameTaken(name string) error {
	return errdefs.ErrConflict.WithMessage(fmt.Sprintf("network with name %s already exists", name))
}

// forgetNetwork removes a network's record and those of its dead endpoints.
func (n *Networks) forgetNetwork(ctx context.Context, r netRecord) error {
	tx, err := n.store.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("remove network %s: %w", r.name, err)
	}
	defer tx.Rollback()
	if _, err = tx.ExecContext(ctx, `DELETE FROM endpoints WHERE network = ?`, r.name); err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM networks WHERE name = ?`, r.name)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("remove network %s: %w", r.name, err)
	}
	return nil
}
