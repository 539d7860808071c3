package network

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/moby/moby/api/types/network"
)

// publish makes the packet rules say what the records are about to say:
// usually one element more, or nothing to do.
func (n *Networks) publish(subnet netip.Prefix, c *census, ep *endpoint) error {
	return n.withRules(subnet, func(rules *ruleset, conn *nftables.Conn) error {
		intact, err := rules.intact(conn)
		if err != nil {
			return err
		}
		withdrawn := c.withdrawn()
		if intact && len(withdrawn) == 0 && len(ep.ports) == 0 {
			return nil
		}
		if intact && rules.update(conn, withdrawn, ep.ports) == nil {
			return nil
		}
		return rules.rebuild(conn, slices.Concat(c.published(), ep.ports))
	})
}

// settling is how long the kernel needs to free what a rule change has removed.
const settling = 100 * time.Millisecond

// withRules works on this engine's packet rules.
func (n *Networks) withRules(subnet netip.Prefix, work func(*ruleset, *nftables.Conn) error) error {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return fmt.Errorf("open netlink for packet rules: %w", err)
	}
	// Right after a removal, to close the socket takes some 10 ms, with the
	// kernel's lock on all rules held; a little later it costs nothing.
	time.AfterFunc(settling, func() { conn.CloseLasting() })
	return work(newRuleset(n.table, n.bridge, subnet), conn)
}

// withdraw removes the ports of ended containers from the packet rules, if there are any rules.
func (n *Networks) withdraw(ctx context.Context, c *census) error {
	if len(c.withdrawn()) == 0 {
		return nil
	}
	nets, err := n.networks(ctx)
	if err != nil {
		return err
	}
	return n.withRules(nets[network.NetworkBridge].subnet, func(rules *ruleset, conn *nftables.Conn) error {
		intact, err := rules.intact(conn)
		if err != nil || !intact {
			return err // the next Connect builds them anew
		}
		if rules.update(conn, c.withdrawn(), nil) == nil {
			return nil
		}
		return rules.rebuild(conn, c.published())
	})
}
