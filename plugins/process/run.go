package process

import (
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// Environment variables of the protocol.
const (
	originalCommand = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"
	dockerHost      = "DOCKER_HOST"
	dockerContext   = "DOCKER_CONTEXT"
)

// run runs the executable as the shell runs a program of the host: with a
// process group of its own, the terminal while it is in front, its status
// passed on.
func (p *Plugin) run(ctx context.Context, inv *plugins.Invocation, args []string) error {
	env, closeSocket, err := p.environment(ctx, inv)
	if err != nil {
		return err
	}
	defer closeSocket()
	child := &plugins.Invocation{
		Args: p.arguments(inv, args), In: inv.In, Out: inv.Out, Err: inv.Err, Dir: inv.Dir, Env: env,
		Engine: inv.Engine, Globals: inv.Globals, Interactive: inv.Interactive, Shell: inv.Shell,
	}
	if status := inv.Shell.Exec(ctx, child); status != 0 {
		return &plugins.StatusError{Status: status}
	}
	return nil
}

// arguments are docker's: the options before the command, its name, the rest.
func (p *Plugin) arguments(inv *plugins.Invocation, args []string) []string {
	line := append([]string{p.path}, inv.Globals...)
	return append(append(line, p.name), args...)
}

// environment is the invocation's, with the address of the engine unless the
// user has named another one.
func (p *Plugin) environment(ctx context.Context, inv *plugins.Invocation) (env []string, closeSocket func(), err error) {
	env = append(append([]string{}, inv.Env...), originalCommand+"="+p.self)
	if inv.Engine == nil || namesEngine(inv) {
		return env, func() {}, nil
	}
	s, err := listen(ctx, inv.Dial)
	if err != nil {
		return nil, nil, err
	}
	return append(env, dockerHost+"=unix://"+s.path), s.close, nil
}

// namesEngine tells whether options or environment choose an engine themselves.
func namesEngine(inv *plugins.Invocation) bool {
	for _, g := range inv.Globals {
		name, _, _ := strings.Cut(g, "=")
		switch name {
		case "-H", "--host", "-c", "--context":
			return true
		}
	}
	for _, e := range inv.Env {
		name, value, _ := strings.Cut(e, "=")
		if (name == dockerHost || name == dockerContext) && value != "" {
			return true
		}
	}
	return false
}

// completionLimit bounds how long a key press waits for an executable.
const completionLimit = 2 * time.Second

// completion asks the executable; cobra's own protocol is also the answer's form.
func (p *Plugin) completion(inv *plugins.Invocation) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, completionLimit)
		defer cancel()
		env, closeSocket, err := p.environment(ctx, inv)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer closeSocket()
		words := append(append([]string{cobra.ShellCompRequestCmd}, p.arguments(inv, args)[1:]...), prefix)
		out, err := output(ctx, p.path, words, env, inv.Dir)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return parseCompletion(string(out))
	}
}

// parseCompletion reads lines of words with descriptions and, in the last one,
// the directive `:N`.
func parseCompletion(out string) ([]string, cobra.ShellCompDirective) {
	var words []string
	directive := cobra.ShellCompDirectiveDefault
	for _, line := range strings.Split(strings.TrimRight(out, "\n"), "\n") {
		if number, found := strings.CutPrefix(line, ":"); found {
			if n, err := strconv.Atoi(number); err == nil {
				directive = cobra.ShellCompDirective(n)
				continue
			}
		}
		if line != "" && !strings.HasPrefix(line, "_activeHelp_") {
			words = append(words, line)
		}
	}
	return words, directive
}

// maxOutput bounds the answer of an executable.
const maxOutput = 1 << 20

// outputDelay is how long the answer may take to arrive after its executable has ended: no time at all, but on a
// busy machine, where a process that is just being forked holds the pipe as well. What the executable
// has left running with the pipe in its hands is waited for no longer.
const outputDelay = 2 * time.Second

// output runs an executable without a terminal and input and returns what it
// wrote. At the context's end the whole process group is killed.
func output(ctx context.Context, path string, args, env []string, dir string) ([]byte, error) {
	var out limitedBuffer
	c := exec.CommandContext(ctx, path, args...)
	c.Env, c.Dir, c.Stdout = env, dir, &out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = outputDelay
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return out.Bytes(), nil
}

// limitedBuffer drops what comes after maxOutput bytes.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxOutput-b.Len())])
	return len(p), nil
}
