package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

// servePlugin provides `serve`, which needs the engine itself and not a
// connection to it.
type servePlugin struct{ engine *lazyEngine }

var _ plugins.Plugin = servePlugin{}

func (servePlugin) Name() string { return "serve" }
func (servePlugin) Close() error { return nil }

func (p servePlugin) Register(_ context.Context, r *plugins.Registry) error {
	return r.Add(plugins.Command{
		Name: "serve", Short: "Serve the engine's API on a unix socket, for docker's client and others",
		Group: "Nacre Commands", Build: p.build,
	})
}

func (p servePlugin) build(*plugins.Invocation) (*cobra.Command, error) {
	var hosts []string
	cmd := &cobra.Command{
		Use:                   "serve [OPTIONS]",
		DisableFlagsInUseLine: true,
		Short:                 "Serve the engine's API on a unix socket, for docker's client and others",
		Args:                  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := p.engine.open(cmd.Context())
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("host") {
				cfg, err := p.engine.settings()
				if err != nil {
					return err
				}
				if len(cfg.Hosts) > 0 {
					hosts = cfg.Hosts
				}
			}
			return e.Serve(cmd.Context(), hosts)
		},
	}
	cmd.Flags().StringArrayVarP(&hosts, "host", "H", []string{"unix:///run/nacre/nacre.sock"}, "Socket to listen on; may be given more than once")
	root := plugins.NewRoot()
	root.AddCommand(cmd)
	return root, nil
}
