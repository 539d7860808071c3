package container

import (
	"context"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

// A link makes one container (the child) known to another (the parent) under
// an alias. On the default network it is a line in the parent's hosts file and
// some variables (linkenv.go), and the child gets one more name, /parent/alias.

// findLinks looks up the containers of --link, which must run for a start;
// later, those that do not are left out. In networks of users links are names
// for the resolver.
func (m *Module) findLinks(ctx context.Context, r *record, req *backend.EndpointRequest, start bool) error {
	if r.HostConfig.NetworkMode.IsUserDefined() {
		return nil
	}
	for _, link := range r.HostConfig.Links {
		name, alias := splitLink(link)
		other, err := m.lookUp(ctx, name)
		if errdefs.IsNotFound(err) {
			continue // the link has gone with it
		}
		if err != nil {
			return err
		}
		if other.state == nil && start {
			return invalid("Cannot link to a non running container: /%s AS /%s/%s", other.Name, r.Name, alias)
		}
		if other.state == nil {
			continue
		}
		req.Links = append(req.Links, backend.Link{Alias: alias, ContainerID: other.ID, Name: other.Name, Hostname: other.Config.Hostname})
	}
	return nil
}

// pinLinks refuses links to what is not there, and names the others by their
// ids: a link goes on when its container gets another name.
func (m *Module) pinLinks(ctx context.Context, hc *container.HostConfig) error {
	if hc.NetworkMode.IsUserDefined() {
		return nil
	}
	pinned := make([]string, len(hc.Links))
	for i, link := range hc.Links {
		name, alias := splitLink(link)
		child, err := m.find(ctx, name)
		if errdefs.IsNotFound(err) {
			return invalid("could not get container for %s: %v", name, err)
		}
		if err != nil {
			return err
		}
		pinned[i] = child.ID + ":" + alias
	}
	if len(pinned) > 0 {
		hc.Links = pinned
	}
	return nil
}

func splitLink(link string) (name, alias string) {
	name, alias, found := strings.Cut(link, ":")
	if !found {
		alias = name
	}
	return name, alias[strings.LastIndex(alias, "/")+1:]
}

// findLinked finds a container by the name that a link gives it, parent/alias.
func (m *Module) findLinked(ctx context.Context, linkName string) (*record, error) {
	_, link, err := m.linkNamed(ctx, linkName)
	if err != nil {
		return nil, err
	}
	name, _ := splitLink(link)
	return m.find(ctx, name)
}

// linkNamed gives a link and its parent. Names of containers have no slash, so
// that this ends.
func (m *Module) linkNamed(ctx context.Context, linkName string) (parent *record, link string, err error) {
	parentName, alias, _ := strings.Cut(strings.TrimPrefix(linkName, "/"), "/")
	if strings.Contains(alias, "/") {
		return nil, "", noSuchContainer(linkName)
	}
	if parent, err = m.find(ctx, parentName); err != nil {
		if errdefs.IsNotFound(err) {
			err = noSuchContainer(linkName)
		}
		return nil, "", err
	}
	i := indexLink(parent.HostConfig, alias)
	if i < 0 {
		return nil, "", noSuchContainer(linkName)
	}
	return parent, parent.HostConfig.Links[i], nil
}

// indexLink is where an alias stands among the links; -1 where it does not.
func indexLink(hc *container.HostConfig, alias string) int {
	if hc.NetworkMode.IsUserDefined() {
		return -1
	}
	return slices.IndexFunc(hc.Links, func(link string) bool {
		_, has := splitLink(link)
		return has == alias
	})
}

// removeLink takes a link away, and not the container: from the hosts file of
// its parent at once, from the variables with the next start.
func (m *Module) removeLink(ctx context.Context, name string) error {
	if !strings.Contains(strings.TrimPrefix(name, "/"), "/") {
		if _, err := m.find(ctx, name); err != nil {
			return err
		}
		return errdefs.ErrInternal.WithMessage("Conflict, cannot remove the default link name of the container") // docker's class, too
	}
	parent, _, err := m.linkNamed(ctx, name)
	if err != nil {
		return err
	}
	alias := name[strings.LastIndex(name, "/")+1:]
	return m.changeNetworks(ctx, parent.ID, func(l live) error {
		i := indexLink(l.HostConfig, alias)
		if i < 0 { // another was quicker
			return noSuchContainer(name)
		}
		hc := *l.HostConfig
		if hc.Links = slices.Delete(slices.Clone(hc.Links), i, i+1); len(hc.Links) == 0 {
			hc.Links = nil // as with a container that never had one
		}
		l.record.HostConfig = &hc
		if err := m.saveSpec(ctx, l.record); err != nil || l.state == nil || l.state.Pid == 0 {
			return err
		}
		return m.changeRunning(l, func(req backend.EndpointRequest) (backend.Endpoints, error) {
			return m.networks.Refresh(ctx, req)
		})
	})
}

// shownLinks is the host configuration as inspect shows it: links by their
// full names. In networks of users they belong to the endpoint.
func (m *Module) shownLinks(ctx context.Context, r *record) *container.HostConfig {
	if len(r.HostConfig.Links) == 0 {
		return r.HostConfig
	}
	hc := *r.HostConfig
	hc.Links = nil
	if hc.NetworkMode.IsUserDefined() {
		return &hc
	}
	for _, link := range r.HostConfig.Links {
		name, alias := splitLink(link)
		if child, err := m.find(ctx, name); err == nil { // one that was removed is no link any more
			hc.Links = append(hc.Links, "/"+child.Name+":/"+r.Name+"/"+alias)
		}
	}
	return &hc
}
