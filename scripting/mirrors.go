package scripting

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func mirrorSection() section {
	return section{
		name: "nacre.mirrors",
		doc:  "The mirrors of registries, through the command `mirror`. Field names are those of `mirror ls --format json`.",
		funcs: []function{
			{"ls", "(registry)", "list of tables", "Lists the mirrors of one registry, or of all.", mirrorQuery("ls")},
			{"test", "(registry)", "list of tables", "Asks every source and tells which step failed and how long it took.", mirrorQuery("test")},
			{"add", "(registry, url, {name = …})", "", "Adds a mirror.", mirrorAdd},
			{"rm", "(registry, url_or_name)", "", "Removes a mirror.", mirrorChange("rm")},
			{"use", "(registry, url_or_name)", "", "Makes a mirror the first that pulls ask.", mirrorChange("use")},
		},
	}
}

// mirrorQuery runs a subcommand that answers in JSON. A test in which a mirror
// fails has a status of its own; its answer counts all the same.
func mirrorQuery(sub string) func(*State, *lua.LState) (int, error) {
	return func(s *State, L *lua.LState) (int, error) {
		args := []string{"mirror", sub, "--format", "json"}
		if registry := L.OptString(1, ""); registry != "" {
			args = append(args, registry)
		}
		r, err := s.command(args, execOptions{})
		if err != nil {
			return 0, err
		}
		values, err := decodeAll(strings.NewReader(r.out))
		if r.status != 0 && (err != nil || len(values) == 0) {
			return 0, &commandError{name: "mirror " + sub, status: r.status, stderr: r.err}
		}
		if err != nil {
			return 0, err
		}
		if len(values) == 1 {
			if list, ok := values[0].([]any); ok {
				values = list
			}
		}
		L.Push(fromGo(L, append([]any{}, values...), false))
		return 1, nil
	}
}

func mirrorAdd(s *State, L *lua.LState) (int, error) {
	args := []string{"mirror", "add", L.CheckString(1), L.CheckString(2)}
	o := optionsAt(L, 3)
	if name := o.text("name"); name != "" {
		args = append(args, "--name", name)
	}
	if err := o.done(); err != nil {
		return 0, err
	}
	_, err := s.command(args, execOptions{check: true})
	return 0, err
}

func mirrorChange(sub string) func(*State, *lua.LState) (int, error) {
	return func(s *State, L *lua.LState) (int, error) {
		_, err := s.command([]string{"mirror", sub, L.CheckString(1), L.CheckString(2)}, execOptions{check: true})
		return 0, err
	}
}
