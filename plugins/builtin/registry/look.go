package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/templates"
	"github.com/moby/moby/api/types/registry"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins/builtin/docker"
)

func newList(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "ls HOST[:PORT]", Aliases: []string{"list"}, Short: "List the repositories of a registry", Args: cli.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.open(); err != nil {
				return err
			}
			auth, err := a.authForHost(args[0])
			if err != nil {
				return err
			}
			var repos []string
			request := docker.Request{
				Doing: "list " + args[0], Method: http.MethodGet, Path: "/nacre/registry/repositories",
				Query: url.Values{"registry": {args[0]}}, Header: http.Header{registry.AuthHeader: {auth}},
			}
			if err := docker.Ask(cmd.Context(), a.cli.Client(), request, &repos); err != nil {
				return err
			}
			return printLines(a, repos)
		},
	}
}

func newTags(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "tags REPOSITORY", Short: "List the tags of a repository", Args: cli.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var tags []string
			if err := a.about(cmd.Context(), "list tags", http.MethodGet, "/nacre/registry/tags", args[0], &tags); err != nil {
				return err
			}
			return printLines(a, tags)
		},
	}
}

func printLines(a *asker, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(a.cli.Out(), line); err != nil {
			return err
		}
	}
	return nil
}

func newInspect(a *asker) *cobra.Command {
	var format string
	var raw bool
	cmd := &cobra.Command{
		Use: "inspect [OPTIONS] REF", Short: "Show what a registry knows about an image, without pulling it", Args: cli.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var image struct {
				Manifest json.RawMessage
			}
			var whole json.RawMessage
			if err := a.about(cmd.Context(), "inspect "+args[0], http.MethodGet, "/nacre/registry/image", args[0], &whole); err != nil {
				return err
			}
			if raw {
				if err := json.Unmarshal(whole, &image); err != nil {
					return err
				}
				_, err := fmt.Fprintln(a.cli.Out(), string(image.Manifest))
				return err
			}
			return show(a, whole, format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "Format output using a Go template, or 'json'")
	cmd.Flags().BoolVar(&raw, "raw", false, "Print the manifest as the registry has it")
	return cmd
}

// show prints an answer as JSON, or through a template.
func show(a *asker, answer json.RawMessage, format string) error {
	var value any
	if err := json.Unmarshal(answer, &value); err != nil {
		return err
	}
	if format != "" && format != "json" {
		tmpl, err := templates.Parse(format)
		if err != nil {
			return fmt.Errorf("template parsing error: %w", err)
		}
		if err := tmpl.Execute(a.cli.Out(), value); err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.cli.Out())
		return err
	}
	enc := json.NewEncoder(a.cli.Out())
	enc.SetEscapeHTML(false)
	if format == "" {
		enc.SetIndent("", "    ")
	}
	return enc.Encode(value)
}
