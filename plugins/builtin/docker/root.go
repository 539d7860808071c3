package docker

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// template is a root command that docker/cli has set up. Doing that writes
// package variables (cobra's template functions, the help command), so it
// happens once; fresh roots copy what it has put there.
var template = sync.OnceValue(func() *cobra.Command {
	root := &cobra.Command{Use: "nacre"}
	cli.SetupRootCommand(root)
	return root
})

func setup() { template() }

// noHelp takes the place of cobra's help command; nacre has its own.
const noHelp = "no-help"

// newRoot builds a fresh tree of one of docker's commands around a DockerCli.
func newRoot(docker *command.DockerCli, name string) (*cobra.Command, error) {
	root := &cobra.Command{
		Use:                   "nacre [OPTIONS] COMMAND [ARG...]",
		SilenceUsage:          true,
		SilenceErrors:         true,
		TraverseChildren:      true,
		DisableFlagsInUseLine: true,
		CompletionOptions:     cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE:     func(cmd *cobra.Command, _ []string) error { return supported(cmd, docker) },
	}
	root.SetUsageTemplate(template().UsageTemplate())
	root.SetHelpTemplate(template().HelpTemplate())
	root.SetFlagErrorFunc(plugins.FlagError)
	root.SetHelpCommand(&cobra.Command{Use: noHelp, Hidden: true})
	root.PersistentFlags().BoolP("help", "h", false, "Print usage")
	root.PersistentFlags().MarkShorthandDeprecated("help", "use --help")
	root.PersistentFlags().Lookup("help").Hidden = true
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	top, err := buildTop(name, docker)
	if err != nil {
		return nil, err
	}
	root.AddCommand(top)
	extend(top, docker)
	visit(root, func(c *cobra.Command) { adapt(c, docker) })
	return root, nil
}

// extend adds what nacre has under docker's own words. `container` has some of the others' too.
func extend(top *cobra.Command, docker *command.DockerCli) {
	switch top.Name() {
	case "port":
		top.AddCommand(portChanges(docker)...)
	case "container":
		for _, c := range top.Commands() {
			extend(c, docker)
		}
	case "system":
		top.AddCommand(newReset(docker), newCollect(docker))
	case "volume":
		top.AddCommand(newVolumeExport(docker), newVolumeImport(docker), newVolumeClone(docker))
	case "config":
		top.Short = "Manage the engine's configuration, and Swarm configs"
		delete(top.Annotations, "swarm") // it is listed there; its own subcommands work without
		top.AddCommand(engineSettings(docker)...)
	}
}

func visit(c *cobra.Command, f func(*cobra.Command)) {
	for _, child := range c.Commands() {
		visit(child, f)
	}
	f(c)
}

// adapt changes what a docker command says and returns where it would speak as
// the program `docker`.
func adapt(c *cobra.Command, docker *command.DockerCli) {
	if names, ok := c.Annotations["aliases"]; ok {
		c.Annotations["aliases"] = strings.ReplaceAll(names, "docker ", "nacre ")
	}
	c.Example = strings.ReplaceAll(c.Example, "docker ", "nacre ")
	override(c, docker)
	previewable(c, docker)
	addSort(c)
	if run := c.RunE; run != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if begun, err := table(cmd, docker, args); begun {
				return err
			}
			if listsImages(cmd) && docker.ConfigFile().ImagesFormat == "" {
				docker.ConfigFile().ImagesFormat = "table" // the list with REPOSITORY and TAG; such a command never saves the file
			}
			return mendable(cmd, args, docker, translate(decorated(cmd, docker, func() error {
				return collected(cmd, docker, func() error { return run(cmd, args) })
			})))
		}
	}
	if check := c.Args; check != nil && c.HasSubCommands() {
		c.Args = func(cmd *cobra.Command, args []string) error {
			return suggestSubcommand(cmd, args, check(cmd, args))
		}
	}
}

// listsImages is true of `images` and `image ls`.
func listsImages(c *cobra.Command) bool {
	return c.Name() == "images" || (c.Name() == "ls" && c.HasParent() && c.Parent().Name() == "image")
}

// translate turns docker's errors into the door's, in nacre's name.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var status cli.StatusError
	if errors.As(err, &status) {
		code := status.StatusCode
		if code == 0 {
			code = 1
		}
		if err.Error() == "" {
			return &plugins.StatusError{Status: code}
		}
		return &plugins.StatusError{Status: code, Err: renamed(err)}
	}
	return renamed(err)
}

// renamed speaks of nacre where the error speaks of the program docker. The
// cause stays, so that a cancelled context is still recognised.
func renamed(err error) error {
	if broken, ok := errors.AsType[*engineError](err); ok {
		return fmt.Errorf("nacre: %w", broken)
	}
	old := err.Error()
	text := strings.ReplaceAll(old, "Run 'docker ", "Run 'nacre ")
	text = strings.ReplaceAll(text, "See 'docker ", "See 'nacre ")
	if rest, found := strings.CutPrefix(text, "docker: "); found {
		text = "nacre: " + rest
	}
	if text == old {
		return err
	}
	return &renamedError{text: text, cause: err}
}

type renamedError struct {
	text  string
	cause error
}

func (e *renamedError) Error() string { return e.text }
func (e *renamedError) Unwrap() error { return e.cause }

// suggestSubcommand adds the nearest subcommand to docker's "unknown command".
func suggestSubcommand(cmd *cobra.Command, args []string, err error) error {
	if err == nil || len(args) == 0 {
		return err
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	near := plugins.Nearest(args[0], names)
	if near == "" {
		return err
	}
	return instead(fmt.Errorf("%w\n\nDid you mean '%s %s'?", err, cmd.CommandPath(), near), args[0], near)
}
