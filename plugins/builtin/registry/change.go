package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/docker/cli/cli"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client/pkg/jsonmessage"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins/builtin/docker"
)

// targetAuthHeader is where the engine looks for the credentials of a copy's target.
const targetAuthHeader = "X-Registry-Auth-Target"

func newCopy(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "copy SOURCE TARGET", Aliases: []string{"cp"}, Short: "Copy an image from registry to registry, with all platforms and signatures", Args: cli.ExactArgs(2),
		Example:           "  registry copy busybox:1.36 127.0.0.1:5000/busybox:1.36",
		ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.open(); err != nil {
				return err
			}
			source, err := a.authFor(args[0])
			if err != nil {
				return err
			}
			target, err := a.authFor(args[1])
			if err != nil {
				return err
			}
			progress, err := docker.Stream(cmd.Context(), a.cli.Client(), docker.Request{
				Doing: "copy " + args[0], Method: http.MethodPost, Path: "/nacre/registry/copy",
				Query:  url.Values{"source": {args[0]}, "target": {args[1]}},
				Header: http.Header{registry.AuthHeader: {source}, targetAuthHeader: {target}},
			})
			if err != nil {
				return err
			}
			defer progress.Close()
			return jsonmessage.DisplayStream(progress, a.cli.Out())
		},
	}
}

func newRemove(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "rm REF [REF...]", Aliases: []string{"remove"}, Short: "Remove images from their registries", Args: cli.RequiresMinArgs(1),
		Long: "Remove images from their registries: a tag, or by NAME@DIGEST the manifest with all its tags.\n" +
			"A registry frees the space when its garbage is collected ('registry gc' for one of nacre's).",
		ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var errs []error
			for _, ref := range args {
				var answer struct{ Removed string }
				if err := a.about(cmd.Context(), "remove "+ref, http.MethodDelete, "/nacre/registry/image", ref, &answer); err != nil {
					errs = append(errs, err)
					continue
				}
				if _, err := fmt.Fprintln(a.cli.Out(), "Deleted: "+answer.Removed); err != nil {
					return err
				}
			}
			return errors.Join(errs...)
		},
	}
}
