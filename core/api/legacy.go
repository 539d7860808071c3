package api

import (
	"encoding/json"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client/pkg/versions"
)

// What older API versions answered differently. The types of the newest
// version lack these fields, so they are laid around or over them.

// eventBefore152 carries the fields of API 1.21 beside those of 1.22.
type eventBefore152 struct {
	Status string `json:"status,omitempty"`
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
	events.Message
}

func legacyEvent(m events.Message) eventBefore152 {
	e := eventBefore152{Message: m}
	switch m.Type {
	case events.ContainerEventType:
		e.Status, e.ID, e.From = string(m.Action), m.Actor.ID, m.Actor.Attributes["image"]
	case events.ImageEventType:
		e.Status, e.ID = string(m.Action), m.Actor.ID
	}
	return e
}

// imageBefore144 has the size under its old name too.
type imageBefore144 struct {
	image.Summary
	VirtualSize int64
}

// legacyImages is the list before 1.44; before 1.43, images without a name had
// the placeholders that clients print now.
func legacyImages(list []image.Summary, version string) []imageBefore144 {
	old := make([]imageBefore144, 0, len(list))
	for _, img := range list {
		if versions.LessThan(version, "1.43") && len(img.RepoTags) == 0 {
			img.RepoTags = []string{"<none>:<none>"}
			if len(img.RepoDigests) == 0 {
				img.RepoDigests = []string{"<none>@<none>"}
			}
		}
		old = append(old, imageBefore144{img, img.Size})
	}
	return old
}

// legacyImage adds to an image what inspect answered before 1.52: fields that
// are now left out when empty. compose1 demands those of 1.44 in any version.
func legacyImage(img image.InspectResponse, version string, compose1 bool) (map[string]any, error) {
	v, err := fields(img)
	if err != nil {
		return nil, err
	}
	defaults(v, map[string]any{"Parent": "", "Comment": "", "DockerVersion": "", "Author": ""})
	config, _ := v["Config"].(map[string]any)
	if config != nil {
		defaults(config, map[string]any{
			"Cmd": nil, "Entrypoint": nil, "Env": nil, "Labels": nil, "OnBuild": nil, "User": "", "Volumes": nil, "WorkingDir": "",
		})
	}
	if config != nil && versions.LessThan(version, "1.50") {
		defaults(config, map[string]any{
			"Hostname": "", "Domainname": "", "Image": "", "AttachStdin": false, "AttachStdout": false,
			"AttachStderr": false, "Tty": false, "OpenStdin": false, "StdinOnce": false,
		})
	}
	if versions.LessThan(version, "1.44") {
		v["VirtualSize"] = img.Size
	}
	if compose1 || versions.LessThan(version, "1.45") {
		v["Container"], v["ContainerConfig"] = "", config // what made the image is not kept; its volumes are what clients look for
	}
	return v, nil
}

// isCompose1 recognises docker-compose in Python. It asks in the engine's newest
// version, but reads ContainerConfig, and cannot change a service without it.
func isCompose1(userAgent string) bool { return strings.HasPrefix(userAgent, "docker-compose/1.") }

// legacyContainer adds to a container the addresses that stood beside its
// networks before 1.52: those of the default network.
func legacyContainer(c container.InspectResponse) (map[string]any, error) {
	v, err := fields(c)
	if err != nil {
		return nil, err
	}
	if config, _ := v["Config"].(map[string]any); config != nil {
		defaults(config, map[string]any{"OnBuild": nil})
	}
	settings, _ := v["NetworkSettings"].(map[string]any)
	if settings == nil {
		return v, nil
	}
	defaults(settings, map[string]any{
		"Bridge": "", "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
		"SecondaryIPAddresses": nil, "SecondaryIPv6Addresses": nil,
		"EndpointID": "", "Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
		"IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "MacAddress": "",
	})
	networks, _ := settings["Networks"].(map[string]any)
	if endpoint, _ := networks[network.NetworkBridge].(map[string]any); endpoint != nil {
		for _, key := range []string{"EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen",
			"IPAddress", "IPPrefixLen", "IPv6Gateway", "MacAddress"} {
			settings[key] = endpoint[key]
		}
	}
	return v, nil
}

// fields is a document of the newest version as a map that can be added to.
func fields(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(raw, &m)
}

// defaults sets what is missing.
func defaults(m, values map[string]any) {
	for key, value := range values {
		if _, given := m[key]; !given {
			m[key] = value
		}
	}
}
