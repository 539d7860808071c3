package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
)

const (
	unitDir = "/etc/systemd/system"
	// systemdRuns is where systemd says that it is this machine's init, sd_booted(3).
	systemdRuns = "/run/systemd/system"
)

// unit is a file that systemd reads.
type unit struct{ name, text string }

// units are nacre's. KillMode=process and Delegate: the shims that these
// services start outlive them, and their cgroups are nobody else's.
func units(self string, env []string) []unit {
	var settings strings.Builder
	for _, name := range []string{"NACRE_DATA_ROOT", "NACRE_EXEC_ROOT"} {
		for _, entry := range env {
			if value, ok := strings.CutPrefix(entry, name+"="); ok && value != "" {
				fmt.Fprintf(&settings, "Environment=%q\n", entry)
			}
		}
	}
	service := func(description, after, body string) string {
		return "[Unit]\nDescription=" + description + "\n" + after + "\n[Service]\n" + settings.String() + body +
			"KillMode=process\nDelegate=yes\nTasksMax=infinity\nLimitNOFILE=1048576\n"
	}
	online := "Wants=network-online.target\nAfter=network-online.target local-fs.target\n"
	return []unit{
		{"nacre-boot.service", service("Start the containers of nacre that are to run", online,
			"Type=oneshot\nRemainAfterExit=yes\nTimeoutStartSec=infinity\nExecStart="+self+" boot\nExecStop="+self+" boot stop\n") +
			"\n[Install]\nWantedBy=multi-user.target\n"},
		{"nacre.socket", "[Unit]\nDescription=Socket of nacre's engine\n\n[Socket]\nListenStream=/run/nacre/nacre.sock\nSocketMode=0600\n" +
			"\n[Install]\nWantedBy=sockets.target\n"},
		{"nacre.service", service("Engine of nacre for other programs", "Requires=nacre.socket\nAfter=nacre.socket\n",
			"ExecStart="+self+" serve -H fd://\n")},
	}
}

// install is `boot install`: nothing is enabled or started, the user is told how.
func (p Plugin) install(inv *plugins.Invocation) *cobra.Command {
	var dir string
	var show bool
	cmd := &cobra.Command{
		Use: "install [OPTIONS]", DisableFlagsInUseLine: true, Args: cli.NoArgs,
		Short: "Write systemd units for the boot and for serving the API; print them where systemd does not run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := p.Self()
			if err != nil {
				return fmt.Errorf("find nacre's own file: %w", err)
			}
			all := units(self, inv.Env)
			if !cmd.Flags().Changed("dir") && !show {
				_, err := os.Stat(systemdRuns)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				show = err != nil
			}
			if show {
				return printUnits(inv, all)
			}
			return writeUnits(inv, dir, all)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", unitDir, "Folder to write them to")
	cmd.Flags().BoolVar(&show, "print", false, "Print them instead")
	return cmd
}

func printUnits(inv *plugins.Invocation, all []unit) error {
	for i, u := range all {
		if i > 0 {
			fmt.Fprintln(inv.Out)
		}
		if _, err := fmt.Fprintf(inv.Out, "# %s\n%s", filepath.Join(unitDir, u.name), u.text); err != nil {
			return err
		}
	}
	return nil
}

func writeUnits(inv *plugins.Invocation, dir string, all []unit) error {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(inv.Dir, dir)
	}
	for _, u := range all {
		path := filepath.Join(dir, u.name)
		if err := os.WriteFile(path, []byte(u.text), 0o644); err != nil {
			return fmt.Errorf("install the units: %w", err)
		}
		fmt.Fprintln(inv.Out, path)
	}
	fmt.Fprintln(inv.Err, "hint: systemctl daemon-reload && systemctl enable --now nacre-boot.service nacre.socket")
	return nil
}
