package scripting

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	lua "github.com/yuin/gopher-lua"
)

func containerSection() section {
	return section{
		name:   typeContainer,
		object: "c",
		doc:    "A container, as `nacre.containers`, `nacre.container` and `nacre.run{detach = true}` return it. Its fields are those of the moment when it was listed; `c:refresh()` reads them again. As an argument of a command it stands for its id.",
		fields: []field{
			{"id", "string", "full id"},
			{"short_id", "string", "the first 12 digits"},
			{"name", "string", "its name, without docker's slash"},
			{"names", "list of strings", ""},
			{"image", "string", "name of the image, as it was given"},
			{"image_id", "string", ""},
			{"command", "string", ""},
			{"created", "number", "seconds since 1970"},
			{"state", "string", "`created`, `running`, `paused`, `restarting`, `exited`, `dead`"},
			{"status", "string", "`Up 2 hours`"},
			{"running", "boolean", ""},
			{"labels", "table", ""},
			{"ports", "list of {ip, private, public, type}", "`public` is nil for a port that is not published"},
			{"size", "number", "bytes written, with `size = true` in `nacre.containers`"},
		},
		funcs: []function{
			{"start", "()", "container", "", containerAction(startContainer)},
			{"stop", "{timeout = 10, signal = …}", "container", "Stops it: a signal, and after `timeout` seconds SIGKILL.", containerAction(stopContainer)},
			{"restart", "{timeout = 10, signal = …}", "container", "", containerAction(restartContainer)},
			{"kill", "{signal = \"SIGKILL\"}", "container", "", containerAction(killContainer)},
			{"pause", "()", "container", "", containerAction(pauseContainer)},
			{"unpause", "()", "container", "", containerAction(unpauseContainer)},
			{"rename", "{to = …}", "container", "", containerAction(renameContainer)},
			{"remove", "{force = false, volumes = false}", "", "Removes it; with `force` also when it runs, with `volumes` its anonymous volumes too.", (*State).containerRemove},
			{"refresh", "()", "container", "Reads the fields again.", (*State).containerRefresh},
			{"inspect", "()", "table", "Everything that `inspect` prints, with docker's field names.", (*State).containerInspect},
			{"wait", "()", "number", "Waits for its end and returns its status.", (*State).containerWait},
			{"logs", "{tail = …, since = …, until = …, timestamps = false, follow = false, each = function(line, stream)}", "out, err", "Returns what it wrote. With `each` the function gets every line (without its newline) and `\"stdout\"` or `\"stderr\"`, as they come with `follow`; returning false ends it.", (*State).containerLogs},
			{"exec", "{\"cmd\", \"arg\", user = …, workdir = …, env = {}, privileged = false, input = …, detach = false, stream = false, check = false}", "result", "Runs another process in it.", (*State).containerExec},
		},
	}
}

func (s *State) containers(L *lua.LState) (int, error) {
	o := optionsAt(L, 1)
	opts := client.ContainerListOptions{All: o.boolean("all"), Limit: o.number("limit", 0), Size: o.boolean("size")}
	opts.Filters = filtersFrom(o)
	if o.err != nil {
		return 0, o.err
	}
	list, err := s.listContainers(opts)
	if err != nil {
		return 0, err
	}
	t := L.CreateTable(len(list), 0)
	for _, c := range list {
		t.Append(s.containerTable(L, L.NewTable(), c))
	}
	L.Push(t)
	return 1, nil
}

func (s *State) listContainers(opts client.ContainerListOptions) ([]container.Summary, error) {
	c, err := s.engine()
	if err != nil {
		return nil, err
	}
	list, err := c.ContainerList(s.ctx, opts)
	return list.Items, err
}

func (s *State) container(L *lua.LState) (int, error) { return s.pushContainer(L, L.CheckString(1)) }

// pushContainer finds a container by name or id; its fields come from the list,
// which words them for people.
func (s *State) pushContainer(L *lua.LState, name string) (int, error) {
	sum, err := s.findContainer(name)
	if err != nil {
		return 0, err
	}
	L.Push(s.containerTable(L, L.NewTable(), sum))
	return 1, nil
}

func (s *State) findContainer(name string) (container.Summary, error) {
	c, err := s.engine()
	if err != nil {
		return container.Summary{}, err
	}
	found, err := c.ContainerInspect(s.ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return container.Summary{}, err
	}
	list, err := s.listContainers(client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("id", found.Container.ID)})
	if err != nil {
		return container.Summary{}, err
	}
	if len(list) == 0 { // it ended and was removed between the two questions
		return fromInspect(found.Container), nil
	}
	return list[0], nil
}

// fromInspect is what can be told of a container that has just gone.
func fromInspect(in container.InspectResponse) container.Summary {
	sum := container.Summary{ID: in.ID, Names: []string{in.Name}, ImageID: in.Image, Command: strings.Join(append([]string{in.Path}, in.Args...), " ")}
	if in.Config != nil {
		sum.Image, sum.Labels = in.Config.Image, in.Config.Labels
	}
	if in.State != nil {
		sum.State = in.State.Status
		sum.Status = string(in.State.Status)
	}
	if t, err := time.Parse(time.RFC3339Nano, in.Created); err == nil {
		sum.Created = t.Unix()
	}
	return sum
}

// containerTable fills t with the fields of a container.
func (s *State) containerTable(L *lua.LState, t *lua.LTable, c container.Summary) *lua.LTable {
	names := L.CreateTable(len(c.Names), 0)
	for _, n := range c.Names {
		names.Append(lua.LString(strings.TrimPrefix(n, "/")))
	}
	t.RawSetString("id", lua.LString(c.ID))
	t.RawSetString("short_id", lua.LString(shortID(c.ID)))
	t.RawSetString("name", names.RawGetInt(1))
	t.RawSetString("names", names)
	t.RawSetString("image", lua.LString(c.Image))
	t.RawSetString("image_id", lua.LString(c.ImageID))
	t.RawSetString("command", lua.LString(c.Command))
	t.RawSetString("created", lua.LNumber(c.Created))
	t.RawSetString("state", lua.LString(c.State))
	t.RawSetString("status", lua.LString(c.Status))
	t.RawSetString("running", lua.LBool(c.State == container.StateRunning))
	t.RawSetString("labels", stringMap(L, c.Labels))
	t.RawSetString("ports", portTable(L, c.Ports))
	t.RawSetString("size", lua.LNumber(c.SizeRw))
	t.Metatable = s.types[typeContainer]
	return t
}

func portTable(L *lua.LState, ports []container.PortSummary) *lua.LTable {
	list := L.CreateTable(len(ports), 0)
	for _, p := range ports {
		t := L.NewTable()
		if p.IP.IsValid() {
			t.RawSetString("ip", lua.LString(p.IP.String()))
		}
		t.RawSetString("private", lua.LNumber(p.PrivatePort))
		if p.PublicPort != 0 {
			t.RawSetString("public", lua.LNumber(p.PublicPort))
		}
		t.RawSetString("type", lua.LString(p.Type))
		list.Append(t)
	}
	return list
}

// containerAction is a method that changes a container and returns it with its
// new fields.
func containerAction(do func(s *State, c *client.Client, id string, o *options) error) func(*State, *lua.LState) (int, error) {
	return func(s *State, L *lua.LState) (int, error) {
		c, id, err := s.receiver(L, typeContainer)
		if err != nil {
			return 0, err
		}
		if err := do(s, c, id, optionsAt(L, 2)); err != nil {
			return 0, err
		}
		n, err := s.containerRefresh(L)
		if errdefs.IsNotFound(err) { // it was to be removed at its end
			return gone(L)
		}
		return n, err
	}
}

// gone marks the receiver as a container that is no more.
func gone(L *lua.LState) (int, error) {
	t := L.CheckTable(1)
	t.RawSetString("state", lua.LString("removed"))
	t.RawSetString("status", lua.LString("Removed"))
	t.RawSetString("running", lua.LFalse)
	L.Push(t)
	return 1, nil
}

func startContainer(s *State, c *client.Client, id string, o *options) error {
	if err := o.done(); err != nil {
		return err
	}
	_, err := c.ContainerStart(s.ctx, id, client.ContainerStartOptions{})
	return err
}

// timeout is nil when none is given: the container's own, else the engine's.
func timeout(o *options) *int {
	if n := o.number("timeout", -2); n != -2 {
		return &n
	}
	return nil
}

func stopContainer(s *State, c *client.Client, id string, o *options) error {
	opts := client.ContainerStopOptions{Signal: o.text("signal"), Timeout: timeout(o)}
	if err := o.done(); err != nil {
		return err
	}
	_, err := c.ContainerStop(s.ctx, id, opts)
	return err
}

func restartContainer(s *State, c *client.Client, id string, o *options) error {
	opts := client.ContainerRestartOptions{Signal: o.text("signal"), Timeout: timeout(o)}
	if err := o.done(); err != nil {
		return err
	}
	_, err := c.ContainerRestart(s.ctx, id, opts)
	return err
}

func killContainer(s *State, c *client.Client, id string, o *options) error {
	opts := client.ContainerKillOptions{Signal: o.text("signal")}
	if err := o.done(); err != nil {
		return err
	}
	_, err := c.ContainerKill(s.ctx, id, opts)
	return err
}

func pauseContainer(s *State, c *client.Client, id string, o *options) error {
	if err := o.done(); err != nil {
		return err
	}
	_, err := c.ContainerPause(s.ctx, id, client.ContainerPauseOptions{})
	return err
}

func unpauseContainer(s *State, c *client.Client, id string, o *options) error {
	if err := o.done(); err != nil {
		return err
	}
	_, err := c.ContainerUnpause(s.ctx, id, client.ContainerUnpauseOptions{})
	return err
}

func renameContainer(s *State, c *client.Client, id string, o *options) error {
	to := o.text("to")
	if err := o.done(); err != nil {
		return err
	}
	_, err := c.ContainerRename(s.ctx, id, client.ContainerRenameOptions{NewName: to})
	return err
}

func (s *State) containerRemove(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeContainer)
	if err != nil {
		return 0, err
	}
	o := optionsAt(L, 2)
	opts := client.ContainerRemoveOptions{Force: o.boolean("force"), RemoveVolumes: o.boolean("volumes")}
	if err := o.done(); err != nil {
		return 0, err
	}
	_, err = c.ContainerRemove(s.ctx, id, opts)
	return 0, err
}

func (s *State) containerRefresh(L *lua.LState) (int, error) {
	_, id, err := s.receiver(L, typeContainer)
	if err != nil {
		return 0, err
	}
	sum, err := s.findContainer(id)
	if err != nil {
		return 0, err
	}
	L.Push(s.containerTable(L, L.CheckTable(1), sum))
	return 1, nil
}

func (s *State) containerInspect(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeContainer)
	if err != nil {
		return 0, err
	}
	found, err := c.ContainerInspect(s.ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return 0, err
	}
	return pushJSON(L, json.RawMessage(found.Raw))
}

func (s *State) containerWait(L *lua.LState) (int, error) {
	c, id, err := s.receiver(L, typeContainer)
	if err != nil {
		return 0, err
	}
	wait := c.ContainerWait(s.ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case r := <-wait.Result:
		L.Push(lua.LNumber(r.StatusCode))
		return 1, nil
	case err := <-wait.Error:
		return 0, err
	case <-s.ctx.Done():
		return 0, s.interrupted()
	}
}
