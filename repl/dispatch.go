package repl

import (
	"context"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// Marks that the call handler puts before a command's name for the exec handler.
const (
	ownMark   = "\x00"     // a nacre command, although the shell has a builtin of that name
	shellMark = "\x00\x00" // the shell's own at a terminal: jobs, fg, …
	hostMark  = "!"        // a program of the host, although nacre has a command of that name; can be typed
)

// call decides about the names that the interpreter would take for itself:
// its builtins run before any exec handler sees them.
func (s *Shell) call(ctx context.Context, args []string) ([]string, error) {
	hc := interp.HandlerCtx(ctx)
	switch name := args[0]; {
	case name == "alias" || name == "unalias":
		s.noteAlias(args)
	case name == "command":
		return commandWord(args), nil
	case name == "export":
		return exportWord(hc.Env, args), nil
	case s.shellsOwn(args):
		return append([]string{shellMark + name}, args[1:]...), nil
	case interp.IsBuiltin(name) && s.wins(args):
		return append([]string{ownMark + name}, args[1:]...), nil
	}
	return args, nil
}

// wins tells whether a nacre command goes before the shell's builtin of the
// same name. `exec` and `wait` keep their shell meaning where a container
// cannot be meant.
func (s *Shell) wins(args []string) bool {
	if _, ours := s.options.Registry.Lookup(args[0]); !ours {
		return false
	}
	rest := args[1:]
	switch args[0] {
	case "exec": // `exec >file`, `exec /bin/sh`
		return len(rest) > 0 && !strings.Contains(rest[0], "/")
	case "wait": // `wait`, `wait $!`
		return len(rest) > 0 && !slices.ContainsFunc(rest, backgroundID)
	}
	return true
}

// shellsOwn tells whether a command is one of the shell's at a terminal, which
// go before nacre commands of the same name only where those cannot be meant.
func (s *Shell) shellsOwn(args []string) bool {
	switch args[0] {
	case "jobs", "fg", "bg", "disown":
		return s.jobs != nil
	case "reload":
		return s.jobs != nil && s.options.Startup != nil && len(args) == 1
	case "wait", "kill":
		return s.jobs != nil && jobWords(args[1:])
	}
	return false
}

// backgroundID recognises the interpreter's own form of $!.
func backgroundID(word string) bool {
	digits, found := strings.CutPrefix(word, "g")
	return found && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// commandWord makes `command NAME` reach the host's program.
func commandWord(args []string) []string {
	if len(args) < 2 || strings.HasPrefix(args[1], "-") || (interp.IsBuiltin(args[1]) && args[1] != "kill") {
		return args
	}
	return append([]string{hostMark + args[1]}, args[2:]...)
}

// exportWord sorts out `export NAME` without a value: it marks a variable that
// exists, else it exports a container.
func exportWord(env expand.Environ, args []string) []string {
	for _, word := range args[1:] {
		if !syntax.ValidName(word) || !env.Get(word).IsSet() {
			return append([]string{ownMark + "export"}, args[1:]...)
		}
	}
	return []string{"eval", strings.Join(args, " ")}
}

// exec runs one command whose words are expanded. An error other than an exit
// status would stop the script, so there is none.
func (s *Shell) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	if name, own := strings.CutPrefix(args[0], shellMark); own {
		return s.own(ctx, name, args[1:], hc.Stdout, hc.Stderr)
	}
	env := environment(hc.Env)
	words := slices.Clone(args)
	host := strings.HasPrefix(words[0], hostMark) && len(words[0]) > 1 || strings.Contains(words[0], "/")
	words[0] = strings.TrimPrefix(strings.TrimPrefix(words[0], ownMark), hostMark)
	if !host {
		if _, ours := s.options.Registry.Lookup(words[0]); ours {
			inv := s.invocation(words)
			inv.In, inv.Out, inv.Err, inv.Env, inv.Dir = hc.Stdin, hc.Stdout, hc.Stderr, env, hc.Dir
			inv.Interactive = inv.Interactive && jobOf(ctx).stateNow() == jobForeground
			inv.Offer = s.offerTo(jobOf(ctx), inv.In, inv.Out, inv.Err)
			if inv.Interactive && s.options.Pager != nil {
				inv.Pager = s.options.Pager(env)
			}
			return exitStatus(s.Exec(ctx, inv))
		}
	}
	job := jobOf(ctx)
	return exitStatus(s.runProgram(ctx, job, program{
		args: words, env: env, dir: hc.Dir, in: hc.Stdin, out: hc.Stdout, err: hc.Stderr,
		background: job.inBackground(hc.Pos),
	}))
}

func exitStatus(code int) error {
	if code == 0 {
		return nil
	}
	return interp.ExitStatus(uint8(code))
}

// environment lists the exported variables, as a program gets them.
func environment(env expand.Environ) []string {
	var list []string
	env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && v.IsSet() && v.Kind == expand.String {
			list = append(list, name+"="+v.String())
		}
		return true
	})
	return list
}
