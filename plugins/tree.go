package plugins

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// NewRoot returns the root of a command tree of nacre's own: it prints nothing
// by itself and answers wrong flags as docker's commands do.
func NewRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "nacre", SilenceErrors: true, SilenceUsage: true, DisableFlagsInUseLine: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(FlagError)
	root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true})
	root.PersistentFlags().BoolP("help", "h", false, "Print usage")
	root.PersistentFlags().Lookup("help").Hidden = true
	root.SetUsageTemplate(usage)
	root.SetHelpTemplate("{{.UsageString}}")
	return root
}

// usage is laid out as the help of docker's commands. It only uses functions
// that cobra always has: adding others would write a package variable.
const usage = `Usage:  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{with (or .Long .Short)}}
{{. | trimTrailingWhitespaces}}
{{end}}{{if .Aliases}}
Aliases:
  {{.NameAndAliases}}
{{end}}{{if .HasExample}}
Examples:
{{.Example | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableSubCommands}}
Commands:
{{- range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if .HasAvailableFlags}}
Options:
{{.Flags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableSubCommands}}
Run '{{.CommandPath}} COMMAND --help' for more information on a command.
{{end}}`

// FlagError is docker's answer to a wrong flag, with the nearest flag.
func FlagError(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	hint, near := "", NearestFlag(cmd.Flags(), err)
	if near != "" {
		hint = fmt.Sprintf("Did you mean %s?\n\n", near)
	}
	failed := &StatusError{Status: 125, Err: fmt.Errorf(
		"%w\n\n%sUsage:  %s\n\nRun '%s --help' for more information", err, hint, cmd.UseLine(), cmd.CommandPath())}
	if near == "" || Destroys(cmd.Name()) {
		return failed
	}
	return WithOffer(failed, Offer{Question: fmt.Sprintf("Run it with %s?", near), Word: unknownFlag(err), With: near, Careful: true})
}

// NearestFlag returns the flag that an unknown long one was probably meant to be.
func NearestFlag(flags *pflag.FlagSet, err error) string {
	unknown := unknownFlag(err)
	if unknown == "" {
		return ""
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := Nearest(unknown[2:], names); near != "" {
		return "--" + near
	}
	return ""
}

// unknownFlag is the long flag that an error says does not exist, "" if it says something else.
func unknownFlag(err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return ""
	}
	return "--" + unknown.GetSpecifiedName()
}
