package container

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
)

// Pause freezes a container's processes.
func (m *Module) Pause(ctx context.Context, name string) error {
	return m.freeze(ctx, name, verbPause, true, events.ActionPause)
}

// Unpause lets them go on.
func (m *Module) Unpause(ctx context.Context, name string) error {
	return m.freeze(ctx, name, verbUnpause, false, events.ActionUnPause)
}

func (m *Module) freeze(ctx context.Context, name string, v verb, pause bool, action events.Action) error {
	l, err := m.lookUpStarted(ctx, name)
	if err != nil {
		return err
	}
	if err := allow(v, l.record, l.now); err != nil {
		return err
	}
	client, err := m.client(ctx, l.ID)
	if err != nil {
		return err
	}
	if err := tooLate(l.ID, client.Pause(ctx, pause)); err != nil {
		return fmt.Errorf("cannot %s container %s: %w", v, l.ID, err)
	}
	return m.emit(l.record, action, nil)
}

// noNewName is docker's word.
const noNewName = "Error when allocating new name"

// Rename gives a container another name.
func (m *Module) Rename(ctx context.Context, name, newName string) error {
	if name == "" || newName == "" {
		return invalid("Neither old nor new names may be empty")
	}
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return err
	}
	if err := allow(verbRename, l.record, l.now); err != nil {
		return err
	}
	if strings.TrimPrefix(newName, "/") == l.Name {
		return invalid("Renaming a container with the same name as its current name")
	}
	clean, err := checkName("/" + strings.TrimPrefix(newName, "/"))
	if err != nil {
		return fmt.Errorf("%s: %w", noNewName, err)
	}
	res, err := m.db.ExecContext(ctx, `UPDATE OR IGNORE containers SET name = ? WHERE id = ? AND status <> 'removing'`, clean, l.ID)
	if err != nil {
		return fmt.Errorf("rename container %s: %w", l.Name, err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return fmt.Errorf("%s: %w", noNewName, m.nameTaken(ctx, clean))
	}
	if l.state != nil {
		if err := m.networks.Rename(ctx, l.ID, clean); err != nil {
			return err
		}
	}
	old := l.Name
	l.record.Name = clean
	if l.state != nil {
		if client, err := m.client(ctx, l.ID); err == nil { // else it has just ended
			if err := client.Rename(ctx, clean); err != nil && !errdefs.IsUnavailable(err) && !errdefs.IsInvalidArgument(err) { // a shim of an older nacre
				return fmt.Errorf("rename container %s: %w", old, err)
			}
		}
	}
	return m.emit(l.record, events.ActionRename, map[string]string{"oldName": "/" + old})
}

// Resize sets the size of a container's terminal.
func (m *Module) Resize(ctx context.Context, name string, rows, columns uint) error {
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return err
	}
	if err := allow(verbResize, l.record, l.now); err != nil {
		return err
	}
	client, err := m.client(ctx, l.ID)
	if err != nil {
		return err
	}
	if err := tooLate(l.ID, client.Resize(ctx, rows, columns)); err != nil {
		return fmt.Errorf("resize the terminal of container %s: %w", l.Name, err)
	}
	return m.emit(l.record, events.ActionResize, map[string]string{
		"height": fmt.Sprint(rows), "width": fmt.Sprint(columns),
	})
}
