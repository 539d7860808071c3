package network

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// NetworkRemove takes a network away. Errors: errdefs.ErrNotFound;
// errdefs.ErrPermissionDenied for a predefined network and for one that
// running containers are in.
func (n *Networks) NetworkRemove(ctx context.Context, name string) error {
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
	r, err := removable(nets, c, name)
	if err != nil {
		return err
	}
	return n.removeLocked(ctx, r, nets)
}

// removable finds a network that may go.
func removable(nets map[string]netRecord, c *census, name string) (netRecord, error) {
	r, err := findNetwork(nets, name)
	if err != nil {
		return r, err
	}
	if r.predefined() {
		return r, errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("%s is a pre-defined network and cannot be removed", r.name))
	}
	if err := checkConfigUsers(r, nets); err != nil {
		return r, err
	}
	if users := c.usersOf(r.name); len(users) > 0 {
		return r, errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("error while removing network: network %s has active endpoints (%s)", r.name, strings.Join(users, ", ")))
	}
	return r, nil
}

// PlanRemove says what removing these networks, one after the other, would do:
// a line for each that would go, as docker prints it. With force it is no
// failure that there is none of that name.
func (n *Networks) PlanRemove(ctx context.Context, names []string, force bool) (plan backend.RemovalPlan, err error) {
	unlock, err := n.lock()
	if err != nil {
		return plan, err
	}
	defer unlock()
	nets, err := n.networks(ctx)
	if err != nil {
		return plan, err
	}
	c, err := n.count(ctx)
	if err != nil {
		return plan, err
	}
	for _, name := range names {
		r, err := removable(nets, c, name)
		if err != nil {
			plan.Errors = append(plan.Errors, "Error response from daemon: "+err.Error())
			plan.Failed = plan.Failed || !force || !errdefs.IsNotFound(err)
			continue
		}
		delete(nets, r.name)
		plan.Lines = append(plan.Lines, name)
	}
	return plan, nil
}

// usersOf are the containers in a network, as docker names them.
func (c *census) usersOf(network string) (users []string) {
	for _, e := range c.alive {
		if e.network == network {
			users = append(users, fmt.Sprintf("name:%q id:%q", e.name, e.id[:12]))
		}
	}
	slices.Sort(users)
	return users
}

// count takes a census of everything.
func (n *Networks) count(ctx context.Context) (*census, error) {
	recorded, err := n.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	ifs, err := openIfaces()
	if err != nil {
		return nil, err
	}
	defer ifs.close()
	return takeCensus(recorded, ifs, "")
}

// removeLocked removes a network that nobody uses. The record goes last: after
// a crash the network is still there, and can be removed again or used.
func (n *Networks) removeLocked(ctx context.Context, r netRecord, nets map[string]netRecord) error {
	after := maps.Clone(nets)
	delete(after, r.name)
	if err := n.dismantle(ctx, r, nets, after); err != nil {
		return err
	}
	if err := n.forgetNetwork(ctx, r); err != nil {
		return err
	}
	return n.tell(r, events.ActionDestroy, "")
}

// NetworkPrune removes all networks that no running container is in, but for
// the predefined ones: filters until, label, label!.
func (n *Networks) NetworkPrune(ctx context.Context, filters filter.Args) (deleted []string, err error) {
	unlock, err := n.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	plan, nets, err := n.prunable(ctx, filters)
	if err != nil {
		return nil, err
	}
	for _, name := range plan {
		if err := n.removeLocked(ctx, nets[name], nets); err != nil {
			return deleted, err
		}
		delete(nets, name)
		deleted = append(deleted, name)
	}
	if n.events == nil {
		return deleted, nil
	}
	return deleted, n.events.Append(events.Message{Type: events.NetworkEventType, Action: events.ActionPrune, Scope: "local",
		Actor: events.Actor{Attributes: map[string]string{"reclaimed": "0"}}})
}

// prunable names what a prune takes, among all networks; the caller has the lock.
func (n *Networks) prunable(ctx context.Context, filters filter.Args) (names []string, nets map[string]netRecord, err error) {
	if err := filters.Validate("until", "label", "label!"); err != nil {
		return nil, nil, err
	}
	until, err := filters.Until(time.Now())
	if err != nil {
		return nil, nil, err
	}
	if nets, err = n.networks(ctx); err != nil {
		return nil, nil, err
	}
	c, err := n.count(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(nets)) {
		r := nets[name]
		if !r.predefined() && !r.config.ConfigOnly && len(c.usersOf(name)) == 0 && filters.Labels(r.config.Labels) && (until.IsZero() || r.created.Before(until)) {
			names = append(names, name)
		}
	}
	return names, nets, nil
}

// PlanPrune says which networks NetworkPrune would remove.
func (n *Networks) PlanPrune(ctx context.Context, filters filter.Args) (backend.RemovalPlan, error) {
	unlock, err := n.lock()
	if err != nil {
		return backend.RemovalPlan{}, err
	}
	defer unlock()
	names, _, err := n.prunable(ctx, filters)
	return backend.RemovalPlan{Lines: names}, err
}
