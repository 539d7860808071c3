package network

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/store"
)

var schema = store.Module{Name: "network", Steps: []string{`
CREATE TABLE networks (
	name    TEXT PRIMARY KEY,
	id      TEXT NOT NULL UNIQUE,
	driver  TEXT NOT NULL,
	created INTEGER NOT NULL, -- unix nanoseconds
	subnet  TEXT NOT NULL     -- empty: none chosen yet, or none needed
) WITHOUT ROWID;
CREATE TABLE endpoints (
	id        TEXT PRIMARY KEY,
	network   TEXT NOT NULL REFERENCES networks (name),
	container TEXT NOT NULL,
	name      TEXT NOT NULL,
	address   TEXT NOT NULL,
	mac       TEXT NOT NULL,
	veth      TEXT NOT NULL,    -- name of the host's end; gone: the endpoint is dead
	released  INTEGER NOT NULL, -- 1: its container has ended, the ports are free already
	UNIQUE (network, address)
) WITHOUT ROWID;
CREATE TABLE ports (
	proto          TEXT NOT NULL,
	host_ip        TEXT NOT NULL,
	host_port      INTEGER NOT NULL,
	container_port INTEGER NOT NULL,
	endpoint       TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
	PRIMARY KEY (proto, host_ip, host_port)
) WITHOUT ROWID;
CREATE INDEX ports_endpoint ON ports (endpoint);
`}}

// netRecord is a network as remembered.
type netRecord struct {
	name, id, driver string
	created          time.Time
	subnet           netip.Prefix // zero: none
}

// endpoint is one container's place in a network.
type endpoint struct {
	id, container, name string
	address             netip.Addr
	mac                 net.HardwareAddr
	veth                string
	released            bool
	ports               []publication
}

// publication is one port of the host that leads to a port of a container.
type publication struct {
	proto         network.IPProtocol
	hostIP        netip.Addr
	hostPort      uint16
	containerPort uint16
	target        netip.Addr
}

// networks returns the predefined networks and writes them on first use.
func (n *Networks) networks(ctx context.Context) (map[string]netRecord, error) {
	found, err := n.readNetworks(ctx)
	if err != nil || len(found) >= len(predefined) {
		return found, err
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
	{network.NetworkBridge, "bridge"}, {network.NetworkHost, "host"}, {network.NetworkNone, "null"},
}

func (n *Networks) readNetworks(ctx context.Context) (map[string]netRecord, error) {
	rows, err := n.store.DB.QueryContext(ctx, `SELECT name, id, driver, created, subnet FROM networks`)
	if err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	defer rows.Close()
	found := map[string]netRecord{}
	for rows.Next() {
		var r netRecord
		var created int64
		var subnet string
		if err := rows.Scan(&r.name, &r.id, &r.driver, &created, &subnet); err != nil {
			return nil, fmt.Errorf("read networks: %w", err)
		}
		r.created = time.Unix(0, created)
		if subnet != "" {
			if r.subnet, err = netip.ParsePrefix(subnet); err != nil {
				return nil, fmt.Errorf("read network %s: %w", r.name, err)
			}
		}
		found[r.name] = r
	}
	return found, rows.Err()
}

func (n *Networks) recordSubnet(ctx context.Context, subnet netip.Prefix) error {
	_, err := n.store.DB.ExecContext(ctx, `UPDATE networks SET subnet = ? WHERE name = ?`, subnet.String(), network.NetworkBridge)
	if err != nil {
		return fmt.Errorf("record subnet %s: %w", subnet, err)
	}
	return nil
}

// endpoints returns the recorded endpoints of the bridge, dead ones too.
func (n *Networks) endpoints(ctx context.Context) ([]endpoint, error) {
	rows, err := n.store.DB.QueryContext(ctx, `SELECT e.id, e.container, e.name, e.address, e.mac, e.veth, e.released,
		p.proto, p.host_ip, p.host_port, p.container_port
		FROM endpoints e LEFT JOIN ports p ON p.endpoint = e.id ORDER BY e.id, p.proto, p.container_port, p.host_ip, p.host_port`)
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	defer rows.Close()
	var all []endpoint
	for rows.Next() {
		var e endpoint
		var address, mac string
		var proto, hostIP sql.NullString
		var hostPort, containerPort sql.Null[uint16]
		if err := rows.Scan(&e.id, &e.container, &e.name, &address, &mac, &e.veth, &e.released, &proto, &hostIP, &hostPort, &containerPort); err != nil {
			return nil, fmt.Errorf("read endpoints: %w", err)
		}
		if len(all) == 0 || all[len(all)-1].id != e.id {
			if e.address, err = netip.ParseAddr(address); err != nil {
				return nil, fmt.Errorf("read endpoint of container %s: %w", e.container, err)
			}
			if e.mac, err = net.ParseMAC(mac); err != nil {
				return nil, fmt.Errorf("read endpoint of container %s: %w", e.container, err)
			}
			all = append(all, e)
		}
		if !proto.Valid {
			continue
		}
		owner := &all[len(all)-1]
		p := publication{proto: network.IPProtocol(proto.String), hostPort: hostPort.V, containerPort: containerPort.V, target: owner.address}
		if p.hostIP, err = netip.ParseAddr(hostIP.String); err != nil {
			return nil, fmt.Errorf("read ports of container %s: %w", e.container, err)
		}
		owner.ports = append(owner.ports, p)
	}
	return all, rows.Err()
}

// held returns the endpoints that a container has and nobody has released yet.
func (n *Networks) held(ctx context.Context, container string) (ids []string, err error) {
	rows, err := n.store.DB.QueryContext(ctx, `SELECT id FROM endpoints WHERE container = ? AND released = 0`, container)
	if err != nil {
		return nil, fmt.Errorf("read the endpoints of container %s: %w", container, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read the endpoints of container %s: %w", container, err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// recordEndpoint removes the dead endpoints, frees the ports of the released
// ones and adds a new endpoint, in one transaction.
func (n *Networks) recordEndpoint(ctx context.Context, dead, released []endpoint, added *endpoint) error {
	tx, err := n.store.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("record endpoint: %w", err)
	}
	defer tx.Rollback()
	exec := func(query string, args ...any) {
		if err == nil {
			_, err = tx.ExecContext(ctx, query, args...)
		}
	}
	for _, e := range dead {
		exec(`DELETE FROM endpoints WHERE id = ?`, e.id)
	}
	for _, e := range released {
		if e.released && len(e.ports) == 0 {
			continue // recorded before
		}
		exec(`UPDATE endpoints SET released = 1 WHERE id = ?`, e.id)
		exec(`DELETE FROM ports WHERE endpoint = ?`, e.id)
	}
	if added != nil {
		exec(`INSERT INTO endpoints (id, network, container, name, address, mac, veth, released) VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
			added.id, network.NetworkBridge, added.container, added.name, added.address.String(), added.mac.String(), added.veth)
		for _, p := range added.ports {
			exec(`INSERT INTO ports (proto, host_ip, host_port, container_port, endpoint) VALUES (?, ?, ?, ?, ?)`,
				string(p.proto), p.hostIP.String(), p.hostPort, p.containerPort, added.id)
		}
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("record endpoint: %w", err)
	}
	return nil
}
