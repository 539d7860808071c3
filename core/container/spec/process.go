package spec

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultPath is the search path of a container whose image names none.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// initInContainer is where --init mounts the init program; docker's path.
const initInContainer = "/sbin/docker-init"

func (b *builder) process() error {
	p, c := b.spec.Process, b.in.Config
	p.Args = slices.Concat(c.Entrypoint, c.Cmd)
	if b.in.InitPath != "" {
		p.Args = slices.Concat([]string{initInContainer, "--"}, p.Args)
	}
	p.Terminal = c.Tty
	if size := b.in.HostConfig.ConsoleSize; c.Tty && size != [2]uint{} {
		p.ConsoleSize = &specs.Box{Height: size[0], Width: size[1]}
	}
	p.Cwd = absoluteDir(c.WorkingDir)
	p.Env = Environment(c.Hostname, c.Tty, c.Env)
	if score := b.in.HostConfig.OomScoreAdj; score != 0 {
		p.OOMScoreAdj = &score
	}
	return nil
}

func absoluteDir(dir string) string {
	if dir == "" {
		return "/"
	}
	return path.Join("/", dir)
}

// Environment is the container's environment: docker's defaults, replaced and
// extended by the configuration's. An entry without "=" removes a default.
func Environment(hostname string, tty bool, configured []string) []string {
	env := []string{"PATH=" + DefaultPath, "HOSTNAME=" + hostname}
	if tty {
		env = append(env, "TERM=xterm")
	}
	return MergeEnv(env, configured)
}

// MergeEnv replaces entries of base by those of over with the same name,
// appends the new ones, and drops names that over mentions without a value.
func MergeEnv(base, over []string) []string {
	env := slices.Clone(base)
	for _, entry := range over {
		name, _, hasValue := strings.Cut(entry, "=")
		at := slices.IndexFunc(env, func(e string) bool {
			n, _, _ := strings.Cut(e, "=")
			return n == name
		})
		switch {
		case !hasValue && at >= 0:
			env = slices.Delete(env, at, at+1)
		case !hasValue:
		case at >= 0:
			env[at] = entry
		default:
			env = append(env, entry)
		}
	}
	return env
}
