package complete

import (
	"context"
	"net/url"
	"slices"
	"strings"
)

// This file previews what prune commands and the removal of volumes and
// networks will hit.

// named is `volume rm` and `network rm`.
func (p *preview) named(ctx context.Context, k kind, what string) string {
	p.e.need(ctx, k)
	known := map[string]string{}
	for _, n := range p.e.namedList(k) {
		known[n.Name] = n.Name
		if k == networks {
			known[n.ID] = n.Name
			known[n.ID[:min(shortID, len(n.ID))]] = n.Name
		}
	}
	unused, told := p.e.unused(ctx, k)
	var names []string
	inUse, missing := 0, 0
	for _, a := range p.parts {
		name, there := known[a.text]
		switch {
		case a.flag || slices.Contains(names, name):
		case !there:
			missing++
		default:
			names = append(names, name)
			if told && !slices.ContainsFunc(unused, func(n unusedOne) bool { return n.Name == name }) {
				inUse++
			}
		}
	}
	if len(names) == 0 {
		return nothing(missing)
	}
	refused := some(inUse, "in use (refused)")
	if k == networks && inUse > 0 {
		refused = some(inUse, "in use or built in (refused)")
	}
	return join(counted(len(names), what), refused, some(missing, "not there")) + listing(names)
}

// unusedOne is a volume or network that nothing uses.
type unusedOne struct {
	Name   string
	Labels map[string]string
}

// anonymous is docker's label of a volume that nobody has named.
const anonymous = "com.docker.volume.anonymous"

// unused lists the volumes or networks that nothing uses and that are not built
// in; told is false where the engine does not say.
func (e *engine) unused(ctx context.Context, k kind) (list []unusedOne, told bool) {
	ctx, cancel := context.WithTimeout(ctx, insideTime)
	defer cancel()
	if k == volumes {
		var answer struct{ Volumes []unusedOne }
		err := e.get(ctx, "/volumes", url.Values{"filters": {`{"dangling":["true"]}`}}, &answer)
		return answer.Volumes, err == nil
	}
	err := e.get(ctx, "/networks", url.Values{"filters": {`{"dangling":["true"],"type":["custom"]}`}}, &list)
	return list, err == nil
}

// prune says what can be counted before: what does not run, and what nothing uses.
func (p *preview) prune(ctx context.Context, path string) string {
	all := given(p.parts, "-a", "--all")
	switch path {
	case "volume prune":
		return p.unusedNames(ctx, volumes, "unused volume", !all)
	case "network prune":
		return p.unusedNames(ctx, networks, "unused network", false)
	}
	p.e.need(ctx, containers)
	p.e.need(ctx, images)
	var gone []string
	used := map[string]bool{}
	for _, c := range p.e.containerList() {
		if stopped.fits(c.State) || c.State == "dead" {
			gone = append(gone, strings.TrimPrefix(slices.Concat(c.Names, []string{c.ID})[0], "/"))
		}
		if path != "system prune" || !stopped.fits(c.State) { // those go first, and use nothing then
			used[c.ImageID] = true
		}
	}
	n, size := 0, int64(0)
	for _, i := range p.e.imageList() {
		if named := len(i.RepoTags) > 0 && i.RepoTags[0] != nameless; !used[i.ID] && (all || !named) {
			n++
			size += i.Size
		}
	}
	switch path {
	case "container prune":
		return counted(len(gone), "stopped container") + listing(gone)
	case "image prune":
		return join(counted(n, "unused image"), sizeText(size, n))
	case "system prune":
		return join(counted(len(gone), "stopped container"), counted(n, "unused image"), sizeText(size, n), p.unusedNetworks(ctx), p.volumesToo())
	case "system reset":
		return join("everything: "+counted(len(p.e.containerList()), "container"), counted(len(p.e.imageList()), "image"), "volumes and networks")
	}
	return ""
}

func (p *preview) unusedNetworks(ctx context.Context) string {
	list, told := p.e.unused(ctx, networks)
	if !told {
		return "unused networks"
	}
	return counted(len(list), "unused network")
}

func (p *preview) volumesToo() string {
	if given(p.parts, "--volumes") {
		return "nameless volumes"
	}
	return ""
}

// unusedNames counts and names what nothing uses; of volumes only the anonymous
// ones, where no more is asked for.
func (p *preview) unusedNames(ctx context.Context, k kind, what string, nobodys bool) string {
	list, told := p.e.unused(ctx, k)
	if !told {
		return ""
	}
	var names []string
	for _, n := range list {
		if _, anon := n.Labels[anonymous]; anon || !nobodys {
			name := n.Name
			if anon {
				name = name[:min(shortID, len(name))]
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return counted(len(names), what) + listing(names)
}
