package scripting

import (
	"context"

	"github.com/moby/moby/client"
	lua "github.com/yuin/gopher-lua"
	"golang.org/x/sync/errgroup"

	"github.com/nacre-sh/nacre/plugins"
)

// defaultParallel is how many things happen at the same time unless told.
const defaultParallel = 8

// inParallel calls do for 0…n-1, at most limit at the same time, in goroutines
// that must not touch the machine.
func inParallel(ctx context.Context, n, limit int, do func(ctx context.Context, i int)) error {
	if limit < 1 {
		return invalid("want a limit of at least 1, got %d", limit)
	}
	var g errgroup.Group
	g.SetLimit(limit)
	for i := range n {
		g.Go(func() error {
			if ctx.Err() == nil {
				do(ctx, i)
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *State) parallel(L *lua.LState) (int, error) {
	commands := L.CheckTable(1)
	o := optionsAt(L, 2)
	limit := o.number("limit", defaultParallel)
	if err := o.done(); err != nil {
		return 0, err
	}
	if s.inv.Shell == nil {
		return 0, errNotWhileLoading
	}
	type job struct {
		inv  *plugins.Invocation
		r    *result
		done func()
	}
	var jobs []job
	for i := 1; i <= commands.Len(); i++ {
		args, err := stringsOf(commands.RawGetInt(i))
		if err != nil {
			return 0, err
		}
		if len(args) == 0 {
			return 0, invalid("nacre.parallel: command %d is empty", i)
		}
		if _, ok := s.inv.Shell.Registry().Lookup(args[0]); !ok {
			return 0, s.unknownCommand(args[0])
		}
		inv, r, done := s.invocation(args, execOptions{})
		jobs = append(jobs, job{inv, r, done})
	}
	shell := s.inv.Shell
	err := inParallel(s.ctx, len(jobs), limit, func(ctx context.Context, i int) {
		jobs[i].r.status = shell.Exec(ctx, jobs[i].inv)
	})
	if err == nil {
		err = s.interrupted()
	}
	if err != nil {
		return 0, err
	}
	list := L.CreateTable(len(jobs), 0)
	for _, j := range jobs {
		j.done()
		list.Append(s.resultTable(L, j.r))
	}
	L.Push(list)
	return 1, nil
}

// removal is one object to remove, and what became of it.
type removal struct {
	kind, id string
	err      error
}

func (s *State) removeAll(L *lua.LState) (int, error) {
	o := optionsAt(L, 2)
	force, volumes, limit := o.boolean("force"), o.boolean("volumes"), o.number("parallel", defaultParallel)
	if err := o.done(); err != nil {
		return 0, err
	}
	list, err := s.removals(L.CheckTable(1))
	if err != nil {
		return 0, err
	}
	c, err := s.engine()
	if err != nil {
		return 0, err
	}
	err = inParallel(s.ctx, len(list), limit, func(ctx context.Context, i int) {
		if list[i].kind == typeImage {
			_, list[i].err = c.ImageRemove(ctx, list[i].id, client.ImageRemoveOptions{Force: force, PruneChildren: true})
			return
		}
		_, list[i].err = c.ContainerRemove(ctx, list[i].id, client.ContainerRemoveOptions{Force: force, RemoveVolumes: volumes})
	})
	if err == nil {
		err = s.interrupted()
	}
	if err != nil {
		return 0, err
	}
	t := L.CreateTable(len(list), 0)
	for _, r := range list {
		t.Append(removalTable(L, r))
	}
	L.Push(t)
	return 1, nil
}

// removals reads what to remove out of a list of objects.
func (s *State) removals(t *lua.LTable) ([]removal, error) {
	var list []removal
	for i := 1; i <= t.Len(); i++ {
		object, ok := t.RawGetInt(i).(*lua.LTable)
		if !ok {
			return nil, invalid("nacre.remove_all: element %d is a %s, want an image or a container", i, t.RawGetInt(i).Type())
		}
		kind := ""
		switch object.Metatable {
		case lua.LValue(s.types[typeImage]):
			kind = typeImage
		case lua.LValue(s.types[typeContainer]):
			kind = typeContainer
		default:
			return nil, invalid("nacre.remove_all: element %d is neither an image nor a container", i)
		}
		list = append(list, removal{kind: kind, id: lua.LVAsString(object.RawGetString("id"))})
	}
	return list, nil
}

func removalTable(L *lua.LState, r removal) *lua.LTable {
	t := L.NewTable()
	t.RawSetString("id", lua.LString(r.id))
	t.RawSetString("ok", lua.LBool(r.err == nil))
	if r.err != nil {
		t.RawSetString("error", lua.LString(engineMessage(r.err)))
		t.RawSetString("class", lua.LString(errorClass(r.err)))
	}
	return t
}
