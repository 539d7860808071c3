package network

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"

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
`, `
ALTER TABLE networks ADD COLUMN config TEXT NOT NULL DEFAULT '{}'; -- JSON: netConfig
CREATE TABLE endpoints2 (
	id        TEXT PRIMARY KEY,
	network   TEXT NOT NULL REFERENCES networks (name),
	container TEXT NOT NULL,
	name      TEXT NOT NULL,
	address   TEXT,             -- NULL: none of this family
	address6  TEXT,
	mac       TEXT NOT NULL,
	veth      TEXT NOT NULL,    -- name of the host's end; gone: the endpoint is dead. Empty: no such end, sandbox tells
	sandbox   TEXT NOT NULL DEFAULT '', -- inode of the network namespace, for endpoints without veth
	ifname    TEXT NOT NULL DEFAULT 'eth0', -- in the container
	extra     TEXT NOT NULL DEFAULT '{}',   -- JSON: endpointExtra
	released  INTEGER NOT NULL, -- 1: its container has ended, the ports are free already
	UNIQUE (network, address),
	UNIQUE (network, address6)
) WITHOUT ROWID;
INSERT INTO endpoints2 (id, network, container, name, address, mac, veth, released) SELECT id, network, container, name, address, mac, veth, released FROM endpoints;
CREATE TABLE ports2 (
	proto          TEXT NOT NULL,
	host_ip        TEXT NOT NULL,
	host_port      INTEGER NOT NULL,
	container_port INTEGER NOT NULL,
	endpoint       TEXT NOT NULL REFERENCES endpoints2 (id) ON DELETE CASCADE,
	PRIMARY KEY (proto, host_ip, host_port)
) WITHOUT ROWID;
INSERT INTO ports2 SELECT * FROM ports;
DROP TABLE ports;
DROP TABLE endpoints;
ALTER TABLE endpoints2 RENAME TO endpoints;
ALTER TABLE ports2 RENAME TO ports;
CREATE INDEX ports_endpoint ON ports (endpoint);
CREATE INDEX endpoints_container ON endpoints (container);
`}}

// endpoint is one container's place in a network.
type endpoint struct {
	id, network       string
	container, name   string
	address, address6 netip.Addr // zero: none of that family
	mac               net.HardwareAddr
	veth              string // of bridge networks
	sandbox           string // of networks whose interface lives in the container only
	ifname            string // in the container
	extra             endpointExtra
	released          bool
	ports             []publication
	binding           netip.Addr // where its ports are published when nobody says; zero: everywhere
}

// endpointExtra is what others need to know of an endpoint, and the kernel does not.
type endpointExtra struct {
	Names    []string          `json:",omitempty"` // by which others in the network know the container, the first for PTR
	Links    map[string]string `json:",omitempty"` // alias, known to this container only → container's name
	Priority int               `json:",omitempty"` // of its gateway among the container's
	Default4 bool              `json:",omitempty"` // gives the container its default route
	Default6 bool              `json:",omitempty"`
}

// addressFor returns the endpoint's address of the other one's family.
func (e *endpoint) addressFor(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return e.address
	}
	return e.address6
}

// publication is one port of the host that leads to a port of a container.
type publication struct {
	proto         network.IPProtocol
	hostIP        netip.Addr
	hostPort      uint16
	containerPort uint16
	target        netip.Addr
}

const endpointColumns = `e.id, e.network, e.container, e.name, e.address, e.address6, e.mac, e.veth, e.sandbox, e.ifname, e.extra, e.released`

// endpoints returns the recorded endpoints of all networks, dead ones too.
func (n *Networks) endpoints(ctx context.Context) ([]endpoint, error) {
	rows, err := n.store.DB.QueryContext(ctx, `SELECT `+endpointColumns+`, p.proto, p.host_ip, p.host_port, p.container_port
		FROM endpoints e LEFT JOIN ports p ON p.endpoint = e.id ORDER BY e.id, p.proto, p.container_port, p.host_ip, p.host_port`)
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	defer rows.Close()
	var all []endpoint
	for rows.Next() {
		var raw endpointRow
		if err := rows.Scan(raw.into()...); err != nil {
			return nil, fmt.Errorf("read endpoints: %w", err)
		}
		if len(all) == 0 || all[len(all)-1].id != raw.id {
			e, err := raw.endpoint()
			if err != nil {
				return nil, fmt.Errorf("read endpoint of container %s: %w", raw.container, err)
			}
			all = append(all, e)
		}
		if err := raw.addPort(&all[len(all)-1]); err != nil {
			return nil, fmt.Errorf("read ports of container %s: %w", raw.container, err)
		}
	}
	return all, rows.Err()
}

// endpointRow is a row of endpoints with one of its ports, or none.
type endpointRow struct {
	endpoint4
	proto, hostIP           sql.NullString
	hostPort, containerPort sql.Null[uint16]
}

// endpoint4 are the endpoint's own columns as text.
type endpoint4 struct {
	id, network, container, name string
	address, address6            sql.NullString
	mac, veth, sandbox, ifname   string
	extra                        string
	released                     bool
}

func (r *endpointRow) into() []any {
	return []any{&r.id, &r.network, &r.container, &r.name, &r.address, &r.address6, &r.mac, &r.veth, &r.sandbox, &r.ifname, &r.extra,
		&r.released, &r.proto, &r.hostIP, &r.hostPort, &r.containerPort}
}

func (r *endpointRow) endpoint() (e endpoint, err error) {
	e = endpoint{id: r.id, network: r.network, container: r.container, name: r.name, veth: r.veth, sandbox: r.sandbox, ifname: r.ifname, released: r.released}
	for _, a := range []struct {
		raw  sql.NullString
		into *netip.Addr
	}{{r.address, &e.address}, {r.address6, &e.address6}} {
		if !a.raw.Valid {
			continue
		}
		if *a.into, err = netip.ParseAddr(a.raw.String); err != nil {
			return e, err
		}
	}
	if r.mac != "" {
		if e.mac, err = net.ParseMAC(r.mac); err != nil {
			return e, err
		}
	}
	return e, json.Unmarshal([]byte(r.extra), &e.extra)
}

func (r *endpointRow) addPort(owner *endpoint) error {
	if !r.proto.Valid {
		return nil
	}
	ip, err := netip.ParseAddr(r.hostIP.String)
	if err != nil {
		return err
	}
	owner.ports = append(owner.ports, publication{
		proto: network.IPProtocol(r.proto.String), hostIP: ip, hostPort: r.hostPort.V, containerPort: r.containerPort.V, target: owner.addressFor(ip),
	})
	return nil
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

// Connected returns the ids of all containers that hold endpoints: only to these Disconnect does anything.
func (n *Networks) Connected(ctx context.Context) (map[string]bool, error) {
	rows, err := n.store.DB.QueryContext(ctx, `SELECT container FROM endpoints WHERE released = 0`)
	if err != nil {
		return nil, fmt.Errorf("read the endpoints of all containers: %w", err)
	}
	defer rows.Close()
	ids := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read the endpoints of all containers: %w", err)
		}
		ids[id] = true
	}
	return ids, rows.Err()
}

// change is what one step does to the records, in one transaction.
type change struct {
	dead     []endpoint  // removed
	released []endpoint  // their ports are freed
	added    []*endpoint //
	changed  []*endpoint // what they have got: ports, names, default routes
}

func (n *Networks) record(ctx context.Context, c change) error {
	tx, err := n.store.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("record endpoints: %w", err)
	}
	defer tx.Rollback()
	exec := func(query string, args ...any) {
		if err == nil {
			_, err = tx.ExecContext(ctx, query, args...)
		}
	}
	for _, e := range c.dead {
		exec(`DELETE FROM endpoints WHERE id = ?`, e.id)
	}
	for _, e := range c.released {
		if e.released && len(e.ports) == 0 {
			continue // recorded before
		}
		exec(`UPDATE endpoints SET released = 1 WHERE id = ?`, e.id)
		exec(`DELETE FROM ports WHERE endpoint = ?`, e.id)
	}
	for _, e := range c.changed {
		exec(`DELETE FROM ports WHERE endpoint = ?`, e.id)
		exec(`UPDATE endpoints SET name = ?, extra = ? WHERE id = ?`, e.name, extraColumn(e), e.id)
	}
	for _, e := range c.added {
		exec(`INSERT INTO endpoints (id, network, container, name, address, address6, mac, veth, sandbox, ifname, extra, released)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			e.id, e.network, e.container, e.name, addressColumn(e.address), addressColumn(e.address6), e.mac.String(), e.veth, e.sandbox, e.ifname, extraColumn(e))
	}
	for _, e := range slices.Concat(c.added, c.changed) {
		for _, p := range e.ports {
			exec(`INSERT INTO ports (proto, host_ip, host_port, container_port, endpoint) VALUES (?, ?, ?, ?, ?)`,
				string(p.proto), p.hostIP.String(), p.hostPort, p.containerPort, e.id)
		}
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("record endpoints: %w", err)
	}
	return nil
}

func addressColumn(a netip.Addr) sql.NullString {
	return sql.NullString{String: a.String(), Valid: a.IsValid()}
}

func extraColumn(e *endpoint) string {
	raw, _ := json.Marshal(e.extra) // strings and numbers cannot fail
	return string(raw)
}
