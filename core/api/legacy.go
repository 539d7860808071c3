package api

import (
	"encoding/json"
	"net/netip"
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

// containerBefore152 is what inspect answered before 1.52, in docker's order:
// people read it.
type containerBefore152 struct {
	container.InspectResponse
	Config          *configBefore152
	NetworkSettings *networkBefore152
}

// configBefore152 has OnBuild also when it is empty.
type configBefore152 struct {
	*container.Config
	OnBuild []string
}

// networkBefore152 has the addresses in the default network beside the networks.
type networkBefore152 struct {
	Bridge                                       string
	SandboxID, SandboxKey                        string
	Ports                                        network.PortMap
	HairpinMode                                  bool
	LinkLocalIPv6Address                         string
	LinkLocalIPv6PrefixLen                       int
	SecondaryIPAddresses, SecondaryIPv6Addresses []string
	EndpointID                                   string
	Gateway, GlobalIPv6Address                   netip.Addr
	GlobalIPv6PrefixLen                          int
	IPAddress                                    netip.Addr
	IPPrefixLen                                  int
	IPv6Gateway                                  netip.Addr
	MacAddress                                   network.HardwareAddr
	Networks                                     map[string]*network.EndpointSettings
}

func legacyContainer(c container.InspectResponse) containerBefore152 {
	old := containerBefore152{InspectResponse: c}
	if c.Config != nil {
		old.Config = &configBefore152{Config: c.Config, OnBuild: c.Config.OnBuild}
	}
	if c.NetworkSettings == nil {
		return old
	}
	s := &networkBefore152{
		SandboxID: c.NetworkSettings.SandboxID, SandboxKey: c.NetworkSettings.SandboxKey,
		Ports: c.NetworkSettings.Ports, Networks: c.NetworkSettings.Networks,
	}
	if e := s.Networks[network.NetworkBridge]; e != nil {
		s.EndpointID, s.MacAddress = e.EndpointID, e.MacAddress
		s.Gateway, s.IPAddress, s.IPPrefixLen = e.Gateway, e.IPAddress, e.IPPrefixLen
		s.IPv6Gateway, s.GlobalIPv6Address, s.GlobalIPv6PrefixLen = e.IPv6Gateway, e.GlobalIPv6Address, e.GlobalIPv6PrefixLen
	}
	old.NetworkSettings = s
	return old
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
