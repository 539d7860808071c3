package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// engineSettings are the commands of the engine's configuration file. They
// live beside docker's `config create|ls|…`, which are about swarms.
func engineSettings(docker *command.DockerCli) []*cobra.Command {
	return []*cobra.Command{
		newConfigShow(docker), newConfigPath(docker), newConfigImport(docker),
		newConfigChange(docker, "set KEY VALUE...", "Set a key of the engine's configuration file", "  config set debug true\n  config set bip 172.30.0.1/16", func(*configChange) {}),
		newConfigChange(docker, "add KEY VALUE...", "Add to a list of the engine's configuration file", "  config add insecure-registries registry.lan:5000", func(c *configChange) { c.Add = true }),
		newConfigChange(docker, "unset KEY [VALUE...]", "Remove a key, or words of its list", "  config unset registry-mirrors\n  config unset insecure-registries registry.lan:5000", func(c *configChange) { c.Remove = true }),
	}
}

// configReport is what GET /nacre/config answers.
type configReport struct {
	Path     string
	Settings json.RawMessage
	Warnings []string
}

// configChange is what POST /nacre/config takes.
type configChange struct {
	Key         string
	Words       []string
	Add, Remove bool
}

func newConfigShow(docker *command.DockerCli) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the engine's configuration file", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := readConfig(cmd, docker)
			if err != nil {
				return err
			}
			for _, w := range report.Warnings {
				fmt.Fprintln(docker.Err(), "warning:", w)
			}
			var settings any
			if err := json.Unmarshal(report.Settings, &settings); err != nil {
				return err
			}
			enc := json.NewEncoder(docker.Out())
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			return enc.Encode(settings)
		},
	}
}

func newConfigPath(docker *command.DockerCli) *cobra.Command {
	return &cobra.Command{
		Use: "path", Short: "Print where the engine's configuration file is", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := readConfig(cmd, docker)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(docker.Out(), report.Path)
			return err
		},
	}
}

func readConfig(cmd *cobra.Command, docker *command.DockerCli) (configReport, error) {
	var report configReport
	err := Ask(cmd.Context(), docker.Client(), Request{Doing: "read the configuration", Method: http.MethodGet, Path: "/nacre/config"}, &report)
	return report, err
}

func newConfigImport(docker *command.DockerCli) *cobra.Command {
	return &cobra.Command{
		Use: "import FILE|-", Short: "Take over the settings of a docker daemon.json", Args: cli.ExactArgs(1),
		Long: "Take over the settings of a docker daemon.json: they replace those of the same key in the\n" +
			"engine's configuration file and leave the others. The file itself stays as it is.",
		Example: "  config import /etc/docker/daemon.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readFile(args[0], docker.In())
			if err != nil {
				return err
			}
			var report struct {
				Took    []string
				Ignored []struct{ Key, Why string }
			}
			request := Request{
				Doing: "import " + args[0], Method: http.MethodPost, Path: "/nacre/config/import",
				Body: struct{ Name, Text string }{args[0], string(text)},
			}
			if err := Ask(cmd.Context(), docker.Client(), request, &report); err != nil {
				return err
			}
			for _, key := range report.Took {
				fmt.Fprintln(docker.Out(), "took", key)
			}
			for _, i := range report.Ignored {
				fmt.Fprintf(docker.Out(), "ignored %s: %s\n", i.Key, i.Why)
			}
			return nil
		},
	}
}

// maxConfigFile is what the engine takes, in bytes.
const maxConfigFile = 1 << 20

func readFile(name string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("import a configuration: %w", err)
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxConfigFile+1))
	if err != nil {
		return nil, fmt.Errorf("import a configuration: %w", err)
	}
	if len(text) > maxConfigFile {
		return nil, errors.New("import a configuration: the file is too large for one")
	}
	return text, nil
}

func newConfigChange(docker *command.DockerCli, use, short, example string, how func(*configChange)) *cobra.Command {
	var change configChange
	how(&change)
	least := 2
	if change.Remove {
		least = 1
	}
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: cli.RequiresMinArgs(least),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			change.Key, change.Words = args[0], args[1:]
			return Ask(cmd.Context(), docker.Client(), Request{Doing: "change the configuration", Method: http.MethodPost, Path: "/nacre/config", Body: change}, nil)
		},
	}
}
