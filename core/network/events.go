package network

import (
	"fmt"

	"github.com/moby/moby/api/types/events"
)

// Events is told what happened to networks.
type Events interface {
	Append(...events.Message) error
}

// tell writes an event, with docker's attributes. container is empty where none is concerned.
func (n *Networks) tell(r netRecord, action events.Action, container string) error {
	if n.events == nil {
		return nil
	}
	attributes := map[string]string{"name": r.name, "type": r.driver}
	if container != "" {
		attributes["container"] = container
	}
	err := n.events.Append(events.Message{
		Type: events.NetworkEventType, Action: action, Scope: "local",
		Actor: events.Actor{ID: r.id, Attributes: attributes},
	})
	if err != nil {
		return fmt.Errorf("log the event %s of network %s: %w", action, r.name, err)
	}
	return nil
}
