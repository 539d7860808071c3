package docker

import (
	"context"
	"net/url"
	"path/filepath"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/moby/moby/client"

	"github.com/nacre-sh/nacre/plugins/show"
)

// link completes the hyperlinks of a window: ports lead to the engine's host,
// volumes and ids of containers to the folders that the embedded engine keeps
// on this one. An engine that cannot be asked costs the links, nothing else.
func link(ctx context.Context, docker *command.DockerCli, w *show.Window) {
	if w.Links == nil {
		return
	}
	daemon := docker.Client().DaemonHost()
	w.Links.Host = portHost(daemon)
	if daemon != embeddedHost {
		return
	}
	info, err := docker.Client().Info(ctx, client.InfoOptions{})
	if err != nil || !filepath.IsAbs(info.Info.DockerRootDir) {
		return
	}
	root := info.Info.DockerRootDir
	w.Links.Targets = map[string]string{}
	w.Links.Folder = func(heading, cell string) string {
		if heading == "VOLUME NAME" && cell == filepath.Base(cell) {
			return show.FileURL(filepath.Join(root, "volumes", cell, "_data"))
		}
		return ""
	}
	w.Links.Container = func(id string) {
		w.Links.Targets[formatter.TruncateID(id)] = show.FileURL(filepath.Join(root, "containers", id))
	}
}

// portHost is where the published ports of an engine are.
func portHost(daemon string) string {
	u, err := url.Parse(daemon)
	if err != nil || u.Scheme == "unix" || u.Hostname() == "" {
		return "localhost"
	}
	return u.Hostname()
}
