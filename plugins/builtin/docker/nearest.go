package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/client"

	"github.com/nacre-sh/nacre/plugins"
)

// missing matches what engines say of a name that means nothing.
var missing = regexp.MustCompile(`(?i)no such (container|image|object|network|volume): ?([^\s,]+)|network ([^\s,]+) not found|get ([^\s,]+): no such volume`)

// nearestWait bounds the search for a name like the one that was typed.
const nearestWait = 500 * time.Millisecond

// hint adds to an error about a name that means nothing the name that may have
// been meant. It is for people: where errors do not go to a terminal, docker's
// words stay alone.
func hint(ctx context.Context, docker *command.DockerCli, err error) error {
	if err == nil || ctx.Err() != nil || !docker.Err().IsTerminal() {
		return err
	}
	m := missing.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	kind, word := strings.ToLower(m[1]), m[2]
	if m[3] != "" {
		kind, word = "network", m[3]
	}
	if m[4] != "" {
		kind, word = "volume", m[4]
	}
	ctx, cancel := context.WithTimeout(ctx, nearestWait)
	defer cancel()
	near := plugins.Nearest(strings.TrimSuffix(word, ":latest"), namesOf(ctx, docker.Client(), kind))
	if near == "" {
		return err
	}
	return withLine(err, fmt.Sprintf("Did you mean '%s'?", near))
}

// withLine puts a line below an error and keeps its exit status.
func withLine(err error, line string) error {
	var status *plugins.StatusError
	if errors.As(err, &status) && status.Err != nil {
		return &plugins.StatusError{Status: status.Status, Err: fmt.Errorf("%w\n%s", status.Err, line)}
	}
	return fmt.Errorf("%w\n%s", err, line)
}

// namesOf lists the names of a kind of object; none when the engine does not say.
func namesOf(ctx context.Context, c client.APIClient, kind string) (names []string) {
	if kind == "container" || kind == "object" {
		list, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
		if err == nil {
			for _, item := range list.Items {
				for _, n := range item.Names {
					names = append(names, strings.TrimPrefix(n, "/"))
				}
			}
		}
	}
	if kind == "image" || kind == "object" {
		list, err := c.ImageList(ctx, client.ImageListOptions{})
		if err == nil {
			for _, item := range list.Items {
				for _, n := range item.RepoTags {
					names = append(names, strings.TrimSuffix(n, ":latest"))
				}
			}
		}
	}
	switch kind {
	case "network":
		list, err := c.NetworkList(ctx, client.NetworkListOptions{})
		if err == nil {
			for _, item := range list.Items {
				names = append(names, item.Name)
			}
		}
	case "volume":
		list, err := c.VolumeList(ctx, client.VolumeListOptions{})
		if err == nil {
			for _, item := range list.Items {
				names = append(names, item.Name)
			}
		}
	}
	return names
}
