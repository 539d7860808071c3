// Package registry is the built-in plugin `registry`: what a registry holds,
// without pulling it (ls, tags, inspect), copying and removing there (copy, rm),
// and a registry of one's own (serve, gc). The first five ask the engine under
// /nacre/registry, which knows how registries are reached; the credentials are
// those of docker's login. The last two run the program nacre-registry.
package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/builtin/docker"
)

const short = "Look into registries, copy between them, run one"

// Plugin adds the command.
type Plugin struct{}

var _ plugins.Plugin = Plugin{}

// Name is the plugin's name.
func (Plugin) Name() string { return "registry" }

// Close has nothing to release.
func (Plugin) Close() error { return nil }

// Register adds `registry`.
func (Plugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "registry", Short: short, Group: "Management Commands",
		Build: func(inv *plugins.Invocation) (*cobra.Command, error) {
			root := plugins.NewRoot()
			root.AddCommand(newCommand(inv))
			return root, nil
		},
	})
}

func newCommand(inv *plugins.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use: "registry", Short: short, Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a := &asker{inv: inv}
	cmd.AddCommand(newList(a), newTags(a), newInspect(a), newCopy(a), newRemove(a), newServe(inv), newCollect(inv))
	return cmd
}

// asker speaks to the engine for one invocation.
type asker struct {
	inv *plugins.Invocation
	cli *command.DockerCli
}

// open connects the first time that it is needed: help must not.
func (a *asker) open() error {
	if a.cli != nil {
		return nil
	}
	cli, err := docker.NewClient(a.inv)
	a.cli = cli
	return err
}

// about makes a request about a reference; its registry's credentials go along.
func (a *asker) about(ctx context.Context, doing, method, path, ref string, answer any) error {
	if err := a.open(); err != nil {
		return err
	}
	auth, err := a.authFor(ref)
	if err != nil {
		return err
	}
	return docker.Ask(ctx, a.cli.Client(), docker.Request{
		Doing: doing, Method: method, Path: path, Query: url.Values{"name": {ref}},
		Header: http.Header{registry.AuthHeader: {auth}},
	}, answer)
}

// authFor finds the credentials for the registry of a reference.
func (a *asker) authFor(ref string) (string, error) {
	auth, err := command.RetrieveAuthTokenFromImage(a.cli.ConfigFile(), ref)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return auth, nil
}

// authForHost finds the credentials for a registry.
func (a *asker) authForHost(host string) (string, error) {
	stored, err := a.cli.ConfigFile().GetAuthConfig(host)
	if err != nil {
		return "", fmt.Errorf("find the credentials for %s: %w", host, err)
	}
	return authconfig.Encode(registry.AuthConfig{
		Username: stored.Username, Password: stored.Password, ServerAddress: stored.ServerAddress,
		IdentityToken: stored.IdentityToken, RegistryToken: stored.RegistryToken,
	})
}
