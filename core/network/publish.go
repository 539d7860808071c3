package network

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/nftables"
)

// settling is how long the kernel needs to free what a rule change has removed.
const settling = 100 * time.Millisecond

// ruleNets are the bridge networks as the rules see them, once per family.
func (n *Networks) ruleNets(nets map[string]netRecord) []ruleNet {
	var list []ruleNet
	for _, r := range nets {
		if !r.isBridge() {
			continue
		}
		for _, p := range r.config.Pools {
			list = append(list, ruleNet{bridge: n.interfaceOf(r), subnet: p.Subnet, internal: r.config.Internal, masquerade: r.masquerades()})
		}
	}
	return list
}

// rulesets are the tables that the networks need: of IPv6 only where there is any.
func (n *Networks) rulesets(nets map[string]netRecord) []*ruleset {
	list := n.ruleNets(nets)
	sets := []*ruleset{newRuleset(n.table, true, list)}
	if six := newRuleset(n.table, false, list); len(six.nets) > 0 {
		sets = append(sets, six)
	}
	return sets
}

// publish makes the packet rules say what the records are about to say:
// usually one element more, or nothing to do. others are ports that stay; they may hold the added ones.
func (n *Networks) publish(nets map[string]netRecord, withdrawn, added, others []publication) error {
	return n.withRules(func(conn *nftables.Conn) error {
		for _, rules := range n.rulesets(nets) {
			if err := rules.change(conn, withdrawn, added, others); err != nil {
				return err
			}
		}
		return nil
	})
}

// change takes ports back and publishes others, and mends rules that are not
// what they should be.
func (r *ruleset) change(conn *nftables.Conn, withdrawn, added, others []publication) error {
	state, err := r.look(conn)
	if err != nil {
		return err
	}
	if state.intact && len(withdrawn) == 0 && len(added) == 0 {
		return nil
	}
	if state.intact && r.update(conn, withdrawn, added) == nil {
		return nil
	}
	others = slices.DeleteFunc(slices.Clone(others), func(p publication) bool { return slices.Contains(added, p) })
	return r.rebuild(conn, slices.Concat(others, added))
}

// withRules works on this engine's packet rules.
func (n *Networks) withRules(work func(*nftables.Conn) error) error {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return fmt.Errorf("open netlink for packet rules: %w", err)
	}
	// Right after a removal, to close the socket takes some 10 ms, with the
	// kernel's lock on all rules held; a little later it costs nothing. The time
	// runs from the end of the work, which a slow machine may need seconds for.
	defer time.AfterFunc(settling, func() { conn.CloseLasting() })
	return work(conn)
}

// withdraw removes ports from the packet rules, if there are any rules.
// others are the ports that stay.
func (n *Networks) withdraw(ctx context.Context, withdrawn, others []publication) error {
	if len(withdrawn) == 0 {
		return nil
	}
	nets, err := n.networks(ctx)
	if err != nil {
		return err
	}
	return n.withRules(func(conn *nftables.Conn) error {
		for _, rules := range n.rulesets(nets) {
			state, err := rules.look(conn)
			if err != nil {
				return err
			}
			if !state.intact || rules.update(conn, withdrawn, nil) == nil {
				continue // rules that are not intact are built anew by the next Connect
			}
			if err := rules.rebuild(conn, others); err != nil {
				return err
			}
		}
		return nil
	})
}

// follow brings the rules from one state of the networks to the next.
func (n *Networks) follow(before, after map[string]netRecord, published []publication) error {
	return n.withRules(func(conn *nftables.Conn) error {
		next := n.rulesets(after)
		for i, old := range n.rulesets(before) {
			if i >= len(next) { // the last network with IPv6 has gone
				if err := old.remove(conn); err != nil {
					return err
				}
				continue
			}
			state, err := old.look(conn)
			if err != nil {
				return err
			}
			if state.intact && old.become(conn, next[i], state.first) == nil {
				continue
			}
			if err := next[i].rebuild(conn, published); err != nil {
				return err
			}
		}
		for _, rules := range next[min(len(next), len(n.rulesets(before))):] {
			if err := rules.rebuild(conn, published); err != nil {
				return err
			}
		}
		return nil
	})
}
