package scripting

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	units "github.com/docker/go-units"
	lua "github.com/yuin/gopher-lua"
)

func nacreSection() section {
	return section{
		name: "nacre",
		doc:  "Everything starts here.",
		fields: []field{
			{"interactive", "boolean", "true at the prompt, where questions may be asked"},
		},
		funcs: []function{
			{"images", "{all = false, FILTER = value}", "list of images",
				"Lists images. Every other option is one of docker's filters: `reference`, `dangling`, `label`, `before`, `since`; its value is a string, a boolean or a list.",
				(*State).images},
			{"image", "(name)", "image", "Finds one image by name, tag or id. Raises `not_found`.", (*State).image},
			{"containers", "{all = false, limit = 0, size = false, FILTER = value}", "list of containers",
				"Lists running containers, with `all` also the others. Every other option is one of docker's filters: `status`, `name`, `label`, `ancestor`, `exited`…",
				(*State).containers},
			{"container", "(name)", "container", "Finds one container by name or id. Raises `not_found`.", (*State).container},
			{"run", "{image = …, cmd = {…}, name = …, detach = false, rm = false, env = {}, ports = {}, volumes = {}, …}", "container or result",
				"Runs a container, as the command `run` does; a missing image is pulled. `env` is a table `NAME = value`, `ports` and `volumes` are lists in docker's notation, `labels` is a table. Every other option is a flag of `run` with `_` for `-`: `memory = \"64m\"`, `cap_add = {\"NET_ADMIN\"}`, `read_only = true`. " +
					"With `detach` it returns the container; otherwise it waits and returns a result with the container's own status. `input` is the text of its standard input, `stream = true` gives it the script's own streams. Status 125 (the container could not be made) is an error; with `check = true` every status but 0 is.",
				(*State).run},
			{"pull", "(ref, {platform = …, stream = false})", "image", "Pulls an image; with `stream` the progress is shown.", (*State).pull},
			{"sh", "(text, {check = false, stream = false, input = …, dir = …, env = {}})", "result",
				"Runs shell text, with nacre's commands, pipes, variables and the host's programs. It returns what came, whatever the status; `check = true` makes a status other than 0 an error.",
				(*State).sh},
			{"parallel", "(commands, {limit = 8})", "list of results",
				"Runs several typed commands at the same time, at most `limit` at once: `nacre.parallel({{\"pull\", \"a\"}, {\"pull\", \"b\"}})`. Results are in the order of the commands; failures are statuses, not errors.",
				(*State).parallel},
			{"remove_all", "(objects, {force = false, volumes = false, parallel = 8})", "list of {id, ok, error, class}",
				"Removes images and containers, at most `parallel` at the same time. One that cannot be removed does not stop the others.",
				(*State).removeAll},
			{"confirm", "(question, {default = false})", "boolean",
				"Asks a yes-or-no question on standard error and reads the answer from standard input. The end of the input is a no.",
				(*State).confirm},
			{"command", "{name = …, run = function(args, flags, io), …}", "",
				"Registers a command; only in the init.lua of a plugin, see [plugins](plugins.md).", (*State).declareCommand},
			{"plugin", "{version = …, short = …}", "",
				"Tells about a plugin, for `plugin ls`; only in its init.lua.", (*State).declarePlugin},
			{"settings", "{prompt = …, right_prompt = …, transient_prompt = …, aliases = {}, env = {}, offers = true, notify = …, notify_after = 10}", "",
				"Sets what the prompt looks like and does; only in init.lua of nacre's configuration folder, see [settings](prompt.md#settings).", (*State).applySettings},
			{"size", "(bytes)", "string", "Writes a number of bytes as docker does: `1.24MB`.", humanSize},
		},
	}
}

// execOptionsFrom reads the options that all ways to run a command share.
func execOptionsFrom(o *options, check bool) execOptions {
	e := execOptions{stream: o.boolean("stream"), check: check, input: o.text("input"), dir: o.text("dir"), env: o.pairs("env")}
	if v, ok := o.get("check").(lua.LBool); ok {
		e.check = bool(v)
	}
	return e
}

func (s *State) sh(L *lua.LState) (int, error) {
	text := L.CheckString(1)
	o := optionsAt(L, 2)
	e := execOptionsFrom(o, false)
	if err := o.done(); err != nil {
		return 0, err
	}
	r, err := s.source(text, e)
	if err != nil {
		return 0, err
	}
	L.Push(s.resultTable(L, r))
	return 1, nil
}

func (s *State) pull(L *lua.LState) (int, error) {
	ref := L.CheckString(1)
	o := optionsAt(L, 2)
	stream, platform := o.boolean("stream"), o.text("platform")
	if err := o.done(); err != nil {
		return 0, err
	}
	args := []string{"pull"}
	if !stream {
		args = append(args, "--quiet")
	}
	if platform != "" {
		args = append(args, "--platform", platform)
	}
	if _, err := s.command(append(args, ref), execOptions{stream: stream, check: true}); err != nil {
		return 0, err
	}
	return s.pushImage(L, ref)
}

// run translates its table into the arguments of the command `run`, which
// knows how to read ports, volumes and all the rest.
func (s *State) run(L *lua.LState) (int, error) {
	o := optionsAt(L, 1)
	spec := runSpec(o)
	if o.err != nil {
		return 0, o.err
	}
	if spec.image == "" {
		return 0, invalid("nacre.run: image is missing")
	}
	r, err := s.command(append(append([]string{"run"}, spec.flags...), append([]string{"--", spec.image}, spec.cmd...)...), spec.exec)
	if err != nil {
		return 0, err
	}
	if r.status == 125 || spec.detach && r.status != 0 {
		return 0, &commandError{name: "run", status: r.status, stderr: r.err}
	}
	if spec.detach {
		return s.pushContainer(L, strings.TrimSpace(r.out))
	}
	L.Push(s.resultTable(L, r))
	return 1, nil
}

type runTable struct {
	image  string
	cmd    []string
	flags  []string
	detach bool
	exec   execOptions
}

// renamedFlags are options whose flag has another name.
var renamedFlags = map[string]string{"ports": "publish", "volumes": "volume", "labels": "label", "networks": "network"}

func runSpec(o *options) runTable {
	spec := runTable{image: o.text("image"), cmd: o.list("cmd"), detach: o.boolean("detach")}
	if spec.image == "" && o.table.Len() > 0 {
		words := o.positional()
		spec.image, spec.cmd = words[0], append(words[1:], spec.cmd...)
	}
	spec.exec = execOptions{stream: o.boolean("stream") && !spec.detach, check: o.boolean("check"), input: o.text("input"), dir: o.text("dir")}
	if spec.detach {
		spec.flags = append(spec.flags, "--detach")
	}
	if spec.exec.input != "" {
		spec.flags = append(spec.flags, "--interactive")
	}
	env := o.pairs("env")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		spec.flags = append(spec.flags, "--env="+name+"="+env[name])
	}
	labels := o.pairs("labels")
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		spec.flags = append(spec.flags, "--label="+name+"="+labels[name])
	}
	spec.flags = append(spec.flags, otherFlags(o)...)
	return spec
}

// otherFlags makes flags of the options that runSpec has not read itself.
func otherFlags(o *options) []string {
	var flags []string
	var names []string
	o.table.ForEach(func(k, _ lua.LValue) {
		if name, ok := k.(lua.LString); ok && !slices.Contains(o.known, string(name)) {
			names = append(names, string(name))
		}
	})
	slices.Sort(names)
	for _, name := range names {
		flag := name
		if other, ok := renamedFlags[name]; ok {
			flag = other
		}
		flag = "--" + strings.ReplaceAll(flag, "_", "-")
		if b, ok := o.get(name).(lua.LBool); ok {
			flags = append(flags, fmt.Sprintf("%s=%t", flag, bool(b)))
			continue
		}
		for _, value := range o.list(name) {
			flags = append(flags, flag+"="+value)
		}
	}
	return flags
}

func (s *State) confirm(L *lua.LState) (int, error) {
	question := L.CheckString(1)
	o := optionsAt(L, 2)
	otherwise := o.boolean("default")
	if err := o.done(); err != nil {
		return 0, err
	}
	choice := "[y/N]"
	if otherwise {
		choice = "[Y/n]"
	}
	if _, err := fmt.Fprintf(s.inv.Err, "%s %s ", question, choice); err != nil {
		return 0, err
	}
	line, err := s.in.ReadString('\n')
	if stop := s.interrupted(); stop != nil {
		return 0, stop
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	yes := answer == "y" || answer == "yes" || answer == "" && err == nil && otherwise
	L.Push(lua.LBool(yes))
	return 1, nil
}

func humanSize(_ *State, L *lua.LState) (int, error) {
	L.Push(lua.LString(units.HumanSizeWithPrecision(float64(L.CheckNumber(1)), 3)))
	return 1, nil
}
