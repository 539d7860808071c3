package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"

	"github.com/nacre-sh/nacre/plugins"
)

const (
	program   = "nacre-registry"
	envBinary = "NACRE_REGISTRY" // names another place of the program
	envParent = "NACRE_REGISTRY_PARENT"

	defaultAddr = "127.0.0.1:5000"
	defaultData = "/var/lib/nacre-registry"
)

// patience is how long the server may take to end when it is asked to.
const patience = 10 * time.Second

func newServe(inv *plugins.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve [OPTIONS]", DisableFlagsInUseLine: true, Short: "Run a registry in the foreground", Args: cli.NoArgs,
		Long: "Run a registry in the foreground, until Ctrl-C. Images are kept in a folder, in the form of\n" +
			"Docker's own registry image; deletion and OCI's referrers are on.",
		Example:           "  registry serve\n  registry serve --addr :5000 --tls --htpasswd users",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd, inv, "serve") },
	}
	f := cmd.Flags()
	f.String("addr", defaultAddr, "Where to listen, HOST:PORT")
	f.String("data", defaultData, "Folder of the registry's images")
	f.Bool("tls", false, "Serve over TLS, with a certificate of its own unless files are named")
	f.String("tls-cert", "", "Certificate file (PEM)")
	f.String("tls-key", "", "Key file (PEM)")
	f.String("htpasswd", "", "File of users; only they may come in")
	f.String("user", "", "Let only this user in, with a password that is made and shown the first time")
	f.Bool("read-only", false, "Refuse pushes and deletions")
	f.BoolP("verbose", "v", false, "Log requests on standard error")
	return cmd
}

func newCollect(inv *plugins.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use: "gc [OPTIONS]", DisableFlagsInUseLine: true, Short: "Free the space of what was removed from a registry of one's own", Args: cli.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd, inv, "gc") },
	}
	f := cmd.Flags()
	f.String("data", defaultData, "Folder of the registry's images")
	f.Bool("untagged", false, "Also remove what no tag leads to (signatures stay with their images)")
	f.Bool("dry-run", false, "Show what would go")
	return cmd
}

// paths are options that name files: they start in the shell's folder.
var paths = map[string]bool{"data": true, "tls-cert": true, "tls-key": true, "htpasswd": true}

// run hands the options over to the program and waits for its end. When the
// command is broken off, it asks the program to end, and makes it after a while.
func run(cmd *cobra.Command, inv *plugins.Invocation, verb string) error {
	binary, err := find(inv.Env)
	if err != nil {
		return err
	}
	words := []string{verb}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		if paths[f.Name] && !filepath.IsAbs(value) {
			value = filepath.Join(inv.Dir, value)
		}
		words = append(words, "--"+f.Name+"="+value)
	})
	alive, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	defer hold.Close()
	child := exec.CommandContext(cmd.Context(), binary, words...)
	child.Env = append(append([]string{}, inv.Env...), envParent+"=1")
	child.Dir, child.Stdout, child.Stderr = inv.Dir, inv.Out, inv.Err
	child.ExtraFiles = []*os.File{alive} // ends with this process, however it ends
	child.Cancel = func() error { return child.Process.Signal(unix.SIGTERM) }
	child.WaitDelay = patience
	err = child.Start()
	alive.Close()
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return ended(cmd.Context(), child.Wait())
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &plugins.StatusError{Status: max(exit.ExitCode(), 1)} // it has said why
	}
	return err
}

// find looks where the shim is looked for, too: beside nacre, then in libexec, then in the PATH.
func find(env []string) (string, error) {
	if path := expand.ListEnviron(env...).Get(envBinary).String(); path != "" {
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find nacre's own file: %w", err)
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	dir := filepath.Dir(self)
	for _, place := range []string{dir, filepath.Join(dir, "..", "libexec", "nacre"), filepath.Join(dir, "..", "libexec")} {
		path := filepath.Join(place, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return filepath.Clean(path), nil
		}
	}
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("find %s: it is neither beside %s nor in the PATH\nhint: install it there, or name it with %s", program, self, envBinary)
}
