package image

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
)

// changeCommands are the instructions that `commit --change` and `import
// --change` take; the others of a Dockerfile would have to run something.
var changeCommands = []string{"cmd", "entrypoint", "healthcheck", "env", "expose", "label", "onbuild", "stopsignal", "user", "volume", "workdir"}

// applyChanges applies instructions of a Dockerfile to a config. What is none
// of them is errdefs.ErrInvalidArgument.
func applyChanges(config dockerspec.DockerOCIImageConfig, changes []string) (dockerspec.DockerOCIImageConfig, error) {
	if len(changes) == 0 {
		return config, nil
	}
	bad := func(err error) error { return errdefs.ErrInvalidArgument.WithMessage(err.Error()) }
	file, err := parser.Parse(strings.NewReader(strings.Join(changes, "\n")))
	if err != nil {
		return config, bad(err)
	}
	config = cloneConfig(config)
	hasCommand := slices.ContainsFunc(file.AST.Children, func(n *parser.Node) bool { return strings.EqualFold(n.Value, "cmd") })
	for _, node := range file.AST.Children {
		if !slices.Contains(changeCommands, strings.ToLower(node.Value)) {
			return config, bad(fmt.Errorf("%s is not a valid change command", node.Value))
		}
		step, err := instructions.ParseInstruction(node)
		if err == nil {
			err = expand(step, config.Env, file.EscapeToken)
		}
		if err == nil {
			err = applyStep(&config, step)
		}
		if _, ok := step.(*instructions.EntrypointCommand); ok && !hasCommand {
			config.Cmd = nil // a new entrypoint does not know the old arguments
		}
		if err != nil {
			return config, bad(err)
		}
	}
	return config, nil
}

// expand replaces variables by their values and takes quotes away.
func expand(step any, env []string, escape rune) error {
	words, ok := step.(instructions.SupportsSingleWordExpansion)
	if !ok {
		return nil
	}
	lex := shell.NewLex(escape)
	return words.Expand(func(word string) (string, error) {
		out, _, err := lex.ProcessWord(word, shell.EnvsFromSlice(env))
		return out, err
	})
}

func applyStep(config *dockerspec.DockerOCIImageConfig, step any) error {
	switch c := step.(type) {
	case *instructions.CmdCommand:
		config.Cmd = commandLine(config, c.ShellDependantCmdLine)
	case *instructions.EntrypointCommand:
		config.Entrypoint = commandLine(config, c.ShellDependantCmdLine)
	case *instructions.HealthCheckCommand:
		config.Healthcheck = c.Health
	case *instructions.EnvCommand:
		for _, v := range c.Env {
			config.Env = setEnv(config.Env, v.Key, v.Value)
		}
	case *instructions.ExposeCommand:
		return expose(config, c.Ports)
	case *instructions.LabelCommand:
		for _, v := range c.Labels {
			config.Labels = put(config.Labels, v.Key, v.Value)
		}
	case *instructions.OnbuildCommand:
		config.OnBuild = append(config.OnBuild, c.Expression)
	case *instructions.StopSignalCommand:
		config.StopSignal = c.Signal
	case *instructions.UserCommand:
		config.User = c.User
	case *instructions.VolumeCommand:
		for _, v := range c.Volumes {
			config.Volumes = put(config.Volumes, v, struct{}{})
		}
	case *instructions.WorkdirCommand:
		if path.IsAbs(c.Path) {
			config.WorkingDir = "/"
		}
		config.WorkingDir = path.Join("/", config.WorkingDir, c.Path)
	}
	return nil
}

func put[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}

// commandLine puts the shell before a line that was not given as a list.
func commandLine(config *dockerspec.DockerOCIImageConfig, line instructions.ShellDependantCmdLine) []string {
	if !line.PrependShell {
		return line.CmdLine
	}
	sh := config.Shell
	if len(sh) == 0 {
		sh = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(sh), line.CmdLine...)
}

// setEnv replaces a variable or adds it.
func setEnv(env []string, key, value string) []string {
	at := slices.IndexFunc(env, func(e string) bool { return strings.HasPrefix(e, key+"=") || e == key })
	if at < 0 {
		return append(env, key+"="+value)
	}
	env[at] = key + "=" + value
	return env
}

func expose(config *dockerspec.DockerOCIImageConfig, ports []string) error {
	for _, p := range ports {
		span, err := network.ParsePortRange(p)
		if err != nil {
			return fmt.Errorf("invalid containerPort: %s", p)
		}
		for port := range span.All() {
			config.ExposedPorts = put(config.ExposedPorts, port.String(), struct{}{})
		}
	}
	return nil
}

// cloneConfig copies what applyStep writes into.
func cloneConfig(c dockerspec.DockerOCIImageConfig) dockerspec.DockerOCIImageConfig {
	c.Env, c.OnBuild = slices.Clone(c.Env), slices.Clone(c.OnBuild)
	c.ExposedPorts, c.Volumes, c.Labels = maps.Clone(c.ExposedPorts), maps.Clone(c.Volumes), maps.Clone(c.Labels)
	return c
}

// fillUp takes from below what a config leaves open. Lists of things with a
// name (variables, labels, ports, volumes) are united, the config's own first.
func fillUp(config, below dockerspec.DockerOCIImageConfig) dockerspec.DockerOCIImageConfig {
	config = cloneConfig(config)
	for text, from := range map[*string]string{&config.User: below.User, &config.WorkingDir: below.WorkingDir, &config.StopSignal: below.StopSignal} {
		if *text == "" {
			*text = from
		}
	}
	for _, e := range below.Env {
		key, _, _ := strings.Cut(e, "=")
		if !slices.ContainsFunc(config.Env, func(own string) bool { return own == key || strings.HasPrefix(own, key+"=") }) {
			config.Env = append(config.Env, e)
		}
	}
	config.Labels = unite(config.Labels, below.Labels)
	config.ExposedPorts = unite(config.ExposedPorts, below.ExposedPorts)
	config.Volumes = unite(config.Volumes, below.Volumes)
	if len(config.Entrypoint) == 0 {
		if len(config.Cmd) == 0 {
			config.Cmd = below.Cmd
		}
		if config.Entrypoint == nil {
			config.Entrypoint = below.Entrypoint
		}
	}
	config.Healthcheck = backend.FillHealth(config.Healthcheck, below.Healthcheck)
	return config
}

func unite[V any](own, below map[string]V) map[string]V {
	for k, v := range below {
		if _, ok := own[k]; !ok {
			own = put(own, k, v)
		}
	}
	return own
}
