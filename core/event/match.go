package event

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/filter"
)

// named are the filters whose value is the id or the name of the object the
// event is about, or the beginning of one. `image` has rules of its own.
var named = []events.Type{
	events.ContainerEventType, events.NetworkEventType, events.VolumeEventType, events.PluginEventType,
	events.DaemonEventType, events.NodeEventType, events.ServiceEventType, events.SecretEventType, events.ConfigEventType,
}

// Match says whether an event passes the filters of `docker events --filter`:
// container, image, event, type, label, network, volume, daemon, scope and
// swarm's. A key that docker does not know filters nothing, as in docker.
func Match(m events.Message, args filter.Args) bool {
	return args.Exact("type", string(m.Type)) &&
		args.Exact("scope", m.Scope) &&
		matchAction(m, args) &&
		matchImage(m, args) &&
		args.Labels(m.Actor.Attributes) &&
		!slices.ContainsFunc(named, func(t events.Type) bool { return !matchNamed(m, t, args) })
}

// matchAction compares whole actions; those that carry a text after a colon
// ("exec_start: sh", "health_status: healthy") are found by their first word.
func matchAction(m events.Message, args filter.Args) bool {
	return args.Any("event", func(want string) bool {
		switch events.Action(want) {
		case events.ActionHealthStatus, events.ActionExecCreate, events.ActionExecStart:
			return strings.HasPrefix(string(m.Action), want)
		}
		return string(m.Action) == want
	})
}

func matchNamed(m events.Message, t events.Type, args filter.Args) bool {
	if args.Has(string(t)) && m.Type != t {
		return false
	}
	return args.Any(string(t), func(want string) bool {
		return strings.HasPrefix(m.Actor.ID, want) || strings.HasPrefix(m.Actor.Attributes["name"], want)
	})
}

// matchImage finds events of an image and events of containers made of it, by
// id or by name, with or without the tag.
func matchImage(m events.Message, args filter.Args) bool {
	name := m.Actor.Attributes["image"]
	if m.Type == events.ImageEventType {
		name = m.Actor.Attributes["name"]
	}
	return args.Any("image", func(want string) bool {
		return slices.Contains([]string{m.Actor.ID, name, withoutTag(m.Actor.ID), withoutTag(name)}, want)
	})
}

func withoutTag(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if colon := strings.LastIndexByte(ref, ':'); colon > strings.LastIndexByte(ref, '/') {
		return ref[:colon]
	}
	return ref
}
