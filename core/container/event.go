package container

import (
	"fmt"
	"maps"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
)

// emit tells the event log what happened to a container, with docker's
// attributes: the labels, image and name, and what the action adds.
func (m *Module) emit(r *record, action events.Action, extra map[string]string) error {
	if err := m.events.Append(message(r, action, extra)); err != nil {
		return fmt.Errorf("log the event %s of container %s: %w", action, r.Name, err)
	}
	return nil
}

// emitDestroy tells which containers have been removed.
func (m *Module) emitDestroy(list []*leaving) error {
	var messages []events.Message
	for _, l := range list {
		if l.marked {
			messages = append(messages, message(l.record, events.ActionDestroy, nil))
		}
	}
	if err := m.events.Append(messages...); err != nil {
		return fmt.Errorf("log the removal of containers: %w", err)
	}
	return nil
}

func message(r *record, action events.Action, extra map[string]string) events.Message {
	attributes := maps.Clone(r.Config.Labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["image"] = r.Image
	attributes["name"] = r.Name
	maps.Copy(attributes, extra)
	now := time.Now()
	return events.Message{
		Type: events.ContainerEventType, Action: action, Scope: "local",
		Actor: events.Actor{ID: r.ID, Attributes: attributes}, Time: now.Unix(), TimeNano: now.UnixNano(),
	}
}

// emitMounts tells that a container begins or ends to use its volumes.
func (m *Module) emitMounts(r *record, action events.Action) error {
	for _, p := range r.Mounts {
		if p.Type != mount.TypeVolume {
			continue
		}
		attributes := map[string]string{"driver": p.Driver, "container": r.ID}
		if action == events.ActionMount {
			attributes["destination"], attributes["propagation"] = p.Destination, string(p.Propagation)
			attributes["read/write"] = fmt.Sprint(p.RW)
		}
		err := m.events.Append(events.Message{Type: events.VolumeEventType, Action: action, Actor: events.Actor{ID: p.Name, Attributes: attributes}})
		if err != nil {
			return fmt.Errorf("log the event %s of volume %s: %w", action, p.Name, err)
		}
	}
	return nil
}
