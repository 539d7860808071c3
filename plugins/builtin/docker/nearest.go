package docker

import (
	"context"
	"strings"

	"github.com/moby/moby/client"
)

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
