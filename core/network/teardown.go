package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// Teardown removes the bridge and the packet rules. It fails with
// errdefs.ErrConflict while a container uses them; the next Connect builds
// them again.
func (n *Networks) Teardown(ctx context.Context) error {
	unlock, err := n.lock()
	if err != nil {
		return err
	}
	defer unlock()
	ifs, err := openIfaces()
	if err != nil {
		return err
	}
	defer ifs.close()
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return err
	}
	c, err := takeCensus(recorded, ifs, "")
	if err != nil {
		return err
	}
	if len(c.alive) > 0 {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("cannot remove bridge %s: container %s (%.12s) uses it", n.bridge, c.alive[0].name, c.alive[0].container))
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink for packet rules: %w", err)
	}
	table := newRuleset(n.table, n.bridge, loopback).table
	conn.AddTable(table) // so that the deletion cannot fail
	conn.DelTable(table)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove the packet rules of table %s: %w", n.table, err)
	}
	link, err := netlink.LinkByName(n.bridge)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
		return fmt.Errorf("remove bridge %s: %w", n.bridge, err)
	}
	return n.recordEndpoint(ctx, c.dead, c.released, nil)
}
