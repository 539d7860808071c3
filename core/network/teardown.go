package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
)

// Teardown removes all networks that users have made, and of the default one
// the bridge and the packet rules, which the next Connect builds again. It
// fails with errdefs.ErrConflict while a container is in a network.
func (n *Networks) Teardown(ctx context.Context) error {
	unlock, err := n.lock()
	if err != nil {
		return err
	}
	defer unlock()
	nets, err := n.networks(ctx)
	if err != nil {
		return err
	}
	c, err := n.count(ctx)
	if err != nil {
		return err
	}
	if len(c.alive) > 0 {
		e := c.alive[0]
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("cannot remove network %s: container %s (%.12s) uses it", e.network, e.name, e.container))
	}
	if err := n.stopResolver(ctx); err != nil {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink for packet rules: %w", err)
	}
	errs := []error{newRuleset(n.table, true, nil).remove(conn), newRuleset(n.table, false, nil).remove(conn)}
	for _, r := range nets {
		switch {
		case r.isDefault():
			errs = append(errs, deleteLink(n.interfaceOf(r)))
		case r.predefined():
		case r.isBridge():
			errs = append(errs, deleteLink(n.interfaceOf(r)), n.forgetNetwork(ctx, r))
		default:
			errs = append(errs, n.removeParent(r, nil), n.forgetNetwork(ctx, r))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return n.record(ctx, change{dead: c.dead, released: c.released})
}
