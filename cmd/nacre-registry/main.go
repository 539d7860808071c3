// Command nacre-registry is the server behind `registry serve` and the
// collector behind `registry gc`. It is a program of its own because the
// library that it is made of would slow every start of nacre.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/registry/server"
)

// envParent names a descriptor whose end is that of the shell which started
// this program: a registry in the foreground does not outlive it.
const envParent = "NACRE_REGISTRY_PARENT"

// defaultData is where images lie unless told.
const defaultData = "/var/lib/nacre-registry"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if os.Getenv(envParent) != "" {
		go followParent(cancel)
	}
	root := &cobra.Command{Use: "registry", SilenceErrors: true, SilenceUsage: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}}
	root.AddCommand(newServe(os.Stdout, os.Stderr), newCollect(os.Stdout))
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// followParent ends this program with the shell that started it.
func followParent(end func()) {
	parent := os.NewFile(3, "parent")
	_, _ = io.Copy(io.Discard, parent)
	end()
}

func newServe(out, errs io.Writer) *cobra.Command {
	var o server.Options
	var verbose bool
	cmd := &cobra.Command{
		Use: "serve", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if verbose {
				o.Log = errs
			}
			return server.Serve(cmd.Context(), o, func(url string, notes []string) {
				for _, w := range notes {
					fmt.Fprintln(errs, w)
				}
				fmt.Fprintln(out, "Serving a registry on "+url)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Addr, "addr", "127.0.0.1:5000", "")
	f.StringVar(&o.Data, "data", defaultData, "")
	f.StringVar(&o.TLSCert, "tls-cert", "", "")
	f.StringVar(&o.TLSKey, "tls-key", "", "")
	f.BoolVar(&o.TLS, "tls", false, "")
	f.StringVar(&o.Htpasswd, "htpasswd", "", "")
	f.StringVar(&o.User, "user", "", "")
	f.BoolVar(&o.ReadOnly, "read-only", false, "")
	f.BoolVarP(&verbose, "verbose", "v", false, "")
	return cmd
}

func newCollect(out io.Writer) *cobra.Command {
	var data string
	var untagged, dryRun bool
	cmd := &cobra.Command{
		Use: "gc", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := server.Collect(cmd.Context(), data, untagged, dryRun)
			if err != nil {
				return err
			}
			done.Report(out, dryRun, func(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) })
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", defaultData, "")
	cmd.Flags().BoolVar(&untagged, "untagged", false, "")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "")
	return cmd
}
