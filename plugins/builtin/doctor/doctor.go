// Package doctor is the built-in plugin `doctor`: it says what of this machine,
// this engine and this terminal keeps containers or the prompt from working,
// and what to do about it. The engine looks at its own machine; the terminal is
// looked at here.
package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/docker"
)

// Plugin adds the command.
type Plugin struct{}

// Name is the plugin's name.
func (Plugin) Name() string { return "doctor" }

// Close has nothing to release.
func (Plugin) Close() error { return nil }

const short = "Check kernel, cgroups, store, network, mirrors and terminal, and say what to do"

// Register adds `doctor`.
func (Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "doctor", Short: short, Group: "Nacre Commands",
		Build: func(inv *plugins.Invocation) (*cobra.Command, error) {
			root := plugins.NewRoot()
			root.AddCommand(command(inv))
			return root, nil
		},
	})
}

// check is one finding, as the engine tells it.
type check struct{ Topic, Grade, Text, Advice string }

const (
	good    = "good"
	warning = "warning"
	bad     = "bad"
)

func command(inv *plugins.Invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "doctor [OPTIONS]", DisableFlagsInUseLine: true, Short: short, Args: cli.NoArgs,
		Long: short + ".\nThe exit status is 1 when something is found that keeps containers from working.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := append(engineChecks(cmd.Context(), inv), terminal(cmd.Context(), inv)...)
			if err := print(inv, checks, asJSON); err != nil {
				return err
			}
			for _, c := range checks {
				if c.Grade == bad {
					return &plugins.StatusError{Status: 1}
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "One JSON object a line")
	return cmd
}

// engineChecks asks the engine. One that cannot be asked is a finding, too.
func engineChecks(ctx context.Context, inv *plugins.Invocation) (list []check) {
	r := docker.Request{Doing: "examine the engine's machine", Method: http.MethodGet, Path: "/nacre/doctor"}
	if err := docker.AskFor(ctx, inv, r, &list); err != nil {
		return []check{{"engine", bad, err.Error(), ""}}
	}
	return list
}

// terminal looks at what the prompt needs.
func terminal(ctx context.Context, inv *plugins.Invocation) []check {
	f, ok := inv.Out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return []check{{"terminal", good, "none here: nothing to check", ""}}
	}
	env := func(name string) string { return plugins.Getenv(ctx, name) }
	var list []check
	switch t := env("TERM"); t {
	case "", "dumb":
		list = append(list, check{"terminal", warning, fmt.Sprintf("TERM is %q: the prompt reads plain lines", t), "set TERM to what the terminal is, such as xterm-256color"})
	default:
		list = append(list, check{"terminal", good, "TERM is " + t, ""})
	}
	if locale := cmp.Or(env("LC_ALL"), env("LC_CTYPE"), env("LANG")); !strings.Contains(strings.ToUpper(strings.ReplaceAll(locale, "-", "")), "UTF8") {
		list = append(list, check{"terminal", warning, fmt.Sprintf("the locale %q is not UTF-8: Chinese names and the prompt's signs may come out wrong", locale), "export LANG=C.UTF-8"})
	}
	if w, h, err := term.GetSize(int(f.Fd())); err == nil && (w < 40 || h < 10) {
		list = append(list, check{"terminal", warning, fmt.Sprintf("the window has %d columns and %d rows: tables are cut", w, h), "make it larger"})
	}
	return list
}

var marks = map[string][2]string{good: {"✓", "32"}, warning: {"!", "33"}, bad: {"✗", "31"}}

func print(inv *plugins.Invocation, list []check, asJSON bool) error {
	var b strings.Builder
	f, isFile := inv.Out.(*os.File)
	colours := isFile && term.IsTerminal(int(f.Fd()))
	for _, c := range list {
		if asJSON {
			line, err := json.Marshal(c)
			if err != nil {
				return err
			}
			b.Write(append(line, '\n'))
			continue
		}
		mark := marks[c.Grade]
		if colours {
			mark[0] = "\x1b[" + mark[1] + "m" + mark[0] + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s %-13s %s\n", mark[0], c.Topic, c.Text)
		if c.Advice != "" {
			fmt.Fprintf(&b, "  %-13s → %s\n", "", c.Advice)
		}
	}
	_, err := io.WriteString(inv.Out, b.String())
	return err
}
