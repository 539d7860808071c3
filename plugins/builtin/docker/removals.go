package docker

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/opts"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

// removing are docker's commands that remove something, by their path, with
// the name under which the engine plans them.
var removing = map[string]string{
	"rm": "container rm", "container rm": "container rm", "container prune": "container prune",
	"rmi": "image rm", "image rm": "image rm", "image prune": "image prune",
	"volume rm": "volume rm", "volume prune": "volume prune", "network rm": "network rm", "network prune": "network prune",
	"system prune": "system prune",
}

// previewable gives a removing command --dry-run and --now.
func previewable(c *cobra.Command, docker *command.DockerCli) {
	name, removes := removing[pathBelowRoot(c)]
	if !removes {
		return
	}
	dry := c.Flags().Bool("dry-run", false, "Print what would be removed and the space that it would free, and remove nothing")
	now := new(bool)
	if name != "network prune" && name != "network rm" { // networks do not wait
		now = c.Flags().Bool("now", false, "Erase at once: nothing waits in the trash for an undo")
	}
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if *dry {
			return preview(cmd, docker, name, args)
		}
		if docker.Client().DaemonHost() != embeddedHost {
			if *now {
				return errors.New("--now is for nacre's own engine: others have no trash that it could pass by")
			}
			return run(cmd, args)
		}
		if name == "image rm" && len(args) > 1 && !cmd.Flags().Changed("platform") {
			return removeImages(cmd, docker, args, *now)
		}
		if name == "container rm" && len(args) > 1 && !cmd.Flags().Changed("link") {
			return removeContainers(cmd, docker, args, *now)
		}
		restore, err := asOneCommand(docker, *now)
		if err != nil {
			return err
		}
		defer restore()
		return run(cmd, args)
	}
}

func pathBelowRoot(c *cobra.Command) string {
	path := c.Name()
	for p := c.Parent(); p != nil && p.HasParent(); p = p.Parent() {
		path = p.Name() + " " + path
	}
	return path
}

// asOneCommand has all requests of a command say that they belong together, so
// that one undo brings all of it back, or that nothing is to wait for one.
func asOneCommand(docker *command.DockerCli, now bool) (restore func(), err error) {
	var id [8]byte
	rand.Read(id[:]) // never fails
	headers := map[string]string{"Nacre-Operation": hex.EncodeToString(id[:])}
	if now {
		headers["Nacre-Now"] = "1"
	}
	before := docker.Client()
	dial := before.Dialer()
	own, err := client.New(
		client.WithHost(embeddedHost), client.WithUserAgent("nacre"), client.WithAPIVersion(client.MaxAPIVersion),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }),
		client.WithHTTPHeaders(headers),
	)
	if err != nil {
		return nil, err
	}
	return func() {
		own.Close()
		_ = command.WithAPIClient(before)(docker) // it only keeps the pointer
	}, command.WithAPIClient(own)(docker)
}

// removeImages is docker's `rmi` for many images, with one request for all of
// them: its own would spend most of the time on asking a thousand times.
func removeImages(cmd *cobra.Command, docker *command.DockerCli, names []string, now bool) error {
	set := func(name string) bool { return cmd.Flags().Lookup(name).Value.String() == "true" }
	req := Request{
		Doing: "remove images", Method: http.MethodPost, Path: "/nacre/images/remove", Header: http.Header{},
		Body: map[string]any{"Names": names, "Force": set("force"), "NoPrune": set("no-prune")},
	}
	if now {
		req.Header.Set("Nacre-Now", "1")
	}
	var answer []struct {
		Items    []image.DeleteResponse
		Error    string
		NotFound bool
	}
	if err := Ask(cmd.Context(), docker.Client(), req, &answer); err != nil {
		return err
	}
	out := bufio.NewWriter(docker.Out())
	var errs []error
	fatal := false
	for _, one := range answer {
		if one.Error != "" {
			fatal = fatal || !one.NotFound
			errs = append(errs, errors.New("Error response from daemon: "+one.Error))
			continue
		}
		for _, item := range one.Items {
			if item.Deleted != "" {
				fmt.Fprintln(out, "Deleted:", item.Deleted)
			} else {
				fmt.Fprintln(out, "Untagged:", item.Untagged)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	err := errors.Join(errs...)
	if err != nil && (!set("force") || fatal) {
		return err
	}
	if err != nil {
		fmt.Fprintln(docker.Err(), err)
	}
	return nil
}

// removeContainers is docker's `rm` for many containers, with one request for
// all of them.
func removeContainers(cmd *cobra.Command, docker *command.DockerCli, args []string, now bool) error {
	set := func(name string) bool { return cmd.Flags().Lookup(name).Value.String() == "true" }
	var names []string
	for _, arg := range args {
		if name := strings.Trim(arg, "/"); name != "" {
			names = append(names, name)
		}
	}
	req := Request{
		Doing: "remove containers", Method: http.MethodPost, Path: "/nacre/containers/remove", Header: http.Header{},
		Body: map[string]any{"Names": names, "Force": set("force"), "Volumes": set("volumes")},
	}
	if now {
		req.Header.Set("Nacre-Now", "1")
	}
	body, err := Stream(cmd.Context(), docker.Client(), req)
	if err != nil {
		return err
	}
	defer body.Close()
	answers := json.NewDecoder(body)
	var errs []error
	for _, arg := range args {
		if strings.Trim(arg, "/") == "" {
			errs = append(errs, errors.New("container name cannot be empty"))
			continue
		}
		var one struct {
			Error    string
			NotFound bool
		}
		switch err := answers.Decode(&one); {
		case err != nil:
			return errors.Join(append(errs, fmt.Errorf("%s: %w", req.Doing, err))...)
		case one.NotFound && set("force"):
		case one.Error != "":
			errs = append(errs, errors.New("Error response from daemon: "+one.Error))
		default:
			fmt.Fprintln(docker.Out(), arg)
		}
	}
	return errors.Join(errs...)
}

// removalRequest is what POST /nacre/removals/plan takes.
type removalRequest struct {
	Command                      string
	Names                        []string
	Force, Volumes, NoPrune, All bool
	Filters                      map[string][]string
}

// removalPlan is its answer.
type removalPlan struct {
	Lines, Errors []string
	Failed        bool
	Bytes         uint64
}

// preview prints what a removing command would print, and what it would free.
func preview(cmd *cobra.Command, docker *command.DockerCli, name string, args []string) error {
	flag := func(name string) bool { f := cmd.Flags().Lookup(name); return f != nil && f.Value.String() == "true" }
	req := removalRequest{
		Command: name, Names: args, Force: flag("force"), Volumes: flag("volumes"), NoPrune: flag("no-prune"), All: flag("all"),
		Filters: map[string][]string{},
	}
	if f := cmd.Flags().Lookup("filter"); f != nil {
		if o, ok := f.Value.(*opts.FilterOpt); ok {
			for key, values := range o.Value() {
				for value := range values {
					req.Filters[key] = append(req.Filters[key], value)
				}
			}
		}
	}
	var plan removalPlan
	err := Ask(cmd.Context(), docker.Client(), Request{
		Doing: "preview " + name, Method: http.MethodPost, Path: "/nacre/removals/plan", Body: req,
	}, &plan)
	if err != nil {
		return err
	}
	for _, line := range plan.Lines {
		fmt.Fprintln(docker.Out(), line)
	}
	fmt.Fprintln(docker.Out(), "Would free:", units.HumanSize(float64(plan.Bytes)))
	text := strings.Join(plan.Errors, "\n")
	if plan.Failed {
		return errors.New(text)
	}
	if text != "" {
		fmt.Fprintln(docker.Err(), text)
	}
	return nil
}

// newCollect is the life of the process that erases what others have removed;
// nobody needs to type it.
func newCollect(docker *command.DockerCli) *cobra.Command {
	return &cobra.Command{
		Use: "collect", Hidden: true, Short: "Erase what has waited in the trash, until nothing waits", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return Ask(cmd.Context(), docker.Client(), Request{Doing: "collect", Method: http.MethodPost, Path: "/nacre/collect"}, nil)
		},
	}
}
