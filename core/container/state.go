package container

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
)

// status is where a container is in its life. The words are docker's; the
// record keeps created, running (started, its end not yet seen), exited,
// removing and dead; paused and restarting only the shim knows.
type status = container.ContainerState

const (
	created    = container.StateCreated
	running    = container.StateRunning
	paused     = container.StatePaused
	restarting = container.StateRestarting
	removing   = container.StateRemoving
	exited     = container.StateExited
	dead       = container.StateDead
)

// verb is what one can ask of a container.
type verb string

const (
	verbStart   verb = "start"
	verbStop    verb = "stop"
	verbRestart verb = "restart"
	verbKill    verb = "kill"
	verbPause   verb = "pause"
	verbUnpause verb = "unpause"
	verbRemove  verb = "remove"
	verbAttach  verb = "attach"
	verbExec    verb = "exec"
	verbTop     verb = "top"
	verbResize  verb = "resize"
	verbRename  verb = "rename"
	verbUpdate  verb = "update"
)

// refusal says why a verb is not possible, in docker's words.
type refusal func(r *record) error

// conflict words a refusal of class errdefs.ErrConflict. In the text, %s is the id.
func conflict(format string) refusal {
	return func(r *record) error {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf(format, r.ID))
	}
}

// named is conflict with the name in its text.
func named(format string) refusal {
	return func(r *record) error {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf(format, r.Name))
	}
}

// pausedStart has no id in its text.
func pausedStart(*record) error {
	return errdefs.ErrConflict.WithMessage("cannot start a paused container, try unpause instead")
}

// nothingToDo is for a container that is already as asked; clients do not take it as a failure.
func nothingToDo(r *record) error {
	return errdefs.ErrNotModified.WithMessage("container " + r.ID + " is already as asked")
}

var (
	notRunning    = conflict("container %s is not running")
	isRestarting  = conflict("Container %s is restarting, wait until the container is running")
	beingRemoved  = conflict("container %s is marked for removal and cannot be changed")
	cannotChange  = conflict("container %s is marked for removal and cannot be \"update\"")
	cannotStart   = conflict("container %s is marked for removal and cannot be started")
	alreadyPaused = conflict("Container %s is already paused")
	notPaused     = conflict("Container %s is not paused")
	pausedExec    = named("Container %s is paused, unpause the container before exec")
	pausedAttach  = named("container %s is paused, unpause the container before attach")
)

// stillThere has no id in its text; whoever refuses says which name was typed.
func stillThere(text string) refusal {
	return func(*record) error { return errdefs.ErrConflict.WithMessage(text) }
}

var (
	stopFirst    = stillThere("container is running: stop the container before removing or force remove")
	settleFirst  = stillThere("container is restarting: stop the container before removing or force remove")
	unpauseFirst = stillThere("container is paused and must be unpaused first")
)

// life is the whole table: what each verb meets in each state. A missing
// entry is possible.
//
//	created ──start──▶ running ──end──▶ exited ──start──▶ running …
//	                    │  ▲  ╲policy
//	               pause▼  │   ▼
//	                  paused  restarting
//	created, exited ──remove──▶ removing ──▶ (gone)
var life = map[verb]map[status]refusal{
	verbStart:   {running: nothingToDo, restarting: nothingToDo, paused: pausedStart, removing: cannotStart, dead: cannotStart},
	verbStop:    {created: nothingToDo, exited: nothingToDo, removing: nothingToDo, dead: nothingToDo},
	verbRestart: {removing: cannotStart, dead: cannotStart},
	verbKill:    {created: notRunning, exited: notRunning, removing: notRunning, dead: notRunning},
	verbPause: {created: notRunning, exited: notRunning, removing: notRunning, dead: notRunning,
		paused: alreadyPaused, restarting: isRestarting},
	verbUnpause: {created: notPaused, exited: notPaused, removing: notPaused, dead: notPaused,
		running: notPaused, restarting: notPaused},
	verbRemove: {running: stopFirst, restarting: settleFirst, paused: unpauseFirst},
	verbAttach: {paused: pausedAttach, restarting: isRestarting, removing: beingRemoved, dead: beingRemoved},
	verbExec: {created: notRunning, exited: notRunning, removing: notRunning, dead: notRunning,
		paused: pausedExec, restarting: isRestarting},
	verbTop: {created: notRunning, exited: notRunning, removing: notRunning, dead: notRunning, restarting: isRestarting},
	verbResize: {created: notRunning, exited: notRunning, removing: notRunning, dead: notRunning,
		restarting: notRunning},
	verbRename: {removing: beingRemoved, dead: beingRemoved},
	verbUpdate: {removing: cannotChange, dead: cannotChange},
}

// allow fails with docker's words when the verb is not possible in the state.
func allow(v verb, r *record, now status) error {
	if refuse := life[v][now]; refuse != nil {
		return refuse(r)
	}
	return nil
}
