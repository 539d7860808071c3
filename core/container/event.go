package container

import (
	"fmt"
	"maps"
	"time"

	"github.com/moby/moby/api/types/events"
)

// emit tells the event log what happened to a container, with docker's
// attributes: the labels, image and name, and what the action adds.
func (m *Module) emit(r *record, action events.Action, extra map[string]string) error {
	attributes := maps.Clone(r.Config.Labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["image"] = r.Image
	attributes["name"] = r.Name
	maps.Copy(attributes, extra)
	now := time.Now()
	err := m.events.Append(events.Message{
		Type: events.ContainerEventType, Action: action, Scope: "local",
		Actor: events.Actor{ID: r.ID, Attributes: attributes}, Time: now.Unix(), TimeNano: now.UnixNano(),
	})
	if err != nil {
		return fmt.Errorf("log the event %s of container %s: %w", action, r.Name, err)
	}
	return nil
}
